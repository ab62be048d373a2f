"""The rollout's thinking: from what is seen now to what to do now. Pure, and without a plan that could grow stale.

Each call looks at all instances afresh, so that a run killed at any point is simply continued by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anytier.rollout.types import Goal, Instance, Policy

ATTEMPTS = 3  # tries of one action that must not be given up lightly


@dataclass(frozen=True)
class Memory:
    """What one look cannot tell. Made anew by `remember` and by the loop, never changed."""

    began: float
    progress: float  # when something last moved forward
    best: int = 0  # most instances ready so far
    first: Mapping[str, float] = field(default_factory=dict)  # id -> first seen
    since: Mapping[str, float] = field(default_factory=dict)  # id -> healthy ever since
    ours: frozenset[tuple[int, int]] = frozenset()  # (revision, index) that this run started
    starts: Mapping[tuple[int, int], int] = field(default_factory=dict)  # how often each was started
    failures: Mapping[str, int] = field(default_factory=dict)  # action -> failures
    refused: str | None = None  # why start() or attach() failed
    back: str | None = None  # why the way leads back


@dataclass(frozen=True)
class Act:
    """Things to do at once, in one step. Attach comes before drain, drain before stop."""

    start: tuple[tuple[int, int], ...] = ()
    attach: tuple[str, ...] = ()
    drain: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.start or self.attach or self.drain or self.stop)


@dataclass(frozen=True)
class Wait:
    """Nothing to do but look again."""


@dataclass(frozen=True)
class Back:
    """The new revision is no good. `culprit` is the instance to ask why, if there is one."""

    reason: str
    culprit: str | None = None


@dataclass(frozen=True)
class Done:
    """The target is reached: the goal, or, on the way back, what was before."""


@dataclass(frozen=True)
class GiveUp:
    """Neither forward nor back leads on."""

    reason: str
    culprit: str | None = None


Decision = Act | Wait | Back | Done | GiveUp


def remember(memory: Memory, seen: Sequence[Instance], goal: Goal, policy: Policy, now: float) -> Memory:
    """Memory after a look: who has been healthy since when, and whether anything moved forward."""
    first = {item.id: memory.first.get(item.id, now) for item in seen}
    since = {item.id: memory.since.get(item.id, now) for item in seen if item.state == "healthy"}
    after = replace(memory, first=first, since=since)
    ready = len(_ready(after, _targets(seen, *target(after, goal)), policy, now))
    if ready > memory.best:
        return replace(after, best=ready, progress=now)
    return after


def target(memory: Memory, goal: Goal) -> tuple[int | None, int]:
    """(revision, replicas) that this run moves towards now."""
    return (
        (goal.previous, goal.replicas_before if goal.previous is not None else 0)
        if memory.back
        else (goal.revision, goal.replicas)
    )


def decide(memory: Memory, seen: Sequence[Instance], goal: Goal, policy: Policy, now: float) -> Decision:
    revision, replicas = target(memory, goal)
    mine = _targets(seen, revision, replicas)
    kept = {item.id for item in mine}
    others = [item for item in seen if item.id not in kept]
    failed = _failure(memory, mine, policy, now)
    if failed and not memory.back:
        return failed
    if failed and _exhausted(memory, revision):
        return GiveUp(failed.reason, failed.culprit)
    if memory.back and now - memory.progress > policy.progress_deadline:
        return GiveUp(f"nothing moved for {policy.progress_deadline:g} s on the way back")

    ready = _ready(memory, mine, policy, now)
    attached = [item for item in ready if item.attached and not item.draining]
    attach = [item.id for item in ready if not item.attached or item.draining]
    broken = [item for item in mine if _broken(memory, item, policy, now)]
    before = goal.replicas_before if goal.previous is not None else 0

    serving = [item for item in others if item.serving]
    idle = [item for item in others if not item.serving]
    drop = _droppable(serving, len(attached), replicas, before, policy)
    # what does not serve is in nobody's way when starting first, and may yet be needed to look at: it goes at the end
    clear = idle if len(attached) >= replicas or policy.order == "stop-first" or policy.strategy == "recreate" else []
    clear = [*clear, *(item for item in idle if memory.back or item.draining)]
    act = Act(
        start=_starts(memory, revision, replicas, mine, others, len(ready), before, policy),
        attach=tuple(attach),
        drain=tuple(item.id for item in drop if item.attached and not item.draining),
        stop=tuple(dict.fromkeys([item.id for item in [*broken, *clear]])),
    )
    if act:
        return act
    if len(attached) == replicas and not others:
        return Done()
    return Wait()


def _targets(seen: Sequence[Instance], revision: int | None, replicas: int) -> list[Instance]:
    """One instance for each wanted index of the revision: the one that is furthest along."""
    rank = {"exited": 0, "unhealthy": 1, "starting": 2, "healthy": 3}
    best: dict[int, Instance] = {}
    for item in seen:
        if item.revision != revision or not 0 <= item.index < replicas:
            continue
        rival = best.get(item.index)
        if rival is None or (rank[item.state], item.serving) > (rank[rival.state], rival.serving):
            best[item.index] = item
    return list(best.values())


def _ready(memory: Memory, mine: Iterable[Instance], policy: Policy, now: float) -> list[Instance]:
    """Healthy long enough. What serves already has proved itself in an earlier run."""
    return [
        item
        for item in mine
        if item.state == "healthy"
        and (item.serving or now - memory.since.get(item.id, now) >= policy.min_healthy_time - 1e-9)
    ]


def _broken(memory: Memory, item: Instance, policy: Policy, now: float) -> bool:
    if item.state in ("exited", "unhealthy"):
        return True
    return item.state == "starting" and now - memory.first.get(item.id, now) > policy.healthy_deadline


def _failure(memory: Memory, mine: Sequence[Instance], policy: Policy, now: float) -> Back | None:
    """Whether an instance that this run started is no good, a call was refused, or nothing moves any more."""
    if memory.refused:
        return Back(memory.refused)
    for item in mine:
        if (item.revision, item.index) in memory.ours and _broken(memory, item, policy, now):
            said = {
                "exited": "ended",
                "unhealthy": "became unhealthy",
                "starting": f"was not healthy within {policy.healthy_deadline:g} s",
                "healthy": "",
            }[item.state]
            return Back(f"{item.id} {said}", item.id)
    if not memory.back and now - memory.progress > policy.progress_deadline:
        slow = next((item.id for item in mine if item.state != "healthy"), None)
        return Back(f"nothing moved for {policy.progress_deadline:g} s", slow)
    return None


def _exhausted(memory: Memory, revision: int | None) -> bool:
    tries = [count for (rev, _), count in memory.starts.items() if rev == revision]
    return (
        max(tries, default=0) >= ATTEMPTS
        or memory.failures.get("start", 0) >= ATTEMPTS
        or memory.failures.get("attach", 0) >= ATTEMPTS
    )


def _droppable(
    serving: Sequence[Instance], attached: int, replicas: int, before: int, policy: Policy
) -> list[Instance]:
    """Which of the others may go now: as many as have been replaced, or, stopping first, one step ahead of that."""
    if attached >= replicas or policy.strategy == "recreate":
        keep = 0
    else:
        ahead = policy.max_parallel if policy.order == "stop-first" else 0
        keep = max(0, max(before, replicas if before else 0) - attached - ahead)
        keep = min(keep, max(0, before - attached - ahead)) if before else 0
    going = sorted(serving, key=lambda item: (item.revision, -item.index))
    return going[: max(0, len(serving) - keep)]


def _starts(
    memory: Memory,
    revision: int | None,
    replicas: int,
    mine: Sequence[Instance],
    others: Sequence[Instance],
    ready: int,
    before: int,
    policy: Policy,
) -> tuple[tuple[int, int], ...]:
    if revision is None:
        return ()
    there = {item.index for item in mine}
    missing = [index for index in range(replicas) if index not in there]
    foreign = [item for item in others if item.revision != revision]
    if not foreign:
        room = replicas  # nothing of another revision to protect: all at once
    elif policy.strategy == "recreate":
        room = 0  # everything old goes first
    else:
        room = policy.max_parallel - (len(mine) - ready)
        if policy.order == "stop-first":
            room = min(room, max(replicas, before) - len(mine) - len(others))
    return tuple((revision, index) for index in missing[: max(0, room)])
