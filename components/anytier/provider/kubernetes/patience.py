"""When a rollout on Kubernetes has failed: a pod that does not become ready in time, or nothing that moves. Pure.

Times are of this side's monotonic clock, since the cluster's may be another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from anytier.provider.kubernetes.kinds import Json, Seen, going, meta, ready, uid
from anytier.provider.kubernetes.reasons import containers

# An image on its way and a node that is not there yet are not the app's fault; `progressDeadline` alone limits them.
_COMING = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class Verdict:
    """Why it has failed; `pods` are those that did it, the first of them first."""

    reason: str
    pods: tuple[Json, ...] = ()


@dataclass
class Patience:
    """What earlier looks saw. Both deadlines are in seconds; `began` is when the first look was made."""

    healthy_deadline: float
    progress_deadline: float
    began: float
    moved: float = 0.0
    best: tuple[int, int] | None = None
    since: dict[str, float] = field(default_factory=dict)

    def judge(self, seen: Seen, mine: Sequence[Json], others: int, now: float) -> Verdict | None:
        """`mine`: the pods of the wanted template; `others`: how many there are of older ones."""
        self._notice(seen, mine, others, now)
        slow = [pod for pod in mine if now - self.since.get(uid(pod), now) > self.healthy_deadline]
        if slow:
            name = meta(slow[0]).get("name")
            return Verdict(f"{name} was not healthy within {self.healthy_deadline:g} s", tuple(slow))
        if now - self.moved > self.progress_deadline:
            waiting = tuple(pod for pod in mine if not ready(pod))
            return Verdict(f"nothing moved for {self.progress_deadline:g} s", waiting)
        return None

    def _notice(self, seen: Seen, mine: Sequence[Json], others: int, now: float) -> None:
        self.moved = self.moved or self.began
        well = sum(ready(pod) and not going(pod) for pod in mine)
        step = (min(well, seen.wanted), -others)
        if self.best is None or step[0] > self.best[0] or step[1] > self.best[1]:
            self.best = (max(step[0], self.best[0]), max(step[1], self.best[1])) if self.best else step
            self.moved = now
        for pod in mine:
            if ready(pod) or going(pod) or coming(pod):
                self.since.pop(uid(pod), None)
            else:
                self.since.setdefault(uid(pod), now)


def coming(pod: Json) -> bool:
    """Whether nothing of it has been tried yet: no node, or its containers are being made for the first time."""
    return not any(_tried(status) for status in containers(pod))


def _tried(status: Json) -> bool:
    state: dict[str, Any] = status.get("state") or {}
    if state.get("running") or status.get("lastState"):
        return True
    if (ended := state.get("terminated")) is not None:
        return bool(ended.get("exitCode"))
    return bool((state.get("waiting") or {}).get("reason") not in (*_COMING, None))
