"""The words of a rollout: what is seen, what is wanted, how carefully, and what a place must be able to do.

Standard library only; nothing here knows Docker, systemd or Pulumi.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class Instance:
    """One instance as it was seen. `healthy` is what its probe said just now, or that it runs where it has none."""

    id: str
    revision: int
    index: int
    state: Literal["starting", "healthy", "unhealthy", "exited"]
    attached: bool = False
    draining: bool = False

    @property
    def serving(self) -> bool:
        return self.attached and not self.draining and self.state == "healthy"


@dataclass(frozen=True)
class Goal:
    """`replicas` of `revision`. On failure: `replicas_before` of `previous`; None is a first deploy.

    `previous == revision` is a change of the number only.
    """

    revision: int
    replicas: int
    previous: int | None = None
    replicas_before: int = 0


class Policy(Protocol):
    """`render.template.UpdatePolicy` fits. Times in seconds."""

    @property
    def strategy(self) -> str: ...
    @property
    def order(self) -> str: ...
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


@dataclass(frozen=True)
class Outcome:
    """What a rollout that succeeded reached; `took` in seconds."""

    revision: int
    replicas: int
    took: float


class Driver(Protocol):
    """The hands. Every call may raise AnytierError, and every call may be repeated."""

    async def observe(self) -> list[Instance]:
        """Look at the real place, probes included."""

    async def start(self, revision: int, index: int) -> str:
        """Create and start one instance; its id. Does not wait for health."""

    async def attach(self, ids: Sequence[str]) -> None:
        """Give traffic to them, in one change."""

    async def drain(self, ids: Sequence[str], timeout: float) -> None:
        """No new requests; return when those in flight are done, or after `timeout`."""

    async def stop(self, id: str) -> None:
        """Stop gracefully and remove. Gone already is success."""

    async def why(self, id: str) -> str:
        """Why it is not healthy: the probe's answer, how it ended, its last lines."""


class Clock(Protocol):
    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...
