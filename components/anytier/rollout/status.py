"""What a person is told of a rollout: one line while it moves, and what serves when it has failed. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from anytier.rollout.decide import Memory, promised, target
from anytier.rollout.types import Goal, Instance


def line(memory: Memory, seen: Sequence[Instance], goal: Goal, now: float) -> str:
    """Such as `rolling 1/2  r7 -> r8  healthy in 2.1 s`; the time since the beginning until one is healthy."""
    revision, replicas = target(memory, goal)
    if revision is None:
        return f"removing  r{goal.revision}  {len(seen)} left"
    serving = sum(item.serving and item.revision == revision for item in seen)
    took = f"healthy in {memory.took:.1f} s" if memory.took is not None else f"{now - memory.began:.0f} s"
    return f"{_verb(memory, goal)} {serving}/{replicas}  {_way(memory, goal)}  {took}"


def _verb(memory: Memory, goal: Goal) -> str:
    if memory.back:
        return "rolling back"
    if goal.previous is None:
        return "starting"
    if goal.previous != goal.revision:
        return "rolling"
    return "repairing" if goal.replicas_before == goal.replicas else "scaling"


def _way(memory: Memory, goal: Goal) -> str:
    here, there = f"r{goal.previous}", f"r{goal.revision}"
    if goal.previous is None or here == there:
        return there
    return f"{there} -> {here}" if memory.back else f"{here} -> {there}"


def serves(seen: Sequence[Instance], goal: Goal) -> str:
    """Such as `r7 keeps serving on 2 of 2 replicas`; each revision that serves, the old one always."""
    count = Counter(item.revision for item in seen if item.serving)
    said = []
    if goal.previous is not None:
        said.append(f"r{goal.previous} keeps serving on {count[goal.previous]} of {promised(goal)} replicas")
    said += [f"r{revision} serves on {count[revision]}" for revision in sorted(count) if revision != goal.previous]
    return ", ".join(said) or "it was the first revision: nothing serves"
