"""Which instance runs on which machine: even, the same every time, and with as few moves as can be. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from pydantic import Field

from anytier.frozen import Frozen

# `spread`: shared out evenly. `each`: one on each machine. `together`: all on one, beside the data that they share.
Mode = Literal["spread", "each", "together"]


class Placement(Frozen):
    """What a workload asks of the machines that it runs on: names of machines, any of them, and labels, all of them."""

    hosts: list[str] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    mode: Mode = "spread"


class Machine(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


def fitting(machines: Sequence[Machine], placement: Placement) -> list[str]:
    """The names of the machines that will do, in the order of the list."""
    return [
        item.name
        for item in machines
        if (not placement.hosts or item.name in placement.hosts)
        and all(item.labels.get(key) == value for key, value in placement.labels.items())
    ]


def turned(fits: Sequence[str], workload: str) -> list[str]:
    """Beginning with another machine for each workload, so that single instances do not all end up on the first."""
    start = zlib.crc32(workload.encode()) % len(fits) if fits else 0
    return [*fits[start:], *fits[:start]]


def unknown_hosts(machines: Sequence[Machine], placement: Placement) -> list[str]:
    """Names in `hosts` that no machine has."""
    known = {item.name for item in machines}
    return [name for name in placement.hosts if name not in known]


def assign(fits: Sequence[str], count: int, previous: Mapping[int, str], mode: Mode = "spread") -> dict[int, str]:
    """Index -> machine for `count` instances. `previous`: where they are now, as far as they are anywhere.

    No two machines differ by more than one, and of all such ways it is one that moves the fewest. `fits` must name a
    machine if there are instances.
    """
    if count <= 0:
        return {}
    there = {index: name for index, name in previous.items() if 0 <= index < count and name in fits}
    held = {name: list(there.values()).count(name) for name in fits}
    if mode == "together":
        return dict.fromkeys(range(count), max(fits, key=lambda name: held[name]))
    base, extra = divmod(count, len(fits))
    richer = sorted(fits, key=lambda name: -held[name])[:extra]
    left = {name: base + (name in richer) for name in fits}
    placed: dict[int, str] = {}
    for index, name in sorted(there.items()):
        if left[name] > 0:
            placed[index] = name
            left[name] -= 1
    for index in range(count):
        if index not in placed:
            # Where the fewest are so far: then the first few are even by themselves, and fewer of them move nobody.
            taken = counts(placed)
            name = min((name for name in fits if left[name] > 0), key=lambda name: taken.get(name, 0))
            placed[index] = name
            left[name] -= 1
    return dict(sorted(placed.items()))


def counts(assignment: Mapping[int, str]) -> dict[str, int]:
    """Machine -> how many instances."""
    found: dict[str, int] = {}
    for name in assignment.values():
        found[name] = found.get(name, 0) + 1
    return found
