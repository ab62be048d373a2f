"""The rollout's thinking: from what is seen now to what to do now. Pure, and without a plan that could grow stale.

Each call looks at all instances afresh, so that a run killed at any point is simply continued by the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anytier.rollout.types import Goal, Instance, Policy

ATTEMPTS = 3  # tries of one action that must not be given up lightly

Key = tuple[int, int]  # (revision, index)


@dataclass(frozen=True)
class Memory:
    """What one look cannot tell. Made anew by `remember` and by the loop, never changed."""

    began: float
    progress: float  # when something last moved forward
    best: int = 0  # most instances ready so far
    fewest: int | None = None  # fewest instances so far that must go
    first: Mapping[str, float] = field(default_factory=dict)  # id -> first seen
    since: Mapping[str, float] = field(default_factory=dict)  # id -> healthy ever since
    begun: Mapping[Key, float] = field(default_factory=dict)  # what this run started, and when last
    starts: Mapping[Key, int] = field(default_factory=dict)  # how often each was started
    failures: Mapping[str, int] = field(default_factory=dict)  # action -> failures
    refused: str | None = None  # why start() or attach() cannot go on
    stuck: str | None = None  # what would not be drained or stopped
    back: str | None = None  # why the way leads back
    took: float | None = None  # from start to healthy, of the one that became healthy last


@dataclass(frozen=True)
class Act:
    """Things to do at once, in one step. Attach comes before drain; what was drained is stopped.

    `stop` is for what has no traffic.
    """

    start: tuple[Key, ...] = ()
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
    after = replace(memory, first=first, since=since, took=_took(memory, seen, now))
    mine = _targets(seen, *target(after, goal))
    ready, others = len(_ready(after, mine, policy, now)), len(seen) - len(mine)
    if ready > memory.best or memory.fewest is None or others < memory.fewest:
        fewest = others if memory.fewest is None else min(others, memory.fewest)
        return replace(after, best=max(ready, memory.best), fewest=fewest, progress=now)
    return after


def _took(memory: Memory, seen: Sequence[Instance], now: float) -> float | None:
    risen = [_key(item) for item in seen if item.state == "healthy" and item.id not in memory.since]
    begun = [memory.begun[key] for key in risen if key in memory.begun]
    return now - max(begun) if begun else memory.took


def turned(memory: Memory, reason: str, now: float) -> Memory:
    """Memory at the beginning of the way back. What was seen stays; what was tried is tried anew."""
    return Memory(began=memory.began, progress=now, first=memory.first, since=memory.since, back=reason)


def target(memory: Memory, goal: Goal) -> tuple[int | None, int]:
    """(revision, replicas) that this run moves towards now."""
    if not memory.back:
        return goal.revision, goal.replicas
    return goal.previous, promised(goal)


def promised(goal: Goal) -> int:
    """How many instances serve when the rollout begins, and must again when it fails."""
    return goal.replicas_before if goal.previous is not None else 0


def floor(goal: Goal, policy: Policy) -> int:
    """How many instances must serve as long as the target is not complete."""
    if policy.strategy == "recreate":
        return 0
    return max(0, promised(goal) - (policy.max_parallel if policy.order == "stop-first" else 0))


def ceiling(goal: Goal, policy: Policy) -> int:
    """How many instances of all revisions may be there after a start, as long as there are several revisions."""
    if policy.order == "stop-first":
        return promised(goal)
    return max(promised(goal), goal.replicas) + policy.max_parallel


def decide(memory: Memory, seen: Sequence[Instance], goal: Goal, policy: Policy, now: float) -> Decision:
    revision, replicas = target(memory, goal)
    mine = _targets(seen, revision, replicas)
    others = _others(seen, mine)
    ready = _ready(memory, mine, policy, now)
    serving = sum(item.serving for item in mine)
    trouble = _trouble(memory, mine, revision, replicas, policy, now)
    if trouble and not memory.back:
        return trouble
    if trouble and (memory.refused or max(memory.starts.values(), default=0) >= ATTEMPTS):
        return GiveUp(trouble.reason, trouble.culprit)
    if serving == replicas and not others:
        return Done()
    stalled = _stalled(memory, mine, policy, now)
    if stalled and (memory.back or serving == replicas):  # a leftover is no reason to take back what serves
        return GiveUp(stalled.reason, stalled.culprit)
    if stalled:
        return stalled

    surplus = [item for item in others if item.revision == revision and not item.attached]
    coming = len(mine) - len(ready) + len(surplus) - len(_ready(memory, surplus, policy, now))
    broken = [item for item in mine if _broken(memory, item, policy, now)]
    leaving = [*broken, *_leaving(memory, others, serving, replicas, goal, policy)]
    act = Act(
        start=_starts(revision, replicas, mine, others, coming, goal, policy),
        attach=tuple(item.id for item in ready if not item.attached or item.draining),
        drain=tuple(item.id for item in leaving if item.attached or item.draining),
        stop=tuple(item.id for item in leaving if not (item.attached or item.draining)),
    )
    return act or Wait()


def _key(item: Instance) -> Key:
    return item.revision, item.index


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


def _others(seen: Sequence[Instance], mine: Sequence[Instance]) -> list[Instance]:
    kept = {item.id for item in mine}
    return [item for item in seen if item.id not in kept]


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
    return item.state == "starting" and now - memory.first.get(item.id, now) >= policy.healthy_deadline


def _trouble(
    memory: Memory, mine: Sequence[Instance], revision: int | None, replicas: int, policy: Policy, now: float
) -> Back | None:
    """Whether an instance that this run started is no good, or a call was refused."""
    if memory.refused:
        return Back(memory.refused)
    for item in mine:
        if _key(item) in memory.begun and _broken(memory, item, policy, now):
            said = {"exited": "ended", "unhealthy": "became unhealthy"}
            late = f"was not healthy within {policy.healthy_deadline:g} s"
            return Back(f"{item.id} {said.get(item.state, late)}", item.id)
    there = {item.index for item in mine}
    for index in range(replicas):
        if index not in there and revision is not None and memory.starts.get((revision, index), 0) >= ATTEMPTS:
            return Back(f"replica {index} was started {ATTEMPTS} times and is not there")
    return None


def _stalled(memory: Memory, mine: Sequence[Instance], policy: Policy, now: float) -> Back | None:
    """Whether something would not go away, or nothing moves any more."""
    if memory.stuck:
        return Back(memory.stuck)
    if now - memory.progress >= policy.progress_deadline:
        slow = next((item.id for item in mine if item.state != "healthy"), None)
        return Back(f"nothing moved for {policy.progress_deadline:g} s", slow)
    return None


def _leaving(
    memory: Memory, others: Sequence[Instance], serving: int, replicas: int, goal: Goal, policy: Policy
) -> list[Instance]:
    """Which of the others go now: all that the floor does not need."""
    keep = 0 if serving >= replicas else max(0, floor(goal, policy) - serving)
    useful = [item for item in others if _useful(memory, item, goal)]
    useful.sort(key=lambda item: (not item.serving, item.revision != goal.previous, -item.revision, item.index))
    stay = {item.id for item in useful[:keep]}
    return [item for item in others if item.id not in stay]


def _useful(memory: Memory, item: Instance, goal: Goal) -> bool:
    """Whether it is better kept until its place is taken.

    What has traffic and is ill may recover, and an old one may do its work without any traffic. Not so on the way
    back: there it is what the way leads away from.
    """
    if item.serving or memory.back or item.draining:
        return item.serving
    return item.attached or (item.revision == goal.previous and item.state == "healthy")


def _starts(
    revision: int | None,
    replicas: int,
    mine: Sequence[Instance],
    others: Sequence[Instance],
    coming: int,
    goal: Goal,
    policy: Policy,
) -> tuple[Key, ...]:
    """`coming`: how many of the revision are on their way, also those beyond the goal that a killed run has left."""
    if revision is None:
        return ()
    there = {item.index for item in mine}
    missing = [(revision, index) for index in range(replicas) if index not in there]
    if all(item.revision == revision for item in others):
        return tuple(missing)  # nothing of another revision to protect: all at once
    if policy.strategy == "recreate":
        return ()  # everything old goes first
    room = min(policy.max_parallel - coming, ceiling(goal, policy) - len(mine) - len(others))
    return tuple(missing[: max(0, room)])
