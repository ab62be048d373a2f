"""A stack's config, read and checked: every mistake in it at once. What it says about an app needs the app.

Values are texts, as the engine hands them over; mappings among them are JSON.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from anytier.acme import Acme
from anytier.capabilities import TIERS
from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.spec import App
from anytier.suggest import did_you_mean
from anytier.tiers.registry import tier_class

KEYS = ("app", "tier", "port", "tlsPort", "acme", "scale", "policy")
MAX_REPLICAS = 1000
_SEE = "docs/stacks.md has what may stand there"
# What a model says of a value, and after a semicolon what to do. A value is quoted first, whatever is in it.
_SAID = re.compile(r"""(?P<what>('(\\.|[^'\\])*'|"(\\.|[^"\\])*")?.*?); (?P<do>.*)""", re.DOTALL)
FrozenT = TypeVar("FrozenT", bound=Frozen)
_DEFAULTS = {"port": 8080, "tlsPort": 8443}


@dataclass(frozen=True)
class Settings:
    """`mode` is the capability table's, `tier_args` the tier's own model, `scale` replicas by workload."""

    tier: str
    mode: str | None
    tier_args: Frozen
    app_file: Path
    port: int
    tls_port: int
    scale: Mapping[str, int]
    acme: Acme | None = None


def read(values: Mapping[str, str]) -> Settings:
    """The settings in `values`, keys without their namespace. A group of ConfigErrors for all that is wrong."""
    reading = _Reading(values)
    reading.misplaced()
    component, tier_args = reading.tier()
    usual = dict(zip(_DEFAULTS, getattr(component, "ports", _DEFAULTS.values()), strict=True))
    settings = (reading.app(), reading.port("port", usual), reading.port("tlsPort", usual), reading.scale())
    acme = reading.acme()
    reading.waivers()
    if settings[1] == settings[2] != 0:
        reading.add("tlsPort", f"is {settings[2]}, and so is anytier:port", "choose two ports")
    if reading.errors or component is None or tier_args is None:
        raise ExceptionGroup("config", reading.errors)
    app_file, port, tls_port, scale = settings
    mode: str | None = component.mode(tier_args)
    return Settings(values["tier"], mode, tier_args, app_file, port, tls_port, scale, acme)


def check_against(values: Mapping[str, str], app: App | None) -> list[ConfigError]:
    """What is wrong in the light of the app: keys that nobody reads, workloads that are not there."""
    return [*_unread(values, app), *(_unknown_workloads(values, app.workloads) if app else ())]


def from_yaml(config: Mapping[str, Any], namespace: str = "anytier") -> dict[str, str]:
    """The `config` of a stack's file in the engine's form. An encrypted value stands as an empty text."""
    found = {}
    for key, value in config.items():
        space, _, name = str(key).partition(":")
        if space == namespace and name:
            secret = isinstance(value, dict) and set(value) == {"secure"}
            found[name] = "" if secret else value if isinstance(value, str) else json.dumps(value)
    return found


class _Reading:
    """One reading of one stack's config: the errors as they come."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values, self.errors = values, list[ConfigError]()

    def add(self, key: str, what: str, do: str) -> None:
        self.errors.append(ConfigError(f"anytier:{key}", what, do))

    def misplaced(self) -> None:
        """Options of another tier would be read by nobody."""
        tier = self.values.get("tier")
        for key in sorted(set(self.values) & set(TIERS)):
            if key != tier and tier in TIERS:
                self.add(key, f"is for tier {key}, and this stack's tier is {tier}", "take it out of the stack's file")

    def required(self, key: str, do: str) -> str | None:
        value = self.values.get(key)
        if not value:
            self.add(key, "is not set in this stack", f"`pulumi config set anytier:{key} ...`: {do}")
        return value or None

    def tier(self) -> tuple[Any, Frozen | None]:
        name = self.required("tier", f"which tier? one of {', '.join(TIERS)}")
        if name is None:
            return None, None
        try:
            component = tier_class(name)
        except ConfigError as error:
            self.errors.append(error)
            return None, None
        return component, self.tier_args(component)

    def tier_args(self, component: Any) -> Frozen | None:
        return self.options(component.config_key, component.args_type)

    def acme(self) -> Acme | None:
        """None where nothing is said, so that a proxy is what it was."""
        return self.options("acme", Acme) if self.values.get("acme") else None

    def options(self, key: str, model: type[FrozenT]) -> FrozenT | None:
        try:
            return model.model_validate(self.mapping(key))
        except ValidationError as error:
            self.errors += [_option_error(key, model, item) for item in error.errors(include_url=False)]
            return None

    def app(self) -> Path:
        return Path(self.required("app", "the path of the app spec, from the project's folder") or "")

    def port(self, key: str, usual: Mapping[str, int]) -> int:
        text = self.values.get(key)
        if text is None:
            return usual[key]
        if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
            self.add(key, f"{text[:40]!r} is not a port", "a number from 1 to 65535")
            return 0
        return int(text)

    def scale(self) -> dict[str, int]:
        wanted = self.mapping("scale")
        for name, count in wanted.items():
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MAX_REPLICAS:
                what = f"{str(count)[:40]!r} is not a replica count"
                self.add(f"scale.{name}", what, f"a whole number from 0 to {MAX_REPLICAS}")
        return wanted

    def waivers(self) -> None:
        """What the policy pack will read. The rules are loaded for a stack that waives one."""
        if text := self.values.get("policy"):
            from anytier.policy.waivers import read

            self.errors += read(text, datetime.date.today())[1]

    def mapping(self, key: str) -> dict[str, Any]:
        text = self.values.get(key)
        if not text:
            return {}
        value = _mapping(text)
        if value is None:
            self.add(key, "must be a mapping", f"`pulumi config set --path 'anytier:{key}.name' value`")
        return value or {}


def _option_error(key: str, model: type[BaseModel], item: Any) -> ConfigError:
    path = ".".join([f"anytier:{key}", *(str(part) for part in item["loc"])])
    known = _options(model, item["loc"][:-1])
    if item["type"] == "extra_forbidden":
        near = did_you_mean(str(item["loc"][-1]), known)
        return ConfigError(path, f"is not an option{near}", f"one of {', '.join(known)}" if known else _SEE)
    if item["type"] == "missing":
        return ConfigError(path, "is not given", f"the options are {', '.join(known)}" if known else _SEE)
    what, do = _parts(item["msg"].removeprefix("Value error, "))
    return ConfigError(path, what[:1].lower() + what[1:], do or _SEE)


def _parts(message: str) -> tuple[str, str]:
    """(what is wrong, what to do, where it says so)."""
    found = _SAID.fullmatch(message)
    return (found["what"], found["do"]) if found else (message, "")


def _options(model: type[BaseModel], steps: Iterable[str | int]) -> list[str]:
    """What may stand where `steps` leads, from a tier's options on. Nothing where a model does not say it."""
    models = [model]
    for step in steps:
        if isinstance(step, str):  # the items of a list are of one kind
            infos = [info for each in models for name, info in each.model_fields.items() if step in (name, info.alias)]
            models = [found for info in infos for found in _models(info.annotation)]
    return list(dict.fromkeys(info.alias or name for each in models for name, info in each.model_fields.items()))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _mapping(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unread(values: Mapping[str, str], app: App | None) -> Iterator[ConfigError]:
    """Without the app its secrets are unknown: then only what looks like a slip of the pen is told."""
    secrets = app.secrets.items() if app else ()
    keys = [secret.key or name for name, secret in secrets if secret.from_ == "config"]
    known = [*KEYS, *TIERS, *keys, *(f"secret.{key}" for key in keys)]
    for key in sorted(set(values) - set(known)):
        near = did_you_mean(key, known)
        if near or app:
            do = f"known are {', '.join((*KEYS, *keys))} and the tier's own; take it out if it is of no use"
            yield ConfigError(f"anytier:{key}", f"is read by nothing{near}", do)


def _unknown_workloads(values: Mapping[str, str], workloads: Iterable[str]) -> Iterator[ConfigError]:
    known = list(workloads)
    for name in _mapping(values.get("scale") or "{}") or ():
        if name not in known:
            what = f"there is no such workload{did_you_mean(name, known)}"
            yield ConfigError(f"anytier:scale.{name}", what, f"one of {', '.join(known)}")
