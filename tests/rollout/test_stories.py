"""Ten thousand random stories: bad revisions, failing calls, accidents, kills, changes of mind. The promises hold."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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

from anytier.errors import RolloutFailed
from anytier.render.template import UpdatePolicy
from anytier.rollout.decide import ATTEMPTS
from anytier.rollout.run import CHANGE_LIMIT, LOOK_AGAIN, LOOK_LIMIT
from anytier.rollout.types import Goal

STORIES = int(os.environ.get("ROLLOUT_STORIES", "10000"))
FIRST, LAST = 1, 9  # the revision that serves at the beginning, and a good one that ends every story

GOOD = [good(0.0), good(0.5), good(1.5)]
HOPELESS = [NEVER_HEALTHY, EXITS_AT_ONCE, Life((), "unhealthy"), good(100_000.0)]
UNSURE = [dies(0.5, 0.25), dies(0.0, 2.0), dies(1.0, 3.0, "unhealthy"), flaps(0.5, 0.5, 0.5), flaps(0.0, 1.0, 9.0)]

FAULTS: list[Fault] = ["before", "after", "hang", "refuse"]
ROLLING: list[Literal["rolling", "recreate"]] = ["rolling", "rolling", "recreate"]
ORDERS: list[Literal["start-first", "stop-first"]] = ["start-first", "stop-first"]
HOW: list[State] = ["exited", "unhealthy", "starting"]


@dataclass(frozen=True)
class Chapter:
    """One `pulumi up`."""

    revision: int
    replicas: int
    policy: UpdatePolicy
    faults: dict[int, Fault]
    accidents: list[tuple[float, int, State]]
    kill: Kill | None
    latency: float


@dataclass(frozen=True)
class Story:
    """`before` replicas of the first revision serve; None: nothing was ever deployed. `lives` of revisions 2 and 3."""

    before: int | None
    exclusive: bool
    busy: float
    lives: dict[int, list[Life]]
    chapters: list[Chapter]

    def kinds(self, revision: int) -> set[Life]:
        return set(self.lives.get(revision, GOOD))


POLICIES = [
    UpdatePolicy(
        strategy=strategy,
        order=order,
        max_parallel=parallel,
        min_healthy_time=proof,
        healthy_deadline=deadline,
        progress_deadline=2 * deadline,
        auto_rollback=back,
        drain_timeout=drain,
    )
    for back, strategy, order, parallel, proof, deadline, drain in product(
        (True, True, False), ROLLING, ORDERS, (1, 2, 3), (0.5, 0.0, 1.0), (2.0, 3.0), (1.0, 0.0)
    )
]


def kills() -> st.SearchStrategy[Kill | None]:
    at_call = [Kill(call, after) for call in range(30) for after in (False, True)]
    in_time = [Kill(seconds=n / 8) for n in range(40)]
    return st.one_of(st.none(), st.sampled_from([*at_call, *in_time]))


def chapters() -> st.SearchStrategy[Chapter]:
    accident = st.sampled_from([(n / 8, which, how) for n in range(40) for which in range(3) for how in HOW])
    return st.builds(
        Chapter,
        revision=st.sampled_from([2, 2, 3, FIRST]),
        replicas=st.integers(0, 3),
        policy=st.sampled_from(POLICIES),
        faults=st.lists(st.sampled_from(list(product(range(25), FAULTS))), max_size=3).map(dict),
        accidents=st.one_of(st.just([]), st.lists(accident, max_size=2)),
        kill=kills(),
        latency=st.sampled_from([0.0, 0.125]),
    )


def stories() -> st.SearchStrategy[Story]:
    kind = st.sampled_from([GOOD, GOOD, HOPELESS, UNSURE, [*GOOD, *HOPELESS, *UNSURE]])
    lives = kind.flatmap(lambda kinds: st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    return st.builds(
        Story,
        before=st.sampled_from([2, 1, 3, None, 0]),
        exclusive=st.sampled_from([False, False, False, False, True]),
        busy=st.sampled_from([0.0, 0.5, 5.0]),
        lives=st.fixed_dictionaries({2: lives, 3: lives}),
        chapters=st.lists(chapters(), min_size=1, max_size=3),
    )


async def tell(story: Story) -> None:
    def life(revision: int, index: int, nth: int) -> Life:
        kinds = story.lives.get(revision, [good(0.5)])
        return kinds[(index + nth) % len(kinds)]

    world = World(life, exclusive=story.exclusive, busy=story.busy)
    previous, before = (FIRST, story.before) if story.before is not None else (None, 0)
    before = min(before, 1) if story.exclusive else before
    for index in range(before):
        world.add(FIRST, index)
    for chapter in story.chapters:
        told = await up(world, previous, before, chapter, story)
        if told.outcome:
            previous, before = chapter.revision, told.place.goal.replicas
    await converges(world, previous, before, story)


async def up(world: World, previous: int | None, before: int, chapter: Chapter, story: Story) -> Told:
    goal = Goal(chapter.revision, min(chapter.replicas, 1) if story.exclusive else chapter.replicas, previous, before)
    policy = chapter.policy.model_copy(update={"order": "stop-first"}) if story.exclusive else chapter.policy
    options = {"faults": chapter.faults, "kill": chapter.kill, "latency": chapter.latency}
    place = Place(world, goal, policy, **options)  # type: ignore[arg-type]
    told = await run(place, chapter.accidents)
    judge(told, story)
    return told


def judge(told: Told, story: Story) -> None:
    """What must be true at the end of a run, however it ended. What must be true all along is judged by `Place`."""
    place, goal = told.place, told.place.goal
    lost = place.world.losses - place.losses_before
    sure = not set().union(*story.lives.values()) & set(UNSURE)  # nobody stops serving but by an accident
    if sure:
        assert place.dipped >= min(place.floor, place.served_before, goal.replicas) - lost
    assert told.took <= longest(place)
    if told.killed:
        return
    if told.outcome:
        assert told.clean, f"success, but {place.seen}"
        assert goal.replicas == 0 or not story.kinds(goal.revision) <= set(HOPELESS)
    elif isinstance(told.error, RolloutFailed):
        judge_failure(told, told.error)
    else:
        assert [verb for verb, _ in place.fired].count("observe") >= ATTEMPTS, told.error
    calm = place.began_clean and not place.fired and not lost
    if calm and story.kinds(goal.revision) <= set(GOOD):
        assert told.outcome, told.error
    elif calm and sure and place.policy.auto_rollback:
        assert told.outcome or told.rolled_back, told.error


def judge_failure(told: Told, error: RolloutFailed) -> None:
    """Back to what was, or an error that says why not."""
    halted = "nothing was rolled back" in error.what
    assert told.rolled_back or told.arrived or halted or "the way back failed" in error.what, error
    assert not (halted and told.place.policy.auto_rollback)
    if told.place.goal.previous is not None:
        count = told.place.seen_serving(told.place.goal.previous)
        assert f"r{told.place.goal.previous} keeps serving on {count} of {told.place.old} replicas" in error.do


def longest(place: Place) -> float:
    """The bound: a rollout moves forward once for each instance that comes or goes, stands still for no longer than
    its deadline in between, and each call fails at most so often. A step is one look and one act."""
    hangs = any(fault == "hang" for _, fault in place.fired)
    wait = place.policy.progress_deadline
    look = ATTEMPTS * ((LOOK_LIMIT if hangs else place.latency) + LOOK_AGAIN)
    change = CHANGE_LIMIT if hangs else place.latency
    act = LOOK_AGAIN + max(wait if hangs else place.latency, 3 * change + place.policy.drain_timeout)
    instances = place.began_with + place.goal.replicas + place.old
    steps = 2 * (instances + 1)  # forward, and all the way back
    return steps * (wait + look + act) + len(place.fired) * (look + act) + 2 * look


async def converges(world: World, previous: int | None, before: int, story: Story) -> None:
    """Whatever has happened: a good revision comes up, nothing else is left, and then nothing is done any more."""
    goal = Goal(LAST, 1 if story.exclusive else 2, previous, before)
    policy = UpdatePolicy(
        order="stop-first" if story.exclusive else "start-first", drain_timeout=1, min_healthy_time=0.5
    )
    told = await run(Place(world, goal, policy))
    assert told.outcome and told.clean, told.error
    assert world.shape() == [(LAST, index) for index in range(goal.replicas)]
    for done in (goal, Goal(LAST, goal.replicas, LAST, goal.replicas)):
        again = await run(Place(world, done, policy))
        assert again.outcome and [call.verb for call in again.place.calls] == ["observe"]


def test_what_a_killed_run_has_left_beyond_a_smaller_goal_counts_as_coming() -> None:
    def policy(order: Literal["start-first", "stop-first"], parallel: int) -> UpdatePolicy:
        times = {"min_healthy_time": 0.5, "healthy_deadline": 2.0, "progress_deadline": 4.0, "drain_timeout": 1.0}
        return UpdatePolicy(order=order, max_parallel=parallel, **times)

    def chapter(revision: int, replicas: int, order: Any, parallel: int, **more: Any) -> Chapter:
        usual: dict[str, Any] = {"faults": {}, "accidents": [], "kill": None, "latency": 0.0}
        return Chapter(revision, replicas, policy(order, parallel), **(usual | more))

    story = Story(
        before=2,
        exclusive=False,
        busy=0.0,
        lives={2: [good(0.0)], 3: [good(0.0)]},
        chapters=[
            chapter(3, 3, "start-first", 1),
            chapter(2, 2, "stop-first", 2, faults={5: "before"}, kill=Kill(seconds=0.125)),
            chapter(2, 1, "start-first", 1),
        ],
    )
    play(tell(story))


def test_ten_thousand_stories() -> None:
    """Run more with ROLLOUT_STORIES=100000; a failure prints the smallest story that shows it."""
    count = 0

    @settings(
        max_examples=STORIES,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example],
    )
    @given(stories())
    def each(story: Story) -> None:
        nonlocal count
        count += 1
        play(tell(story))

    each()
    assert count >= STORIES
