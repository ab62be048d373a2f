"""What a stack may say of an AKS cluster that anytier makes: the config of tier `aks`, typed.

Nothing is decided here; only what is wrong in one value by itself is refused.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from anytier import logins
from anytier.frozen import Frozen
from anytier.tiers import managed
from anytier.tiers.aksfacts import VERSIONS
from anytier.tiers.gateways import GatewayArgs
from anytier.tiers.managed import Nodes

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_REGISTRY = re.compile(
    r"/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[A-Za-z0-9._()-]{1,90}"
    r"/providers/Microsoft\.ContainerRegistry/registries/[A-Za-z0-9]{5,50}",
)
_START = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4]):(00|30|45)")
_TAG = re.compile(r"[^<>%&\\?/\x00-\x1f]{1,512}")


_RESERVED = tuple(ipaddress.IPv4Network(net) for net in ("172.30.0.0/16", "172.31.0.0/16"))


def _free(text: str, largest: int, smallest: int, example: str) -> str:
    found = managed.network(text, largest, smallest, example)
    for taken in _RESERVED:
        if taken.overlaps(ipaddress.IPv4Network(found)):
            raise ValueError(f"{found} overlaps {taken}, which AKS keeps for itself; give one such as {example}")
    return found


def _network(text: str) -> str:
    return _free(text, 8, 22, "10.180.0.0/16")


def _pods(text: str) -> str:
    return _free(text, 9, 22, "10.244.0.0/16")


def _services(text: str) -> str:
    return _free(text, 12, 24, "10.96.0.0/16")


def _person(text: str) -> str:
    if not _GUID.fullmatch(text.lower()):
        do = "`az ad signed-in-user show --query id` says one's own, `az ad group show -g NAME --query id` a group's"
        raise ValueError(f"{text[:60]!r} is no object id of Entra; {do}")
    return text.lower()


Person = Annotated[str, AfterValidator(_person)]


def _registry(text: str) -> str:
    if not _REGISTRY.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no id of a registry; `az acr show -n NAME --query id` says it")
    return text


def _docker(text: str) -> str:
    if not text.startswith(("unix://", "ssh://")):
        raise ValueError(f"{text[:60]!r} is no Docker daemon that builds images: unix:///path or ssh://user@host")
    return text


def _start(text: str) -> str:
    if not _START.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is no time of the day such as 02:00")
    return text


def _offset(text: str) -> str:
    if not _OFFSET.fullmatch(text):
        raise ValueError(f"{text[:20]!r} is no offset from UTC such as +00:00")
    return text


def _tag(text: str) -> str:
    if not _TAG.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no name of a tag: up to 512 characters, and none of <>%&\\?/")
    return text


class Maintenance(Frozen):
    """When Azure may upgrade: once a week from `start` on, for so many hours, in the time zone of `utcOffset`."""

    day: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"] = "Sunday"
    start: Annotated[str, AfterValidator(_start)] = "02:00"
    hours: int = Field(default=4, ge=4, le=24)
    utc_offset: Annotated[str, AfterValidator(_offset)] = "+00:00"


class Admin(Frozen):
    """Who may do all in the cluster, by the object id in Entra: a person, a group, or an application."""

    user: Person | None = None
    group: Person | None = None
    app: Person | None = None

    @model_validator(mode="after")
    def _one(self) -> Admin:
        if sum(item is not None for item in (self.user, self.group, self.app)) != 1:
            raise ValueError("says not one of user, group and app, with an object id; give each an entry of its own")
        return self

    @property
    def principal(self) -> tuple[str, str]:
        """(the object id, what Azure calls this kind)."""
        if self.group is not None:
            return self.group, "Group"
        return (self.app, "ServicePrincipal") if self.app is not None else (str(self.user), "User")


class System(Nodes):
    """The pool for AKS's own pods. Of its machines one comes with the cluster, and stays what it was made as."""

    name: managed.PoolName = "system"


class AksArgs(Frozen):
    """Stack config `anytier:aks`. All of it is optional; docs/stacks.md has every option."""

    mode: Literal["standard", "automatic"] = "standard"
    version: Annotated[str, BeforeValidator(managed.as_text), AfterValidator(VERSIONS.known)] | None = None
    nodes: list[Nodes] = Field(default_factory=lambda: [Nodes()])
    system: System = System()
    zones: list[Literal["1", "2", "3"]] | None = None
    network: Annotated[str, AfterValidator(_network)] = "10.180.0.0/16"
    pod_network: Annotated[str, AfterValidator(_pods)] = "10.244.0.0/16"
    service_network: Annotated[str, AfterValidator(_services)] = "10.96.0.0/16"
    access: managed.Access = Field(default_factory=list, max_length=200)
    admins: list[Admin] = Field(default_factory=list)
    login: Literal["azurecli", "azd", "msi", "spn", "workloadidentity"] = "azurecli"
    ingress: Literal["router", "app-routing"] = "router"
    gateway: GatewayArgs | None = None
    upgrades: Literal["patch", "stable", "rapid", "node-image", "none"] = "patch"
    node_os: Literal["node-image", "security-patch", "none"] = "node-image"
    maintenance: Maintenance = Maintenance()
    sla: Literal["standard", "premium"] = "standard"
    audit: Literal["changes", "all"] = "changes"
    log_retention: int = Field(default=30, ge=30, le=730)
    builder: Annotated[str, AfterValidator(_docker)] | None = None
    registry: Annotated[str, AfterValidator(_registry)] | None = None
    protect: bool = False
    tags: dict[Annotated[str, AfterValidator(_tag)], Annotated[str, Field(max_length=256)]] = Field(
        default_factory=dict, max_length=40
    )
    address: Annotated[str, AfterValidator(logins.address)] | None = None
    caddy_image: str | None = None
