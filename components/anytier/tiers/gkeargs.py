"""What a stack may say of a cluster at Google Cloud: the config of tier `gke`, typed; and what that cloud has, as data.

Regions, machine families and versions are lists with a date: a preview looks nothing up.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from anytier.frozen import Frozen
from anytier.render.kubeadm import names
from anytier.tiers import managed
from anytier.tiers.gateways import GatewayArgs
from anytier.tiers.managed import Access, Arch, Minor, Nodes, Versions

KEY = "anytier:gke"

# Region -> the letters of three of its zones, by which nodes are spread. As of 2026-08:
# https://cloud.google.com/compute/docs/regions-zones
REGIONS: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "africa-south1",
            *(
                f"asia-{end}"
                for end in ("east1", "east2", "northeast1", "northeast2", "northeast3", "south1", "south2")
            ),
            *(f"asia-{end}" for end in ("southeast1", "southeast2", "southeast3")),
            *(f"australia-{end}" for end in ("southeast1", "southeast2")),
            *(f"europe-{end}" for end in ("central2", "north1", "north2", "southwest1")),
            *(f"europe-west{number}" for number in (2, 3, 4, 6, 8, 9, 10, 12)),
            *(f"me-{end}" for end in ("central1", "central2", "west1")),
            *(f"northamerica-{end}" for end in ("northeast1", "northeast2", "south1")),
            *(f"southamerica-{end}" for end in ("east1", "west1")),
            *(f"us-{end}" for end in ("central1", "east4", "east5", "south1", "west1", "west2", "west3", "west4")),
        ),
        "abc",
    ),
    "europe-west1": "bcd",
    "us-east1": "bcd",
}

# The words' exact types. Arm here is Google's own, Axion.
TYPES: Mapping[str, Mapping[Arch, str]] = {
    "small": {"amd64": "e2-medium", "arm64": "c4a-highcpu-2"},
    "medium": {"amd64": "e2-standard-2", "arm64": "c4a-standard-2"},
    "large": {"amd64": "e2-standard-4", "arm64": "c4a-standard-4"},
}

Disk = Literal["pd-balanced", "hyperdisk-balanced"]
# Machine family -> its processor, and the one kind of disk that we give it: newer families take Hyperdisk alone.
FAMILIES: Mapping[str, tuple[Arch, Disk]] = {
    **dict.fromkeys(
        ("e2", "n1", "n2", "n2d", "c2", "c2d", "c3", "c3d", "t2d", "m1", "m2", "m3"), ("amd64", "pd-balanced")
    ),
    **dict.fromkeys(("n4", "n4d", "c4", "c4d"), ("amd64", "hyperdisk-balanced")),
    "t2a": ("arm64", "pd-balanced"),
    **dict.fromkeys(("c4a", "n4a"), ("arm64", "hyperdisk-balanced")),
}
_TYPE = re.compile(
    r"([a-z][a-z0-9]{1,3})-((standard|highmem|highcpu|megamem|ultramem|hypermem)-[0-9]{1,3}|medium|small)"
)

Channel = Literal["rapid", "regular", "stable", "extended"]
_SOURCE = "https://cloud.google.com/kubernetes-engine/docs/release-schedule"
_ASOF = datetime.date(2026, 8, 21)
# Minor -> the end of usual support, and of support on the channel `extended` (24 months after it came to `regular`).
# Of 1.36 the schedule was not at hand: its days are by GKE's rule, 14 and 24 months after June 2026.
_MINORS = {  # on every channel; only how long they are there differs
    "1.33": Minor(datetime.date(2026, 8, 3), datetime.date(2027, 6, 3)),
    "1.34": Minor(datetime.date(2026, 10, 1), datetime.date(2027, 9, 30)),
    "1.35": Minor(datetime.date(2027, 4, 11), datetime.date(2028, 2, 11)),
    "1.36": Minor(datetime.date(2027, 8, 31), datetime.date(2028, 6, 30)),
}
EXTENDED = Versions("GKE", _MINORS, "1.35", _ASOF, _SOURCE)
# Elsewhere GKE itself upgrades what is past its usual support.
VERSIONS = Versions(
    "GKE", {name: Minor(item.usual, item.usual) for name, item in _MINORS.items()}, "1.35", _ASOF, _SOURCE
)

Day = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
DAYS: tuple[Day, ...] = get_args(Day)
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_ZONE = re.compile(r"[a-z]+-[a-z]+[0-9]{1,2}-[a-z]")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


def family(type_: str) -> tuple[Arch, Disk] | None:
    """(processor, kind of disk) of an exact machine type; None for what is none that is known here."""
    found = _TYPE.fullmatch(type_)
    return FAMILIES.get(found[1]) if found else None


def arch_of(type_: str) -> Arch | None:
    found = family(type_)
    return found[0] if found else None


def versions_of(channel: Channel) -> Versions:
    return EXTENDED if channel == "extended" else VERSIONS


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no time of the day (UTC), such as 02:00")
    return text


def _zone(text: str) -> str:
    if not _ZONE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no zone, such as europe-west3-a")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{text[:60]!r} is no name of a cluster: a letter, then letters, digits and dashes, 40 at most"
        )
    return text


def _docker(text: str) -> str:
    if not re.fullmatch(r"(unix:///|ssh://)[^\s]{1,200}", text):
        raise ValueError(f"{text[:60]!r} is no Docker daemon that builds images: unix:///path or ssh://user@host")
    return text


def _nodes(text: str) -> str:
    return managed.network(text, 9, 29, "10.0.0.0/20")


def _pods(text: str) -> str:
    return managed.network(text, 9, 21, "10.64.0.0/14")


def _services(text: str) -> str:
    return managed.network(text, 16, 27, "10.1.0.0/20")


class Maintenance(Frozen):
    """When GKE may upgrade by itself: on `days` of the week from `start` (UTC) on, for `hours`."""

    start: Annotated[str, AfterValidator(_clock)] = "02:00"
    hours: int = Field(default=4, ge=4, le=24)
    days: tuple[Day, ...] = Field(default=DAYS, min_length=1)

    @model_validator(mode="after")
    def _enough(self) -> Maintenance:
        weekly = self.hours * len(set(self.days))
        if weekly * 4 < 48:  # there are four of each day in 32 days
            what = f"{weekly} hours a week are less than the 48 in 32 days that GKE wants"
            raise ValueError(f"{what}; give more `hours` or `days`: 12 hours a week will do")
        return self


class GkeArgs(Frozen):
    """Stack config `anytier:gke`. Everything has a default; docs/stacks.md has every option.

    Networks are CIDRs of private addresses. `access`: networks that may reach the API server by its IP address.
    """

    name: Annotated[str, AfterValidator(_name)] | None = None
    mode: Literal["standard", "autopilot"] = "standard"
    version: Annotated[str, BeforeValidator(managed.as_text), AfterValidator(VERSIONS.known)] | None = None
    channel: Channel = "regular"
    nodes: list[Nodes] | None = None
    zones: list[Annotated[str, AfterValidator(_zone)]] = Field(default_factory=list, max_length=6)
    network: Annotated[str, AfterValidator(_nodes)] = "10.0.0.0/20"
    pods: Annotated[str, AfterValidator(_pods)] = "10.64.0.0/14"
    services: Annotated[str, AfterValidator(_services)] = "10.1.0.0/20"
    endpoint: Literal["dns", "public", "private"] = "dns"
    access: Access = Field(default_factory=list)
    maintenance: Maintenance = Maintenance()
    gateway: GatewayArgs | None = None
    builder: Annotated[str, AfterValidator(_docker)] | None = None
    protect: bool = False
    enable_apis: bool = True
    flow_logs: bool = True
    labels: dict[Annotated[str, AfterValidator(names.label_key)], Annotated[str, AfterValidator(names.label_value)]] = (
        Field(default_factory=dict)
    )

    @property
    def minor(self) -> str | None:
        """The minor that is asked for; None leaves it to the channel."""
        return self.version
