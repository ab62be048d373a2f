"""A simulated place: instances with a life of their own, traffic, drains; and a driver that refuses what a real place
refuses, fails where it is told to, and finds fault with every act that breaks a promise of `anytier.rollout`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from tests.rollout.timewarp import TimeWarp, warp

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, RolloutFailed, Unreachable
from anytier.render.template import UpdatePolicy
from anytier.rollout.run import rollout
from anytier.rollout.types import Goal, Instance, Outcome

State = Literal["starting", "healthy", "unhealthy", "exited"]
T = TypeVar("T")


@dataclass(frozen=True)
class Life:
    """What becomes of an instance: `stages` of (seconds, state), then `last` for ever."""

    stages: tuple[tuple[float, State], ...] = ()
    last: State = "healthy"

    def at(self, age: float) -> State:
        for seconds, state in self.stages:
            if age < seconds:
                return state
            age -= seconds
        return self.last


def good(boot: float = 1.0) -> Life:
    return Life(((boot, "starting"),))


NEVER_HEALTHY = Life((), "starting")
EXITS_AT_ONCE = Life((), "exited")


def dies(boot: float, after: float, how: State = "exited") -> Life:
    return Life(((boot, "starting"), (after, "healthy")), how)


def flaps(boot: float, well: float, ill: float) -> Life:
    return Life(((boot, "starting"), (well, "healthy"), (ill, "unhealthy")), "healthy")


@dataclass
class Thing:
    """An instance as it really is."""

    id: str
    revision: int
    index: int
    born: float
    life: Life
    attached: bool = False
    draining: bool = False
    drained: bool = True  # nothing of an earlier time with traffic is in flight
    busy_until: float = 0.0

    def serves(self, now: float) -> bool:
        return self.attached and not self.draining and self.life.at(now - self.born) == "healthy"


@dataclass
class World:
    """`lives`: (revision, index, how many times started) -> what becomes of it. `busy`: how long a request takes."""

    lives: Callable[[int, int, int], Life]
    kept: frozenset[int] = frozenset(range(1, 100))
    exclusive: bool = False  # they all want the same port
    busy: float = 0.0
    things: dict[str, Thing] = field(default_factory=dict)
    born: dict[tuple[int, int], int] = field(default_factory=dict)
    loop: TimeWarp = field(default_factory=warp)
    losses: int = 0  # that served and stopped doing so by themselves

    def add(self, revision: int, index: int, *, attached: bool = True, life: Life | None = None) -> Thing:
        now = self.loop.time()
        if life is None:  # it is long there
            thing = Thing(f"r{revision}-{index}", revision, index, now - 1000.0, Life(), attached, False, not attached)
        else:
            thing = Thing(f"r{revision}-{index}", revision, index, now, life, attached, False, not attached)
        self.things[thing.id] = thing
        return thing

    def serving(self) -> list[Thing]:
        now = self.loop.time()
        return [thing for thing in self.things.values() if thing.serves(now)]

    def serving_of(self, revision: int) -> int:
        return sum(thing.revision == revision for thing in self.serving())

    def shape(self) -> list[tuple[int, int]]:
        """(revision, index) of everything that is there."""
        return sorted((thing.revision, thing.index) for thing in self.things.values())

    def strike(self, number: int, how: State) -> None:
        """An accident: the `number`th of those that serve breaks by itself."""
        there = sorted(self.serving(), key=lambda thing: thing.id)
        if there:
            there[number % len(there)].life = Life((), how)
            self.losses += 1


Fault = Literal["before", "after", "hang", "refuse"]


@dataclass(frozen=True)
class Kill:
    """Dead at the `call`th call, before or after its effect; or after `seconds`."""

    call: int | None = None
    after: bool = False
    seconds: float = 0.0


@dataclass(frozen=True)
class Call:
    verb: str
    what: tuple[object, ...]
    at: float


class Killed(Exception):
    """The run was killed."""


class Place:
    """The driver of one run. A run's memory dies with it; the world stays."""

    def __init__(
        self,
        world: World,
        goal: Goal,
        policy: UpdatePolicy,
        *,
        faults: Mapping[int, Fault] | None = None,
        kill: Kill | None = None,
        latency: float = 0.0,
    ) -> None:
        self.world, self.goal, self.policy = world, goal, policy
        self.faults, self.kill, self.latency = dict(faults or {}), kill, latency
        self.fired: list[tuple[str, Fault]] = []
        self.calls: list[Call] = []
        self.seen: list[Instance] = []
        self.first: dict[str, float] = {}
        self.since: dict[str, float] = {}
        self.known: set[str] = set()  # serving by all that the run can know
        self.task: asyncio.Task[Outcome] | None = None
        self.dead = False
        self.began_with = len(world.things)
        self.served_before = len(world.serving())
        self.losses_before = world.losses
        self.began_clean = self._only_old_and_well()
        self.dipped: int = self.served_before  # the fewest that ever served

    def _only_old_and_well(self) -> bool:
        """Whether it begins as the last success left it, with no other run's ruins about."""
        old = {(self.goal.previous, index) for index in range(self.old)}
        return {(thing.revision, thing.index) for thing in self.world.serving()} == old == set(self.world.shape())

    # what is promised

    @property
    def old(self) -> int:
        return self.goal.replicas_before if self.goal.previous is not None else 0

    @property
    def floor(self) -> int:
        if self.policy.strategy == "recreate":
            return 0
        return max(0, self.old - (self.policy.max_parallel if self.policy.order == "stop-first" else 0))

    def complete(self, ids: set[str]) -> bool:
        """Whether they hold all of what this run moves towards, forward or back."""
        there = {(thing.revision, thing.index) for thing in self.world.things.values() if thing.id in ids}
        ways = [(self.goal.revision, self.goal.replicas)]
        ways += [(self.goal.previous, self.old)] if self.goal.previous is not None else []
        return any({(revision, index) for index in range(count)} <= there for revision, count in ways)

    def seen_serving(self, revision: int) -> int:
        return sum(item.revision == revision for item in self.seen if item.serving)

    @property
    def changes(self) -> list[Call]:
        return [call for call in self.calls if call.verb not in ("observe", "why")]

    # Driver

    async def observe(self) -> list[Instance]:
        seen = await self._call("observe", (), self._observe)
        now = self.world.loop.time()
        self.seen = seen
        self.first = {item.id: self.first.get(item.id, now) for item in seen}
        self.since = {item.id: self.since.get(item.id, now) for item in seen if item.state == "healthy"}
        self.known = {item.id for item in seen if item.serving}
        return seen

    async def start(self, revision: int, index: int) -> str:
        return await self._call("start", (revision, index), lambda: self._start(revision, index))

    async def attach(self, ids: Sequence[str]) -> None:
        await self._call("attach", tuple(ids), lambda: self._attach(ids))

    async def drain(self, ids: Sequence[str], timeout: float) -> None:
        assert timeout == self.policy.drain_timeout
        number = len(self.calls)
        until = await self._call("drain", tuple(ids), lambda: self._drain(ids), ends=False)
        await asyncio.sleep(max(0.0, min(timeout, until - self.world.loop.time())))
        for id in ids:
            if id in self.world.things:
                self.world.things[id].drained = True
        self._end(number)

    async def stop(self, id: str) -> None:
        await self._call("stop", (id,), lambda: self._stop(id))

    async def why(self, id: str) -> str:
        return await self._call("why", (id,), lambda: self._why(id))

    # how calls go wrong

    async def _call(self, verb: str, what: tuple[object, ...], effect: Callable[[], T], ends: bool = True) -> T:
        number = len(self.calls)
        self.calls.append(Call(verb, what, self.world.loop.time()))
        assert number < 5000, "a run that never ends"
        fault = self.faults.get(number)
        if self.kill and self.kill.call == number and not self.kill.after:
            await self._die()
        await asyncio.sleep(self.latency)
        if fault in ("before", "hang", "refuse"):
            self.fired.append((verb, fault))
            await self._fail(verb, fault)
        if self.dead:
            await asyncio.Event().wait()
        result = effect()
        self.dipped = min(self.dipped, len(self.world.serving()))
        if self.kill and self.kill.call == number and self.kill.after:
            await self._die()
        if ends:
            self._end(number)
        return result

    async def _fail(self, verb: str, fault: Fault) -> None:
        if fault == "hang":
            await asyncio.Event().wait()
        if fault == "refuse":
            raise Rejected("place", f"{verb} refused")
        raise Unreachable("place", f"{verb} failed")

    def _end(self, number: int) -> None:
        """It has happened, but whoever asked for it is told that it failed."""
        if self.faults.get(number) == "after":
            self.fired.append((self.calls[number].verb, "after"))
            raise Unreachable("place", f"{self.calls[number].verb} failed afterwards")

    async def _die(self) -> None:
        """As by SIGKILL: nothing that is under way has any effect from now on."""
        self.dead = True
        if self.task:
            self.task.cancel()
        await asyncio.Event().wait()

    # what really happens, and whether it may

    def _observe(self) -> list[Instance]:
        now = self.world.loop.time()
        return [
            Instance(
                thing.id,
                thing.revision,
                thing.index,
                thing.life.at(now - thing.born),
                thing.attached and not thing.draining,
                thing.draining,
            )
            for thing in self.world.things.values()
        ]

    def _start(self, revision: int, index: int) -> str:
        world, now = self.world, self.world.loop.time()
        id = f"r{revision}-{index}"
        if revision not in world.kept:
            raise NotFound(id, "is no longer kept")
        if id in world.things:
            return id
        alive = [thing for thing in world.things.values() if thing.life.at(now - thing.born) != "exited"]
        if world.exclusive and alive:
            raise Conflict(id, f"its port is taken by {alive[0].id}")
        nth = world.born.get((revision, index), 0)
        world.born[revision, index] = nth + 1
        world.things[id] = Thing(id, revision, index, now, world.lives(revision, index, nth), busy_until=now)
        self._count_them(revision)
        return id

    def _count_them(self, revision: int) -> None:
        things, policy = self.world.things.values(), self.policy
        foreign = [thing for thing in things if thing.revision != revision]
        if not foreign:
            return
        assert policy.strategy != "recreate", f"{revision} starts beside {foreign}"
        most = self.old if policy.order == "stop-first" else max(self.old, self.goal.replicas) + policy.max_parallel
        assert len(things) <= most, f"{len(things)} instances, no more than {most} allowed"
        new = [thing for thing in things if thing.revision == revision and not thing.attached]
        coming = [thing for thing in new if not self._proven(thing.id)]
        assert len(coming) <= policy.max_parallel, f"{coming} come at once"

    def _proven(self, id: str) -> bool:
        now = self.world.loop.time()
        return id in self.since and now - self.since[id] >= self.policy.min_healthy_time

    def _attach(self, ids: Sequence[str]) -> None:
        for id in ids:
            if id not in self.world.things:
                raise NotFound(id, "is gone")
        for id in ids:
            thing = self.world.things[id]
            assert self._proven(id), f"{id} was given traffic before it had been healthy for long enough"
            assert (thing.revision, thing.index) in self._wanted(), f"{id} is not wanted"
            thing.attached, thing.draining, thing.drained = True, False, False
            self.known.add(id)

    def _wanted(self) -> set[tuple[int, int]]:
        ways = [(self.goal.revision, self.goal.replicas)]
        ways += [(self.goal.previous, self.old)] if self.goal.previous is not None else []
        return {(revision, index) for revision, count in ways for index in range(count)}

    def _drain(self, ids: Sequence[str]) -> float:
        world, now = self.world, self.world.loop.time()
        for id in ids:
            if id not in world.things:
                raise NotFound(id, "is gone")
        leaving, rest = self.known & set(ids), self.known - set(ids)
        if leaving:
            enough = len(rest) >= self.floor or self.complete(rest)
            assert enough, f"{leaving} goes and only {rest} serve, {self.floor} were promised"
        self.known = rest
        for id in ids:
            thing = world.things[id]
            if not thing.draining:
                thing.busy_until = now + world.busy
            thing.draining = True
        return max(world.things[id].busy_until for id in ids)

    def _stop(self, id: str) -> None:
        thing = self.world.things.get(id)
        if thing is None:
            return
        assert not (thing.attached and not thing.draining), f"{id} was stopped with traffic on it"
        assert thing.drained, f"{id} was stopped with requests in flight"
        del self.world.things[id]

    def _why(self, id: str) -> str:
        if id not in self.world.things:
            raise NotFound(id, "is gone")
        return f"last words of {id}"


@dataclass(frozen=True)
class Told:
    """How a run ended, and what it said."""

    place: Place
    took: float
    lines: tuple[str, ...]
    outcome: Outcome | None = None
    error: AnytierError | None = None
    killed: bool = False

    @property
    def rolled_back(self) -> bool:
        """What was before serves, and nothing else is there."""
        goal, seen = self.place.goal, self.place.seen
        want = {(goal.previous, index) for index in range(self.place.old)}
        return isinstance(self.error, RolloutFailed) and _serve(seen, want) and len(seen) == len(want)

    @property
    def arrived(self) -> bool:
        """All of the new revision serves, whatever else is there."""
        goal = self.place.goal
        return _serve(self.place.seen, {(goal.revision, index) for index in range(goal.replicas)})

    @property
    def clean(self) -> bool:
        return self.arrived and len(self.place.seen) == self.place.goal.replicas


def _serve(seen: Sequence[Instance], wanted: Collection[tuple[int | None, int]]) -> bool:
    return set(wanted) <= {(item.revision, item.index) for item in seen if item.serving}


async def run(place: Place, accidents: Sequence[tuple[float, int, State]] = ()) -> Told:
    """One run to its end, which may be its killing."""
    loop, lines = place.world.loop, list[str]()
    began = loop.time()
    work = rollout(place, place.goal, place.policy, clock=loop, status=lines.append, name="workloads.web")
    place.task = asyncio.ensure_future(work)
    timers = [loop.call_later(after, place.world.strike, number, how) for after, number, how in accidents]
    if place.kill and place.kill.call is None:
        timers.append(loop.call_later(place.kill.seconds, place.task.cancel))
    try:
        told = Told(place, 0.0, (), outcome=await place.task)
    except AnytierError as error:
        told = Told(place, 0.0, (), error=error)
    except asyncio.CancelledError:
        told = Told(place, 0.0, (), killed=True)
    for timer in timers:
        timer.cancel()
    return replace(told, took=loop.time() - began, lines=tuple(lines))
