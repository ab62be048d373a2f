"""What is so of a tier whatever the app is, and what things cost: data with sources and dates, in files beside this.

A fact that is missing, or that names no source, is a defect of the data; a test walks them all.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field

from anytier.frozen import Frozen
from anytier.report.compare.model import By, Cell, Source

FOLDER = Path(__file__).parent / "facts"
# Key -> what a row is called. In the order of the report.
PATCHES: Mapping[str, str] = {
    "patch.control-plane": "control plane",
    "patch.etcd": "etcd",
    "patch.certificates": "certificates",
    "patch.nodes": "machines",
    "patch.add-ons": "add-ons",
}
WAYS: Mapping[str, str] = {
    "sla": "service level agreed",
    "upgrade": "way of an upgrade",
    "nodes": "operation of machines",
    "network": "network",
    "identity": "identity of a workload",
    "storage": "volumes",
    "balancer": "load balancing",
    "scale.machines": "who adds machines",
    "limits": "limits",
}
NEEDS: Mapping[str, str] = {
    "need.own-hardware": "runs on hardware of your own",
    "need.audit": "keeps a log of who changed what",
    "need.encryption": "secrets encrypted where they are stored",
    "need.sla": "somebody answers for its availability by contract",
    "need.network-policy": "what may not talk to each other cannot",
}
KEYS = (*PATCHES, *WAYS, *NEEDS)


class Fact(Frozen):
    says: str
    source: str
    by: By | None = None
    value: float | None = None
    unit: str = ""
    meets: bool | None = None
    note: str = ""
    known: bool = True


class Facts(Frozen):
    """One tier's file. `modes`: where a mode of the tier differs."""

    tier: str
    sources: dict[str, Source]
    facts: dict[str, Fact]
    modes: dict[str, dict[str, Fact]] = Field(default_factory=dict)

    def of(self, key: str, mode: str | None) -> Fact:
        return self.modes.get(mode or "", {}).get(key) or self.facts[key]


class Alike(Frozen):
    tier: str
    region: str
    type: str


class Machines(Frozen):
    """By region, then by type: dollars an hour."""

    source: str
    regions: dict[str, dict[str, float]]


class Prices(Frozen):
    """Dollars an hour. `alike`: machines of one size, one for each cloud."""

    hours: int
    sources: dict[str, Source]
    control_planes: dict[str, dict[str, float]]
    alike: tuple[Alike, ...]
    machines: dict[str, Machines]

    def machine(self, tier: str, region: str, type: str) -> tuple[float, Source] | None:
        """What one costs an hour, and who says so; None where that is not known."""
        found = self.machines.get(tier)
        price = found.regions.get(region, {}).get(type) if found else None
        return None if found is None or price is None else (price, self.sources[found.source])

    def control_plane(self, tier: str, kind: str) -> tuple[float, Source] | None:
        price = self.control_planes.get(tier, {}).get(kind)
        return None if price is None else (price, self.sources.get(f"{tier}-{kind}", self.sources[tier]))


@cache
def facts(tier: str) -> Facts:
    return Facts.model_validate(_read(FOLDER / f"{tier}.yaml"))


@cache
def prices() -> Prices:
    return Prices.model_validate(_read(FOLDER / "prices.yaml"))


def cell(tier: str, mode: str | None, key: str) -> Cell:
    """A fact as a cell. What it says to be unknown is unknown."""
    found = facts(tier)
    fact = found.of(key, mode)
    return Cell(
        text=fact.says,
        known=fact.known and fact.says != "unknown",
        value=fact.value,
        unit=fact.unit,
        by=fact.by,
        meets=fact.meets,
        note=fact.note,
        sources=(found.sources[fact.source],),
    )


def oldest(tier: str) -> datetime.date | None:
    dates = [source.date for source in facts(tier).sources.values() if source.date]
    return min(dates, default=None)


def _read(file: Path) -> Any:
    import yaml

    return yaml.safe_load(file.read_text(encoding="utf-8"))
