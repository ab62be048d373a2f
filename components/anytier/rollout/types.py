"""The rollout's words: what is seen, what is wanted, and what a place must be able to do.

Types only; the thinking is in decide.py and the doing in run.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Health = Literal["starting", "healthy", "unhealthy", "exited"]


@dataclass(frozen=True)
class Instance:
    """One instance as a place shows it now. `attached`: it gets new requests; `draining`: no longer, but may have some.

    `exited` is said of an instance that has ended, be it once and restarted since; nothing else is final.
    """

    id: str
    revision: int
    index: int
    state: Health
    attached: bool = False
    draining: bool = False

    @property
    def serving(self) -> bool:
        return self.state == "healthy" and self.attached and not self.draining


@dataclass(frozen=True)
class Goal:
    """`replicas` of `revision`. `previous` is the revision to return to on failure, with `replicas_before` replicas.

    `previous` is None for a first deploy, and equals `revision` when only the number changes (or nothing at all).
    """

    revision: int
    replicas: int
    previous: int | None = None
    replicas_before: int = 0


@dataclass(frozen=True)
class Outcome:
    revision: int
    replicas: int
    took: float


class Policy(Protocol):
    """What the rollout reads of an update policy; `render.template.UpdatePolicy` is one. Times in seconds."""

    @property
    def strategy(self) -> Literal["rolling", "recreate"]: ...
    @property
    def order(self) -> Literal["start-first", "stop-first"]: ...
    @property
    def max_parallel(self) -> int: ...
    @property
    def min_healthy_time(self) -> float: ...
    @property
    def healthy_deadline(self) -> float: ...
    @property
    def progress_deadline(self) -> float: ...
    @property
    def auto_rollback(self) -> bool: ...
    @property
    def drain_timeout(self) -> float: ...


class Driver(Protocol):
    """A workload's place. Every call may raise AnytierError, may be cancelled, and may be repeated."""

    async def observe(self) -> Sequence[Instance]:
        """What is there now, of every revision, half-made things included. Probes are asked here."""
        ...

    async def start(self, revision: int, index: int) -> str:
        """Make and start one instance, and return its id without waiting for health."""
        ...

    async def attach(self, ids: Sequence[str]) -> None:
        """Give requests to them, draining ones included, in one atomic change."""
        ...

    async def drain(self, ids: Sequence[str], timeout: float) -> None:
        """Give them no new requests and wait until the present ones are answered, at most `timeout`."""
        ...

    async def stop(self, id: str) -> None:
        """Stop it gracefully and remove it. One that is gone already is a success."""
        ...

    async def why(self, id: str) -> str:
        """Why it is not healthy, in a paragraph: the probe's answer, how it ended, its last log lines."""
        ...
