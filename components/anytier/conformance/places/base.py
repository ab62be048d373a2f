"""What the suite needs from a kind of place. Only day-two hands: nothing in here deploys anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

Report = Mapping[str, Any]


class Place(Protocol):
    """A place under test. An instance is named by the report that it gives of itself."""

    tier: str
    mode: str | None  # of the capability table
    address: str  # where the suite asks the app
    containers: bool  # instances are containers, `container` sections hold; else they are native processes

    def versions(self) -> dict[str, str]:
        """What the place is made of, for the report."""

    def kill_process(self, ns: str, report: Report) -> None:
        """kill -9 of the app's process."""

    def kill_instance(self, ns: str, report: Report) -> None:
        """kill -9 of all that the instance is: the container's first process; on a host, the process group."""

    def kill_proxy(self, ns: str) -> None:
        """kill -9 of the process that the app's traffic goes through."""

    def remove_instance(self, ns: str, report: Report) -> None:
        """Behind our back: the instance and its definition are gone."""

    def visible(self, ns: str) -> dict[str, str]:
        """Everything that somebody who may look can read about the app at the place: source -> text."""

    def leftovers(self, ns: str) -> list[str]:
        """What is still there of an app, in words."""


@runtime_checkable
class Heals(Protocol):
    """A place that itself puts an instance there again that is gone; what we deployed is then its definition."""

    def meddle(self, ns: str, workload: str, replicas: int) -> None:
        """Behind our back: another number of instances is wanted there."""


@runtime_checkable
class Made(Protocol):
    """What a place says besides, if its machines are made by the stack that is tested."""

    pace: float  # how much longer everything may take there than on a real machine: 1 for one that is as fast
    network: str  # in CIDR: one that is of this machine only, where the suite may ask and load them
    key_file: str  # of their login


@runtime_checkable
class Told(Protocol):
    """A place that is only known once the stack that is tested has made it. A port that is exposed may have another
    address there than the routes."""

    def told(self, outputs: Mapping[str, Any]) -> bool:
        """The stack's outputs, secrets in the clear; whether they say where the app is reached."""

    def exposed(self, ns: str, port: int) -> str:
        """Where a port that a workload exposes is reached."""


@dataclass(frozen=True)
class Weight:
    """What one process takes. `memory`: bytes, of pages that several have its share; `cpu`: seconds since it began, and
    those of its children that have ended. `shares`: False where this user may only see all that is resident."""

    name: str
    memory: int
    cpu: float
    shares: bool = True


@runtime_checkable
class Weighed(Protocol):
    """A place that can say what runs there beside the app: `anytier measure` asks."""

    def machine(self) -> dict[str, Any]:
        """`cores`, `memory` (MiB), `kernel`, `cpu`, `load` of what the app runs on; of several machines the first."""

    def platform(self, ns: str) -> dict[str, Weight]:
        """Every process that is there for the app and not the app's own, by a key that no later process has."""
