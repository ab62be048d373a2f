"""From single answers of probes to the health of an instance, as a rollout sees it. Pure; knows no place."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Health = Literal["starting", "healthy", "unhealthy", "exited"]
SETTLED = 5.0  # seconds after which a process that serves is no longer starting


@dataclass(frozen=True)
class Answer:
    """What a probe got; `said` is for people."""

    ok: bool
    said: str


class Probe(Protocol):
    """Seconds and counts of a probe."""

    @property
    def period(self) -> float: ...
    @property
    def failure_threshold(self) -> int: ...
    @property
    def success_threshold(self) -> int: ...


class Judge:
    """What earlier looks saw of one instance: probes count in a row."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.restarts: int | None = None
        self.restarted = False
        self.looked = False
        self.healthy = False
        self.said = ""
        self._well = self._failed = 0
        self._failing_since = 0.0
        self._clock = clock

    def ended(self) -> Health:
        """It does not run."""
        self.looked, self.healthy, self._well, self._failed = True, False, 0, 0
        return "exited"

    def has_restarted(self, count: int) -> bool:
        """Whether it was started anew since the first look; `count` are its restarts so far."""
        again = self.restarts is not None and count > self.restarts
        self.restarts, self.restarted = count, self.restarted or again
        return again

    def judge(self, probes: Sequence[Probe], answers: Sequence[Answer], attached: bool) -> Health:
        """Healthy once all answered well as often as asked; unhealthy once one then fails as often as it may."""
        self.looked = True
        bad = next((answer for answer in answers if not answer.ok), None)
        self.said = bad.said if bad else ""
        if bad is None:
            self._well, self._failed = self._well + 1, 0
            self.healthy = self.healthy or self._well >= max([1, *(item.success_threshold for item in probes)])
            return "healthy" if self.healthy else "starting"
        self._failing_since = self._clock() if self._failed == 0 else self._failing_since
        self._well, self._failed = 0, self._failed + 1
        if not self.healthy:
            return "starting"
        return "unhealthy" if self._given_up(probes, attached) else "healthy"

    def _given_up(self, probes: Sequence[Probe], attached: bool) -> bool:
        """As often as the probe allows; one that serves also for as long, up to a few seconds: looks come fast."""
        lasts = min(item.failure_threshold * item.period for item in probes)
        patient = min(lasts, SETTLED) if attached else 0.0
        enough = self._failed >= min(item.failure_threshold for item in probes)
        return enough and self._clock() - self._failing_since >= patient
