"""What a run of the steps shares: the throw-away stack, what was taken so far, which instances were killed already."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anytier.conformance.check import Failed
from anytier.conformance.patch import Patch, merged, version, workload
from anytier.conformance.trial import Run, Trial
from anytier.measure.figures import KINDS
from anytier.measure.lean import NAME
from anytier.measure.record import Figure, figure

# Two instances, one after the other: how most people update, and the same on every tier.
ONE_BY_ONE: Patch = workload(NAME, {"update": {"maxParallel": 1}})
REPLICAS = 2
GOING = 20.0  # seconds at pace 1 in which an instance that has to go still answers


@dataclass
class Session:
    """`repeat`: samples of each figure; `end`: of `clock`, after which no sample is begun."""

    trial: Trial
    repeat: int
    end: float
    say: Callable[[str], None] = print
    clock: Callable[[], float] = time.monotonic
    samples: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, float]] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)  # instances of the version that serves
    number: int = 1  # of that version

    def rounds(self) -> Iterator[int]:
        """As often as wanted, and as long as there is time. Failed where there is none for the first."""
        for index in range(self.repeat):
            if self.clock() > self.end:
                if index == 0:
                    raise Failed("no time was left: try --timeout with more seconds, or --only")
                self.say(f"       no time for more than {index} of {self.repeat} samples")
                return
            yield index

    def take(self, name: str, value: float, note: str = "", parts: Mapping[str, float] | None = None) -> None:
        """One more sample. Note and parts are those of the last one."""
        self.samples.setdefault(name, []).append(value)
        self.say(f"  {name:<18} {value:10.2f} {KINDS[name].unit}")
        if note:
            self.notes[name] = note
        if parts:
            self.parts[name] = {key: round(part, 3) for key, part in parts.items()}

    def drop(self, name: str) -> None:
        """What was taken half way."""
        for kept in (self.samples, self.notes, self.parts):
            kept.pop(name, None)

    def figures(self) -> dict[str, Figure]:
        """What was taken, in the table's order."""
        return {
            name: figure(self.samples[name], kind.unit, kind.of) for name, kind in KINDS.items() if name in self.samples
        }

    def renew(self) -> Run:
        """A new version in place of the one that serves."""
        self.number += 1
        self.killed.clear()
        return self.trial.up(self.patch())

    def patch(self) -> Patch:
        return merged(version(NAME, f"v{self.number}"), ONE_BY_ONE)

    def serving(self) -> dict[str, dict[str, Any]]:
        """The report of each instance. Those of the version before may answer for a while after the last of the new."""
        end = self.clock() + GOING * self.trial.pace
        while True:
            try:
                return self.trial.replicas(REPLICAS)
            except Failed:
                if self.clock() >= end:
                    raise
            time.sleep(0.5)

    def untouched(self) -> tuple[dict[str, Any], set[float]]:
        """An instance that was not killed yet, and when each that serves was started: what was killed often is kept
        waiting on purpose, which is another figure."""
        found = self.serving()
        if self.killed >= set(found):
            self.renew()
            found = self.serving()
        name = next(name for name in found if name not in self.killed)
        self.killed.add(name)
        return found[name], {float(report["started"]) for report in found.values()}
