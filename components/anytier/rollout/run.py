"""The rollout's loop: look, decide, act, again. It holds no opinion of its own; decide.py has them all."""

from __future__ import annotations

from collections.abc import Callable

from anytier.errors import RolloutFailed
from anytier.rollout.types import Driver, Goal, Outcome, Policy


async def rollout(
    driver: Driver,
    goal: Goal,
    policy: Policy,
    *,
    clock: Callable[[], float] | None = None,
    status: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Bring the place to the goal, or back to what it was and raise RolloutFailed.

    It may be cancelled or killed at any moment: a later call goes on from what it then sees. `clock` is a monotonic
    clock in seconds, the event loop's unless given.
    """
    raise RolloutFailed(f"r{goal.revision}", "is not built yet")
