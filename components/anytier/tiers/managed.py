"""What the managed clouds have in common, in the same words: node pools, networks, versions, kubeconfigs, logins.

Pure values and checks: neither a cloud's SDK nor Pulumi. What a cloud calls these things is in its own args file.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.render.kubeadm import names
from anytier.suggest import did_you_mean
from anytier.tiers.places import Cluster

Arch = Literal["amd64", "arm64"]
Types = Mapping[str, Mapping[Arch, str]]  # a size's word -> the exact type for each kind of processor

# What the words promise at least: cores and GiB of memory.
SIZES: Mapping[str, tuple[int, int]] = {"small": (2, 4), "medium": (2, 8), "large": (4, 16)}
MAX_NODES = 450

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{2,60}")
_MINOR = re.compile(r"1\.[0-9]{1,3}")


# node pools

PoolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,7}$")]


class Nodes(Frozen):
    """A pool of machines that are alike. `size`: small, medium, large, or a type of the cloud's by its exact name.

    It begins with `min` machines; where the cloud counts by itself it goes up to `max`, else `max` is room for updates.
    `disk` in GiB. `labels` are the Nodes', which a workload's `placement.labels` asks for.
    """

    name: PoolName = "main"
    min: int = Field(default=2, ge=0, le=MAX_NODES)
    max: int | None = Field(default=None, ge=0, le=MAX_NODES)
    size: Annotated[str, Field(max_length=60)] = "medium"
    arch: Arch | None = None
    spot: bool = False
    disk: int = Field(default=50, ge=20, le=4096)
    labels: dict[Annotated[str, AfterValidator(names.label_key)], Annotated[str, AfterValidator(names.label_value)]] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _some(self) -> Nodes:
        if self.max == 0:
            raise ValueError(f"pool {self.name} may have no machine at all; give it a `max`, or take it out")
        if self.max is not None and self.max < self.min:
            raise ValueError(f"pool {self.name} has a `min` of {self.min}, which is more than its `max` of {self.max}")
        return self

    @property
    def most(self) -> int:
        """`max`; where none is said, twice the `min`, and 2 at least."""
        return self.max if self.max is not None else max(2 * self.min, 2)


def wrong_pools(pools: Sequence[Nodes], at: str) -> Iterator[ConfigError]:
    """Pools by their names, and a machine that is there for the app. `at`: their path, such as `anytier:eks.nodes`."""
    seen: dict[str, int] = {}
    for index, pool in enumerate(pools):
        first = seen.setdefault(pool.name, index)
        if first != index:
            what = f"{pool.name!r} is the name of pool {first}, too"
            yield ConfigError(f"{at}.{index}.name", what, "give each pool a `name` of its own")
    if not any(pool.min > 0 for pool in pools):
        what = "no pool has a machine to begin with" if pools else "names no pool"
        yield ConfigError(at, what, "give one pool a `min` of 1 or more, such as nodes: [{min: 2, size: medium}]")


def machine_type(
    pool: Nodes, at: str, types: Types, arch_of: Callable[[str], Arch | None], example: str
) -> tuple[str, Arch]:
    """(the exact type, its processor) of a pool. `at` is the pool's path, `types` what the words mean in this cloud.

    `arch_of` says the processor of an exact type, None for what is no type of this cloud. ConfigError names the option.
    """
    if pool.size in SIZES:
        arch: Arch = pool.arch or "amd64"
        return types[pool.size][arch], arch
    found = arch_of(pool.size) if _TYPE.fullmatch(pool.size) else None
    if found is None:
        what = f"{pool.size!r} is neither {', '.join(SIZES)} nor a machine type here{did_you_mean(pool.size, SIZES)}"
        raise ConfigError(f"{at}.size", what, f"one of these words, or an exact type such as {example}")
    if pool.arch not in (None, found):
        what = f"is {pool.arch}, and {pool.size} is {found}"
        raise ConfigError(f"{at}.arch", what, "leave `arch` out where `size` is an exact type")
    return pool.size, found


def processors(pools: Iterable[Nodes], arch_of: Callable[[str], Arch | None]) -> tuple[str, ...]:
    """Those of the pools' machines, the first pool's first; those of pools that begin without a machine come last.

    `arch_of`: as of `machine_type`; a size that is none is told there.
    """
    ordered = sorted(pools, key=lambda pool: pool.min == 0)
    found = ((pool.arch or "amd64") if pool.size in SIZES else arch_of(pool.size) for pool in ordered)
    return tuple(dict.fromkeys(arch for arch in found if arch is not None))


def hashed(name: str, content: Mapping[str, Any], limit: int = 63, between: str = "-", digits: int = 8) -> str:
    """`name` with the hash of what, once changed, makes another thing: so the new one is there before the old one goes.

    `content` is plain JSON data. What may change in place does not belong in it.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()[:digits]
    return f"{name[: limit - digits - len(between)].rstrip('-')}{between}{digest}"


# versions


@dataclass(frozen=True)
class Minor:
    """A minor version of Kubernetes at a cloud: its last day of usual support, and the last day that it is there."""

    usual: datetime.date
    last: datetime.date


@dataclass(frozen=True)
class Versions:
    """The minors that a cloud has, as of a date. `source` is where that was read, for people."""

    cloud: str
    minors: Mapping[str, Minor]
    default: str
    asof: datetime.date
    source: str

    def known(self, text: str) -> str:
        """`text` if the cloud has it. ValueError, for a model's validator."""
        bare = text.removeprefix("v")
        if bare in self.minors:
            return bare
        if not _MINOR.fullmatch(bare):
            raise ValueError(f"{text[:40]!r} is no minor version; {self.cloud} itself chooses the patch: give 1.NN")
        what = f"{text} is no version that {self.cloud} is known to have ({self.asof})"
        raise ValueError(f"{what}; one of {self.names}, in quotes")

    def over(self, minor: str, today: datetime.date, at: str) -> ConfigError | None:
        """Why a version that was there is there no longer. `at` is the option's path."""
        if today <= self.minors[minor].last:
            return None
        left = [name for name, item in self.minors.items() if today <= item.last]
        what = f"{minor} is gone: {self.cloud} had it until {self.minors[minor].last}"
        do = f"one of {', '.join(left)}, one minor at a time" if left else f"see {self.source}, and update anytier"
        return ConfigError(at, what, do)

    def warning(self, minor: str, today: datetime.date) -> str | None:
        """What is worth saying of a version that is still there."""
        item = self.minors[minor]
        if item.usual < today <= item.last:
            return (
                f"{self.cloud}'s usual support of Kubernetes {minor} ended {item.usual}; it is gone after {item.last}"
            )
        return None

    @property
    def names(self) -> str:
        return ", ".join(self.minors)


def as_text(value: Any) -> Any:
    """A version that stands without quotes is a number to YAML, and 1.35 is what was meant. (1.30 is 1.3 by then.)"""
    return str(value) if isinstance(value, float) else value


# places in the world


def wrong_location(text: str | None, known: Iterable[str], at: str, example: str) -> ConfigError | None:
    """`at`: the provider's own key, such as `aws:region`. None is one that is not set."""
    if not text:
        return ConfigError(at, "is not set in this stack", f"`pulumi config set {at} {example}`")
    names_ = sorted(known)
    if text in names_:
        return None
    what = f"{text[:40]!r} is no region that is known here{did_you_mean(text, names_)}"
    return ConfigError(at, what, f"one such as {example}")


# networks

_PRIVATE = tuple(
    ipaddress.IPv4Network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)


def network(text: str, largest: int, smallest: int, example: str) -> str:
    """A private IPv4 network in CIDR between two prefix lengths. ValueError, for a model's validator."""
    try:
        net = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no IPv4 network ({error}); give one such as {example}") from None
    if "/" not in text:
        raise ValueError(f"{text} is an address; give a network such as {example}")
    if not any(net.subnet_of(private) for private in _PRIVATE):
        raise ValueError(f"{text} is not of the private addresses; give one such as {example}")
    if not largest <= net.prefixlen <= smallest:
        size = "large" if net.prefixlen < largest else "small"
        raise ValueError(f"{text} is too {size}: from /{largest} to /{smallest}, such as {example}")
    return str(net)


def overlaps(nets: Mapping[str, str | None]) -> Iterator[ConfigError]:
    """Networks by their options' paths (None: not given) that have addresses in common; the later one is at fault."""
    given = [(path, ipaddress.ip_network(net)) for path, net in nets.items() if net]
    for (one, first), (other, second) in itertools.combinations(given, 2):
        if first.version == second.version and first.overlaps(second):
            what = f"{second} overlaps `{one.rpartition('.')[2]}`, which is {first}"
            yield ConfigError(other, what, "choose networks that have no address in common")


def caller(text: str) -> str:
    """Who may reach the API server from outside: an address or a network, and never everybody. ValueError otherwise."""
    try:
        net = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise ValueError(f"{text[:40]!r} is no IPv4 address or network ({error}); such as 203.0.113.7/32") from None
    if net.prefixlen < 8:
        raise ValueError(f"{text} is (nearly) everybody; give the addresses that you come from, such as 203.0.113.7/32")
    return str(net)


Access = list[Annotated[str, AfterValidator(caller)]]

PRIVATE_API = (
    "the API server is reached from inside of its network only: run this there (VPN, peering, a runner), or let your"
    " own address in: `pulumi config set --path '{key}.access[0]' ADDRESS/32`"
)


def daemon(text: str) -> str:
    """A Docker daemon that builds images. ValueError otherwise."""
    if urlsplit(text).scheme not in ("unix", "ssh"):
        raise ValueError(f"{text[:60]!r} is no Docker daemon that builds images: unix:///path or ssh://user@host")
    return text


def builder(text: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """The daemon in the plugin's form: that of the config, else what Docker's own tools would ask."""
    return {"host": text or environment.get("DOCKER_HOST") or "unix:///var/run/docker.sock"}


# kubeconfigs


@dataclass(frozen=True)
class Exec:
    """The cloud's own command that gets a short-lived token; `hint` is shown where it is not installed."""

    command: str
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    cluster_info: bool = False


def kubeconfig(name: str, server: str, authority: str, login: Exec) -> str:
    """A kubeconfig's text: JSON, which is YAML. `authority` is the CA's certificate, base64 of PEM.

    It holds no credentials: who may run `login`, may come in.
    """
    run: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": login.command,
        "args": list(login.args),
        "env": [{"name": key, "value": value} for key, value in sorted(login.env.items())] or None,
        "installHint": login.hint,
        "interactiveMode": "IfAvailable",
        "provideClusterInfo": login.cluster_info,
    }
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": authority}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
        "users": [{"name": name, "user": {"exec": run}}],
    }
    return json.dumps(made, indent=2) + "\n"


# who we are


@dataclass(frozen=True)
class Credentials:
    """Where a cloud's own tools look for somebody to be. `variables`: names, all of a group together; `files`: below
    the home folder, or named by an environment variable (`$NAME`); `config`: keys of the stack's config.

    `provider`: variables and keys of the config that log in Pulumi's provider alone. The command that gets into the
    cluster looks at none of them.
    """

    cloud: str
    login: str
    variables: tuple[tuple[str, ...], ...]
    files: tuple[str, ...]
    config: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()

    def missing(self, environment: Mapping[str, str], home: Path, config: Iterable[str], at: str) -> ConfigError | None:
        """One clear line where nobody is found. Whether a cloud takes what is found is its own business."""
        if self._found(environment, home, config) or self._alone(environment, config):
            return None
        return ConfigError(at, f"nobody is logged in to {self.cloud} here", self.login)

    def halfway(self, environment: Mapping[str, str], home: Path, config: Iterable[str], at: str) -> ConfigError | None:
        """Where Pulumi's provider is somebody and whoever calls the cluster is nobody: it would be made for no one."""
        alone = self._alone(environment, config)
        if not alone or self._found(environment, home, config):
            return None
        what = f"{alone[0]} logs in Pulumi's provider alone: the command that gets into the cluster does not look at it"
        return ConfigError(at, what, self.login)

    def _found(self, environment: Mapping[str, str], home: Path, config: Iterable[str]) -> bool:
        if any(all(environment.get(name) for name in group) for group in self.variables):
            return True
        return bool(set(self.config) & set(config)) or any(_there(name, environment, home) for name in self.files)

    def _alone(self, environment: Mapping[str, str], config: Iterable[str]) -> list[str]:
        given = set(config)
        return [name for name in self.provider if environment.get(name) or name in given]


def _there(name: str, environment: Mapping[str, str], home: Path) -> bool:
    if name.startswith("$"):
        named = environment.get(name[1:])
        return bool(named) and Path(str(named)).is_file()
    return (home / name).is_file()


def lacking(tier: str, module: str) -> Iterator[ConfigError]:
    """Where the cloud's SDK is not installed; nothing of it is loaded. A recording needs it, too."""
    if find_spec(module) is None:
        what = f"tier {tier} needs {module.replace('_', '-')}, which is not installed here"
        do = f"`python3 tools/setup.py --extra {tier}` in a clone; elsewhere pip install 'anytier[{tier}]'"
        yield ConfigError("anytier:tier", what, do)


# what stands beside a cluster


def offers(place: Cluster) -> dict[str, Any]:
    """What an app may count on there: what it `has`, and the names by which objects ask for it."""
    named = {"storageClass": place.storage_class, "ingressClass": place.ingress_class, "gateway": place.gateway}
    given = {key: name for key, name in named.items() if name is not None}
    return {"has": sorted(place.offers), **given}


def protection(key: str, protect: bool) -> str:
    """Whether it may be taken down, and how to change that. `key`: of the tier, such as `anytier:eks`."""
    if protect:
        return f"protected: `pulumi config set --path {key}.protect false`, then `pulumi up`, and only then a destroy"
    return f"not protected: `pulumi config set --path {key}.protect true` refuses a destroy"
