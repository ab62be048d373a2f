"""What `pulumi up` runs, in three steps: load the stack's config and the spec, check them, deploy.

Every mistake of a user ends here as one `pulumi.RunError` without a traceback, before any resource is registered.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from pydantic import ValidationError

import pulumi
from anytier import capabilities
from anytier.errors import AnytierError, ConfigError
from anytier.frozen import Frozen
from anytier.names import ROLLBACK_ENV, namespace
from anytier.spec import App
from anytier.spec.load import diagnose
from anytier.spec.walk import used_fields
from anytier.suggest import did_you_mean
from anytier.tiers.registry import tier_class

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Stack:
    """A stack, read and validated. `mode` is the capability table's; `scale` and `rollback` are by workload."""

    name: str
    tier: str
    mode: str | None
    tier_args: Frozen
    app: App
    app_dir: Path
    port: int
    tls_port: int
    scale: Mapping[str, int] = field(default_factory=dict)
    rollback: Mapping[str, int] = field(default_factory=dict)

    @property
    def ns(self) -> str:
        return namespace(self.name, self.app.metadata.name)


def _clear_errors(step: Callable[P, R]) -> Callable[P, R]:
    """Turn user-facing errors into the one form that Pulumi prints without a traceback."""

    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except AnytierError as error:
            raise pulumi.RunError(str(error)) from None
        except ExceptionGroup as group:
            raise pulumi.RunError("\n".join(str(error) for error in group.exceptions)) from None

    return run


@_clear_errors
def load() -> Stack:
    """The stack's config and its app. ConfigError or SpecError for whatever is wrong in them, all at once."""
    config = pulumi.Config("anytier")
    tier = _require(config, "tier", "which tier? one of " + ", ".join(capabilities.TIERS))
    component = tier_class(tier)
    app_file = Path(_require(config, "app", "the path of the app spec, from the project's folder"))
    app, found = diagnose(app_file, tier=tier)
    if app is None or any(item.severity == "error" for item in found):
        raise ExceptionGroup("spec", [_located(item) for item in found])
    tier_args = _tier_args(config, component)
    return Stack(
        name=pulumi.get_stack(),
        tier=tier,
        mode=component.mode(tier_args),
        tier_args=tier_args,
        app=app,
        app_dir=app_file.absolute().parent,
        port=_port(config, "port", 8080),
        tls_port=_port(config, "tlsPort", 8443),
        scale=_scale(config, app),
        rollback=_rollback(app),
    )


def _located(item: Any) -> AnytierError:
    return AnytierError(f"{item.file}:{item.line}:{item.column}: {item.path}", item.what, item.do)


def _require(config: pulumi.Config, key: str, do: str) -> str:
    value = config.get(key)
    if not value:
        raise ConfigError(f"anytier:{key}", "is not set in this stack", f"`pulumi config set anytier:{key} ...`: {do}")
    return value


def _tier_args(config: pulumi.Config, component: Any) -> Frozen:
    key = component.config_key
    raw = _object(config, key)
    try:
        args: Frozen = component.args_type.model_validate(raw)
    except ValidationError as error:
        known = [info.alias or name for name, info in component.args_type.model_fields.items()]
        raise ExceptionGroup("config", [_config_error(key, item, known) for item in error.errors()]) from None
    return args


def _config_error(key: str, item: Any, known: list[str]) -> ConfigError:
    path = ".".join([f"anytier:{key}", *(str(part) for part in item["loc"])])
    if item["type"] == "extra_forbidden":
        return ConfigError(
            path, "is not an option" + did_you_mean(str(item["loc"][-1]), known), f"one of {', '.join(known)}"
        )
    return ConfigError(path, item["msg"], "see the tier's page in docs/")


def _object(config: pulumi.Config, key: str) -> Mapping[str, Any]:
    text = config.get(key)
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ConfigError(
            f"anytier:{key}", "must be a mapping", f"`pulumi config set --path 'anytier:{key}.name' value`"
        )
    return value


def _port(config: pulumi.Config, key: str, default: int) -> int:
    text = config.get(key)
    if text is None:
        return default
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"anytier:{key}", f"{text!r} is not a port", "a number from 1 to 65535")
    return int(text)


def _scale(config: pulumi.Config, app: App) -> dict[str, int]:
    wanted = _object(config, "scale")
    for name, count in wanted.items():
        if name not in app.workloads:
            raise ConfigError(f"anytier:scale.{name}", f"there is no such workload{did_you_mean(name, app.workloads)}")
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= 1000:
            raise ConfigError(f"anytier:scale.{name}", f"{count!r} is not a replica count", "a number from 0 to 1000")
    return dict(wanted)


def _rollback(app: App) -> dict[str, int]:
    wanted: dict[str, int] = json.loads(os.environ.get(ROLLBACK_ENV) or "{}")
    return {name: int(revision) for name, revision in wanted.items() if name in app.workloads}


@_clear_errors
def check(stack: Stack) -> None:
    """Refuse what the tier cannot carry: every such field at once, by the capability table."""
    findings = capabilities.check(used_fields(stack.app), stack.tier, stack.mode)
    if findings:
        raise ExceptionGroup("capabilities", [finding.error() for finding in findings])


@_clear_errors
def deploy(stack: Stack) -> None:
    """Make the place, put the app on it, export where it serves."""
    from anytier.app import App as AppComponent

    config = pulumi.Config("anytier")
    tier = tier_class(stack.tier)(stack.tier, stack.tier_args, port=stack.port, tls_port=stack.tls_port)
    app = AppComponent(
        stack.app.metadata.name,
        spec=stack.app,
        place=tier.place,
        ns=stack.ns,
        app_dir=stack.app_dir,
        owner=owner(),
        scale=stack.scale,
        rollback=stack.rollback,
        secret_config=lambda key: config.get(f"secret.{key}") or config.get(key),
    )
    for name, value in app.exports.items():
        pulumi.export(name, value)


def owner() -> str:
    """Who deploys from where: tells two projects with the same names apart on one machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}:{Path.cwd()}"
