"""Killed at every single step of a rollout, before and after its effect, once and again: the next run goes on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from tests.rollout.timewarp import play
from tests.rollout.world import EXITS_AT_ONCE, NEVER_HEALTHY, Fault, Kill, Life, Place, Told, World, good, run

from anytier.errors import RolloutFailed
from anytier.render.template import UpdatePolicy
from anytier.rollout.types import Goal

POLICY = UpdatePolicy(min_healthy_time=0.5, healthy_deadline=2, progress_deadline=5, drain_timeout=1)
STOP_FIRST = POLICY.model_copy(update={"order": "stop-first"})
RECREATE = POLICY.model_copy(update={"strategy": "recreate"})
MANY = POLICY.model_copy(update={"max_parallel": 3})
NEXT = Goal(9, 2, 1, 2)  # a change of mind


@dataclass(frozen=True)
class Case:
    goal: Goal
    policy: UpdatePolicy = POLICY
    bad: Life | None = None  # of revision 2

    def world(self) -> World:
        world = World(lambda revision, *_: self.bad or good(0.5) if revision == 2 else good(0.5), busy=0.5)
        for index in range(self.goal.replicas_before):
            world.add(1, index)
        return world

    @property
    def starts(self) -> bool:
        return self.goal.revision != 1 or self.goal.replicas > self.goal.replicas_before

    @property
    def good(self) -> bool:
        return self.bad is None or self.goal.replicas == 0


CASES = {
    "first": Case(Goal(2, 2)),
    "start-first": Case(Goal(2, 2, 1, 2)),
    "stop-first": Case(Goal(2, 2, 1, 2), STOP_FIRST),
    "recreate": Case(Goal(2, 2, 1, 2), RECREATE),
    "many at once": Case(Goal(2, 3, 1, 3), MANY),
    "scale out": Case(Goal(1, 3, 1, 1)),
    "scale in": Case(Goal(1, 1, 1, 3)),
    "first, bad": Case(Goal(2, 2), bad=EXITS_AT_ONCE),
    "start-first, bad": Case(Goal(2, 2, 1, 2), bad=NEVER_HEALTHY),
    "stop-first, bad": Case(Goal(2, 2, 1, 2), STOP_FIRST, bad=EXITS_AT_ONCE),
    "recreate, bad": Case(Goal(2, 2, 1, 2), RECREATE, bad=NEVER_HEALTHY),
}


def steps(case: Case) -> int:
    async def story() -> int:
        return len((await run(Place(case.world(), case.goal, case.policy))).place.calls)

    return play(story())


def ends_well(case: Case, told: Told) -> None:
    """As if nothing had been: the goal, or, where it is no good, what was before."""
    if case.good:
        assert told.outcome and told.clean, (told.error, told.place.seen)
    else:
        assert isinstance(told.error, RolloutFailed) and told.rolled_back, (told.error, told.place.seen)


async def settles(case: Case, world: World, goal: Goal) -> None:
    told = await run(Place(world, goal, case.policy))
    ends_well(replace(case, goal=goal, bad=None if goal is NEXT else case.bad), told)
    if told.outcome:
        again = await run(Place(world, goal, case.policy))
        assert not again.place.changes


def every_kill(case: Case) -> list[Kill]:
    return [Kill(call, after) for call in range(steps(case)) for after in (False, True)]


@pytest.mark.parametrize("name", CASES)
def test_killed_anywhere_the_next_run_finishes(name: str) -> None:
    case = CASES[name]
    for kill in every_kill(case):

        async def story(kill: Kill = kill) -> None:
            world = case.world()
            first = await run(Place(world, case.goal, case.policy, kill=kill))
            assert first.killed
            await settles(case, world, case.goal)

        play(story())


@pytest.mark.parametrize("name", CASES)
def test_killed_anywhere_another_goal_is_reached(name: str) -> None:
    case = CASES[name]
    for kill in every_kill(case):
        for goal in (replace(NEXT, previous=case.goal.previous, replicas_before=case.goal.replicas_before), case.goal):

            async def story(kill: Kill = kill, goal: Goal = goal) -> None:
                world = case.world()
                await run(Place(world, case.goal, case.policy, kill=kill))
                told = await run(Place(world, goal, case.policy))
                assert goal == case.goal or (told.outcome and told.clean)

            play(story())


@pytest.mark.parametrize("name", CASES)
def test_killed_again_and_again_it_still_finishes(name: str) -> None:
    """Each run gets two calls further than nothing: one look and one act."""
    case = CASES[name]
    for stride in (2, 3, 5):

        async def story(stride: int = stride) -> None:
            world = case.world()
            for _ in range(20):
                await run(Place(world, case.goal, case.policy, kill=Kill(stride, after=True)))
            await settles(case, world, case.goal)

        play(story())


@pytest.mark.parametrize("seconds", [n / 8 for n in range(40)])
@pytest.mark.parametrize("name", ["start-first", "stop-first", "start-first, bad"])
def test_interrupted_at_any_moment_the_next_run_finishes(name: str, seconds: float) -> None:
    case = CASES[name]

    async def story() -> None:
        world = case.world()
        await run(Place(world, case.goal, case.policy, kill=Kill(seconds=seconds), latency=0.125))
        await settles(case, world, case.goal)

    play(story())


@pytest.mark.parametrize("fault", ["before", "after", "hang", "refuse"])
@pytest.mark.parametrize("name", CASES)
def test_every_single_call_may_fail_and_a_rerun_mends_it(name: str, fault: Fault) -> None:
    case = CASES[name]
    fell = 0
    for number in range(steps(case)):

        async def story(number: int = number) -> bool:
            world = case.world()
            first = await run(Place(world, case.goal, case.policy, faults={number: fault}))
            assert first.place.fired
            if not first.outcome and first.place.policy.auto_rollback:
                assert first.rolled_back, (number, first.error)
            await settles(case, world, case.goal)
            return first.outcome is None

        fell += play(story())
    refused = fault in ("hang", "refuse") and case.starts
    assert (fell > 0) == (refused or not case.good)  # only a start that is refused or hangs takes a good release back
