"""What a rollout does, scenario by scenario: an instance of the world in, what it did to it out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.rollout.timewarp import play
from tests.rollout.world import (
    EXITS_AT_ONCE,
    NEVER_HEALTHY,
    Fault,
    Kill,
    Life,
    Place,
    State,
    Told,
    World,
    dies,
    flaps,
    good,
    run,
)

from anytier.errors import Rejected, RolloutFailed, Unreachable
from anytier.render.template import UpdatePolicy
from anytier.rollout.types import Goal

POLICY = UpdatePolicy(
    min_healthy_time=1, healthy_deadline=4, progress_deadline=10, drain_timeout=2
)  # times are multiples of the pause between two looks, so that the arithmetic is exact


GOOD = good()


def told(
    goal: Goal,
    lives: Life | Callable[[int, int, int], Life] = GOOD,
    policy: UpdatePolicy = POLICY,
    *,
    there: Sequence[tuple[int, int]] | None = None,
    faults: dict[int, Fault] | None = None,
    accidents: Sequence[tuple[float, int, State]] = (),
    prepare: Callable[[World], Any] = lambda world: None,
    **world: Any,
) -> Told:
    """One run over a world in which `there` (all of the old revision unless said) has long been serving."""

    async def story() -> Told:
        here = World(lives if callable(lives) else lambda *_: lives, **world)
        old = [(goal.previous, index) for index in range(goal.replicas_before)] if goal.previous else []
        for revision, index in there if there is not None else old:
            here.add(revision, index)
        prepare(here)
        return await run(Place(here, goal, policy, faults=faults), accidents)

    return play(story())


def acts(told: Told) -> list[tuple[Any, ...]]:
    """(verb, what...) of everything that changed something, in order."""
    return [(call.verb, *call.what) for call in told.place.changes]


def at(told: Told, verb: str) -> list[float]:
    return [call.at for call in told.place.calls if call.verb == verb]


# forward


def test_first_deploy_starts_all_at_once() -> None:
    end = told(Goal(1, 3))
    assert acts(end) == [("start", 1, 0), ("start", 1, 1), ("start", 1, 2), ("attach", "r1-0", "r1-1", "r1-2")]
    assert end.clean and at(end, "start") == [0, 0, 0]


def test_start_first_replaces_one_after_the_other_and_never_serves_with_fewer() -> None:
    end = told(Goal(2, 2, 1, 2))
    assert acts(end) == [
        ("start", 2, 0),
        ("attach", "r2-0"),
        ("drain", "r1-1"),
        ("stop", "r1-1"),
        ("start", 2, 1),
        ("attach", "r2-1"),
        ("drain", "r1-0"),
        ("stop", "r1-0"),
    ]
    assert end.clean and end.place.dipped == 2


def test_stop_first_makes_room_and_serves_with_one_fewer() -> None:
    end = told(Goal(2, 2, 1, 2), policy=POLICY.model_copy(update={"order": "stop-first"}))
    assert acts(end) == [
        ("drain", "r1-1"),
        ("stop", "r1-1"),
        ("start", 2, 0),
        ("attach", "r2-0"),
        ("drain", "r1-0"),
        ("stop", "r1-0"),
        ("start", 2, 1),
        ("attach", "r2-1"),
    ]
    assert end.clean and end.place.dipped == 1


def test_stop_first_lets_go_of_a_port_before_it_is_wanted() -> None:
    end = told(Goal(2, 1, 1, 1), policy=POLICY.model_copy(update={"order": "stop-first"}), exclusive=True)
    assert end.clean and end.place.dipped == 0


def test_recreate_stops_everything_and_then_starts_everything() -> None:
    end = told(Goal(2, 2, 1, 2), policy=POLICY.model_copy(update={"strategy": "recreate"}))
    assert [verb for verb, *_ in acts(end)] == ["drain", "stop", "stop", "start", "start", "attach"]
    assert end.clean


@pytest.mark.parametrize("parallel", [1, 2, 3])
def test_no_more_than_max_parallel_come_at_once(parallel: int) -> None:
    end = told(Goal(2, 4, 1, 4), policy=POLICY.model_copy(update={"max_parallel": parallel}))
    starts = at(end, "start")
    assert max(starts.count(moment) for moment in starts) == parallel
    assert end.clean and end.place.dipped == 4


def test_scaling_out_starts_only_what_is_missing() -> None:
    end = told(Goal(1, 4, 1, 2))
    assert acts(end) == [("start", 1, 2), ("start", 1, 3), ("attach", "r1-2", "r1-3")] and end.clean


def test_scaling_in_stops_only_what_is_too_much() -> None:
    end = told(Goal(1, 1, 1, 3))
    assert acts(end) == [("drain", "r1-1", "r1-2"), ("stop", "r1-1"), ("stop", "r1-2")] and end.clean


def test_scaling_to_nothing_stops_all() -> None:
    end = told(Goal(1, 0, 1, 2))
    assert end.clean and end.place.seen == []


def test_scaling_and_a_new_revision_at_once_keep_the_old_number_until_all_are_new() -> None:
    fewer, more = told(Goal(2, 1, 1, 3)), told(Goal(2, 4, 1, 2))
    assert fewer.clean and acts(fewer)[1:3] == [("attach", "r2-0"), ("drain", "r1-0", "r1-1", "r1-2")]
    assert more.clean and more.place.dipped == 2


def test_a_place_that_is_as_wanted_is_only_looked_at_once() -> None:
    end = told(Goal(1, 2, 1, 2))
    assert [call.verb for call in end.place.calls] == ["observe"] and end.outcome


def test_what_has_died_is_started_again_and_the_others_are_left_alone() -> None:
    gone = told(Goal(1, 3, 1, 3), there=[(1, 0), (1, 2)])
    assert acts(gone) == [("start", 1, 1), ("attach", "r1-1")] and gone.clean
    ended = told(Goal(1, 2, 1, 2), prepare=lambda world: world.strike(0, "exited"))
    assert acts(ended) == [("drain", "r1-0"), ("stop", "r1-0"), ("start", 1, 0), ("attach", "r1-0")] and ended.clean


def test_an_old_instance_that_is_ill_goes_first_and_is_not_mended() -> None:
    end = told(Goal(2, 2, 1, 2), prepare=lambda world: world.strike(0, "unhealthy"))
    assert ("start", 1, 0) not in acts(end) and acts(end)[2] == ("drain", "r1-0") and end.clean


def test_an_old_instance_that_works_without_traffic_is_kept_until_its_place_is_taken() -> None:
    end = told(Goal(2, 1, 1, 1), there=[], prepare=lambda world: world.add(1, 0, attached=False))
    assert acts(end) == [("start", 2, 0), ("attach", "r2-0"), ("stop", "r1-0")] and end.clean


def test_ruins_of_another_run_go_at_once() -> None:
    ruins = told(Goal(3, 1, 1, 1), there=[(1, 0)], prepare=lambda world: world.add(2, 0, attached=False))
    assert acts(ruins)[:2] == [("stop", "r2-0"), ("start", 3, 0)] and ruins.clean


# a bad release


@pytest.mark.parametrize(
    ("life", "said"),
    [
        (EXITS_AT_ONCE, "r2-0 ended: last words of r2-0"),
        (NEVER_HEALTHY, "r2-0 was not healthy within 4 s: last words of r2-0"),
        (dies(1, 0.5), "r2-0 ended: last words of r2-0"),
        (dies(1, 0.5, "unhealthy"), "r2-0 became unhealthy: last words of r2-0"),
        (flaps(1, 0.5, 0.5), "r2-0 became unhealthy: last words of r2-0"),
    ],
)
def test_bad_release_keeps_old_version_serving(life: Life, said: str) -> None:
    end = told(Goal(2, 3, 1, 2), life)
    assert end.rolled_back and end.place.dipped == 2 and isinstance(end.error, RolloutFailed)
    assert end.error.path == "workloads.web" and end.error.what == said
    assert end.error.do == "r1 keeps serving on 2 of 2 replicas; mend it and run `pulumi up` again"
    assert ("start", 2, 2) not in acts(end)  # later replicas untouched


def test_a_release_that_breaks_late_brings_the_old_replicas_back() -> None:
    lives = {(2, 1): NEVER_HEALTHY}
    end = told(Goal(2, 2, 1, 2), lambda revision, index, nth: lives.get((revision, index), good()))
    assert end.rolled_back and end.place.dipped == 2
    assert acts(end)[-5:] == [
        ("stop", "r2-1"),
        ("start", 1, 1),
        ("attach", "r1-1"),
        ("drain", "r2-0"),
        ("stop", "r2-0"),
    ]


@pytest.mark.parametrize(("strategy", "order"), [("rolling", "stop-first"), ("recreate", "start-first")])
def test_what_had_to_stop_first_is_started_again(strategy: str, order: str) -> None:
    def lives(revision: int, index: int, nth: int) -> Life:
        return EXITS_AT_ONCE if revision == 2 else good()

    policy = POLICY.model_copy(update={"strategy": strategy, "order": order})
    end = told(Goal(2, 1, 1, 1), lives, policy, exclusive=True)
    assert end.rolled_back and ("start", 1, 0) in acts(end)


def test_a_release_that_dies_in_traffic_takes_down_no_more_than_itself() -> None:
    end = told(Goal(2, 3, 1, 2), lambda revision, index, nth: dies(1, 2) if revision == 2 else GOOD)
    assert end.rolled_back and end.place.dipped == 1  # the one that died; nothing was dropped besides


def test_on_the_way_back_what_is_ill_loses_its_traffic_before_its_place_is_taken() -> None:
    end = told(Goal(2, 3, 1, 2), lambda revision, index, nth: dies(1, 2, "unhealthy") if revision == 2 else GOOD)
    done = acts(end)
    assert end.rolled_back and done.index(("drain", "r2-0")) < done.index(("attach", "r1-1"))


def test_a_start_that_is_refused_is_the_reason() -> None:
    end = told(Goal(2, 1, 1, 1), faults={1: "refuse"})
    assert end.rolled_back and end.error and "start refused" in end.error.what
    assert at(end, "start") == [0]


def test_a_start_that_hangs_is_given_up_at_the_progress_deadline() -> None:
    end = told(Goal(2, 1, 1, 1), faults={1: "hang"})
    assert end.rolled_back and end.took == 10
    assert end.error and end.error.what == "starting replica 0 took longer than 10 s"


def test_a_revision_that_is_not_kept_is_refused() -> None:
    end = told(Goal(2, 1, 1, 1), kept=frozenset({1}))
    assert end.rolled_back and end.error and "is no longer kept" in end.error.what


def test_first_deploy_that_fails_leaves_nothing() -> None:
    end = told(Goal(1, 2), NEVER_HEALTHY)
    assert end.place.seen == [] and isinstance(end.error, RolloutFailed)
    assert end.error.what == "r1-0 was not healthy within 4 s: last words of r1-0"
    assert end.error.do.startswith("it was the first revision: nothing serves")


def test_without_auto_rollback_the_new_half_stays_and_the_old_half_serves() -> None:
    lives = {(2, 1): NEVER_HEALTHY}
    end = told(
        Goal(2, 2, 1, 2),
        lambda revision, index, nth: lives.get((revision, index), good()),
        POLICY.model_copy(update={"auto_rollback": False}),
    )
    assert end.place.world.shape() == [(1, 0), (2, 0), (2, 1)] and end.place.dipped == 2
    assert isinstance(end.error, RolloutFailed)
    assert end.error.what.endswith("last words of r2-1; nothing was rolled back (autoRollback: false)")
    assert end.error.do.startswith("r1 keeps serving on 1 of 2 replicas, r2 serves on 1; ")


def test_after_a_halt_the_next_run_goes_on_from_there() -> None:
    there = [(1, 0), (2, 0)]
    good_one = told(Goal(3, 2, 1, 2), there=there)
    assert good_one.clean and good_one.place.dipped == 2
    back = told(Goal(1, 2, 1, 2), there=there)
    assert back.clean and acts(back) == [("start", 1, 1), ("attach", "r1-1"), ("drain", "r2-0"), ("stop", "r2-0")]


def test_when_the_way_back_fails_too_both_reasons_are_said() -> None:
    def lives(revision: int, index: int, nth: int) -> Life:
        return EXITS_AT_ONCE

    end = told(Goal(2, 1, 1, 1), lives, POLICY.model_copy(update={"order": "stop-first"}))
    assert isinstance(end.error, RolloutFailed)
    assert end.error.what == ("r2-0 ended: last words of r2-0; and the way back failed: r1-0 ended: last words of r1-0")
    assert end.error.do.startswith("r1 keeps serving on 0 of 1 replicas") and at(end, "start") == [0, 0, 0.25, 0.5]


# time


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0])
def test_traffic_comes_after_min_healthy_time_and_not_before(seconds: float) -> None:
    end = told(Goal(2, 1, 1, 1), policy=POLICY.model_copy(update={"min_healthy_time": seconds}))
    assert at(end, "attach") == [1 + seconds]  # healthy after one second


def test_min_healthy_time_begins_anew_with_every_start_of_an_instance() -> None:
    lives = [dies(1, 0.5), good(1)]
    end = told(Goal(1, 1, 1, 1), lambda revision, index, nth: lives[nth], there=[])
    assert end.error is None or end.rolled_back
    assert at(end, "attach") == [1.5 + 1 + 1]


@pytest.mark.parametrize("seconds", [1.0, 3.0])
def test_an_instance_has_until_healthy_deadline_and_no_longer(seconds: float) -> None:
    policy = POLICY.model_copy(update={"healthy_deadline": seconds})
    assert told(Goal(2, 1, 1, 1), good(seconds), policy).outcome
    late = told(Goal(2, 1, 1, 1), good(seconds + 0.25), policy)
    assert late.rolled_back and late.took == seconds


def test_progress_deadline_counts_from_the_last_step_forward() -> None:
    policy = POLICY.model_copy(update={"progress_deadline": 3, "healthy_deadline": 60})
    assert told(Goal(2, 3, 1, 3), good(1.75), policy).outcome  # three steps, each within the deadline
    late = told(Goal(2, 3, 1, 3), good(4), policy)
    assert late.rolled_back and late.took == 3
    assert late.error and late.error.what == "nothing moved for 3 s: last words of r2-0"


@pytest.mark.parametrize(("busy", "took"), [(0.0, 0.0), (1.0, 1.0), (9.0, 2.0)])
def test_a_drain_lasts_as_long_as_requests_but_no_longer_than_its_timeout(busy: float, took: float) -> None:
    end = told(Goal(1, 0, 1, 1), busy=busy)
    assert end.took == took and end.clean


def test_a_flap_before_traffic_is_a_failure_but_one_of_the_old_is_not() -> None:
    assert told(Goal(2, 1, 1, 1), flaps(1, 0.5, 0.25)).rolled_back
    assert told(Goal(2, 1, 1, 1), accidents=[(0.5, 0, "unhealthy")]).clean


# calls that fail


def test_no_answer_is_no_refusal() -> None:
    """One answer that is lost is not a reason to take a release back."""
    for verb in ("observe", "start", "attach", "drain", "stop"):
        calls = told(Goal(2, 1, 1, 1)).place.calls
        number = next(number for number, call in enumerate(calls) if call.verb == verb)
        for fault in ("before", "after"):
            end = told(Goal(2, 1, 1, 1), faults={number: fault})
            assert end.clean and end.place.fired, (verb, fault, end.error)


def test_a_place_that_does_not_answer_is_left_as_it_is() -> None:
    end = told(Goal(2, 1, 1, 1), faults=dict.fromkeys(range(1, 99), "before"))
    assert isinstance(end.error, Unreachable) and end.place.world.shape() == [(1, 0)]


def test_traffic_that_cannot_be_moved_leads_back() -> None:
    class Stubborn(Place):
        async def attach(self, ids: Sequence[str]) -> None:
            await super().attach(ids) if ids[0].startswith("r1") else self.refuse()

        def refuse(self) -> None:
            raise Rejected("proxy", "takes no config")

    async def story() -> Told:
        world = World(lambda *_: good())
        world.add(1, 0)
        return await run(Stubborn(world, Goal(2, 1, 1, 1), POLICY))

    end = play(story())
    assert end.rolled_back and end.error and end.error.what == "proxy: takes no config"


def test_a_leftover_that_will_not_go_is_no_reason_to_take_a_good_release_back() -> None:
    class Sticky(Place):
        async def stop(self, id: str) -> None:
            raise Rejected(id, "will not stop")

    async def story() -> Told:
        world = World(lambda *_: good())
        world.add(1, 0)
        return await run(Sticky(world, Goal(2, 1, 1, 1), POLICY))

    end = play(story())
    assert end.arrived and not end.rolled_back and isinstance(end.error, RolloutFailed)
    assert end.error.what == "could not stop r1-0, tried 3 times: r1-0: will not stop"
    assert end.error.do.startswith("r1 keeps serving on 0 of 1 replicas, r2 serves on 1")


def test_a_bug_in_a_driver_comes_out_and_leaves_no_call_behind() -> None:
    class Buggy(Place):
        async def start(self, revision: int, index: int) -> str:
            if index:
                await asyncio.sleep(1)
                return await super().start(revision, index)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        play(run_alone(lambda world: Buggy(world, Goal(1, 2), POLICY)))


async def run_alone(place: Callable[[World], Place]) -> Told:
    return await run(place(World(lambda *_: good())))


def test_an_instance_that_vanishes_each_time_is_not_started_for_ever() -> None:
    class Vanishing(Place):
        async def start(self, revision: int, index: int) -> str:
            self.calls.append(self.calls[0])
            return "r1-0"

    end = play(run_alone(lambda world: Vanishing(world, Goal(1, 1), POLICY)))
    assert end.error and end.error.what == "replica 0 was started 3 times and is not there"


# killed


def test_cancelled_while_draining_is_drained_to_the_end_before_it_is_stopped() -> None:
    async def story() -> tuple[Told, Told]:
        world = World(lambda *_: good(), busy=1.5)
        world.add(1, 0)
        first = await run(Place(world, Goal(2, 1, 1, 1), POLICY, kill=Kill(seconds=2.5)))
        assert world.things["r1-0"].draining and not world.things["r1-0"].drained
        return first, await run(Place(world, Goal(2, 1, 1, 1), POLICY))

    first, second = play(story())
    assert first.killed and second.clean
    assert acts(second) == [("drain", "r1-0"), ("stop", "r1-0")] and second.took == 1.0


def test_a_change_of_mind_while_draining_gives_the_old_one_its_traffic_back() -> None:
    async def story() -> Told:
        world = World(lambda *_: good(), busy=1.5)
        world.add(1, 0)
        await run(Place(world, Goal(2, 1, 1, 1), POLICY, kill=Kill(seconds=2.5)))
        return await run(Place(world, Goal(1, 1, 1, 1), POLICY))

    end = play(story())
    assert end.clean and acts(end) == [("attach", "r1-0"), ("drain", "r2-0"), ("stop", "r2-0")]


# what a person sees


def test_one_line_moves_as_the_rollout_does() -> None:
    end = told(Goal(8, 2, 7, 2), good(2.125))
    assert [line for line in end.lines if "healthy" in line] == [
        "rolling 0/2  r7 -> r8  healthy in 2.2 s",
        "rolling 1/2  r7 -> r8  healthy in 2.2 s",
        "rolling 2/2  r7 -> r8  healthy in 2.2 s",
    ]
    assert end.lines[:3] == ("rolling 0/2  r7 -> r8  0 s", "rolling 0/2  r7 -> r8  1 s", "rolling 0/2  r7 -> r8  2 s")


@pytest.mark.parametrize(
    ("goal", "first"),
    [
        (Goal(1, 2), "starting 0/2  r1  0 s"),
        (Goal(7, 3, 7, 2), "scaling 2/3  r7  0 s"),
        (Goal(7, 2, 7, 2), "repairing 2/2  r7  0 s"),
    ],
)
def test_the_line_says_what_kind_of_change_it_is(goal: Goal, first: str) -> None:
    assert told(goal).lines[0] == first


def test_the_line_says_that_it_goes_back() -> None:
    def lives(revision: int, index: int, nth: int) -> Life:
        return EXITS_AT_ONCE if revision == 8 else good()

    stopped = told(Goal(8, 1, 7, 1), lives, POLICY.model_copy(update={"order": "stop-first"}))
    assert "rolling back 0/1  r8 -> r7  0 s" in stopped.lines
    assert stopped.lines[-1] == "rolling back 1/1  r8 -> r7  healthy in 1.0 s"
    assert told(Goal(1, 2), EXITS_AT_ONCE).lines[-2:] == ("removing  r1  2 left", "removing  r1  0 left")
