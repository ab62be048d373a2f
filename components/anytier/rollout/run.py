"""The rollout's loop: look, decide, act, look again, until the goal is reached or what was before is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from anytier.errors import AnytierError, RolloutFailed, Unreachable
from anytier.rollout import status as words
from anytier.rollout.decide import ATTEMPTS, Act, Back, Decision, Done, GiveUp, Memory, Wait, decide, remember, turned
from anytier.rollout.types import Clock, Driver, Goal, Instance, Outcome, Policy

T = TypeVar("T")

LOOK_AGAIN = 0.25  # seconds between two looks when there is nothing to do, or something failed
# A driver has time limits of its own. These are the last resort: no call may hang for ever.
LOOK_LIMIT = 60.0
CHANGE_LIMIT = 600.0


class SystemClock:
    """The monotonic clock and real sleep."""

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def rollout(
    driver: Driver,
    goal: Goal,
    policy: Policy,
    *,
    clock: Clock | None = None,
    status: Callable[[str], None] = lambda text: None,
    name: str = "rollout",
) -> Outcome:
    """Bring the place to the goal. RolloutFailed, after what was before serves again, if the goal is no good.

    Any other AnytierError means that the place could not be looked at. A cancellation leaves the place as it is. In
    both cases the next run continues from there.
    """
    return await _Run(driver, goal, policy, clock or SystemClock(), status, name).run()


class _Run:
    def __init__(
        self, driver: Driver, goal: Goal, policy: Policy, clock: Clock, status: Callable[[str], None], name: str
    ) -> None:
        self.driver, self.goal, self.policy, self.clock = driver, goal, policy, clock
        self.status, self.name = status, name
        self.memory = Memory(began=clock.now(), progress=clock.now())
        self.said = ""

    async def run(self) -> Outcome:
        before: Decision | None = None
        while True:
            seen = await self._look()
            now = self.clock.now()
            self.memory = remember(self.memory, seen, self.goal, self.policy, now)
            decision = decide(self.memory, seen, self.goal, self.policy, now)
            self._tell(words.line(self.memory, seen, self.goal, now))
            if isinstance(decision, Done) and not self.memory.back:
                return Outcome(self.goal.revision, self.goal.replicas, now - self.memory.began)
            if isinstance(decision, (Done, GiveUp)):
                raise await self._failed(decision, seen)
            if isinstance(decision, Back):
                await self._turn_back(decision, seen)
            if isinstance(decision, Wait) or decision == before or self._tried(decision):
                await self.clock.sleep(LOOK_AGAIN)
            if isinstance(decision, Act):
                await self._act(decision)
            before = decision

    def _tried(self, decision: Decision) -> bool:
        """What is to be done again is not done again at once."""
        return isinstance(decision, Act) and any(key in self.memory.starts for key in decision.start)

    def _tell(self, text: str) -> None:
        if text != self.said:
            self.said = text
            self.status(text)

    # looking

    async def _look(self) -> list[Instance]:
        """A place that cannot be seen is no reason to change it: try again, then say so."""
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return await _within(LOOK_LIMIT, "looking", self.driver.observe())
            except AnytierError:
                if not left:
                    raise
                self._failed_again("look", "around")
                await self.clock.sleep(LOOK_AGAIN)
        raise AssertionError("unreachable")

    # acting

    async def _act(self, act: Act) -> None:
        calls = [self._start(revision, index) for revision, index in act.start]
        calls += [self._stop(id) for id in act.stop]
        if act.attach or act.drain:
            calls.append(self._move_traffic(act.attach, act.drain))
        await _all(calls)

    async def _start(self, revision: int, index: int) -> None:
        """Forward, what took too long or was refused is not tried again; no answer is no refusal."""
        memory, key = self.memory, (revision, index)
        starts = {**memory.starts, key: memory.starts.get(key, 0) + 1}
        self.memory = replace(memory, starts=starts, begun={**memory.begun, key: self.clock.now()})
        limit, final = self.policy.progress_deadline, True
        try:
            async with asyncio.timeout(limit):
                await self.driver.start(revision, index)
            return
        except TimeoutError:
            reason = f"starting replica {index} took longer than {limit:g} s"
        except AnytierError as error:
            reason, final = str(error), not isinstance(error, Unreachable)
        if self._failed_again("start", f"r{revision}-{index}") or (final and not self.memory.back):
            self._refused(reason)

    async def _move_traffic(self, attach: tuple[str, ...], drain: tuple[str, ...]) -> None:
        try:
            if attach:
                await _within(CHANGE_LIMIT, "attach", self.driver.attach(attach))
        except AnytierError as error:
            if self._failed_again("attach", *attach):
                self._refused(str(error))
            return
        try:
            if drain:
                timeout = self.policy.drain_timeout
                await _within(timeout + CHANGE_LIMIT, "drain", self.driver.drain(drain, timeout))
        except AnytierError as error:
            self._left_over("drain", drain, error)
            return
        await _all([self._stop(id) for id in drain])

    async def _stop(self, id: str) -> None:
        try:
            await _within(CHANGE_LIMIT, "stop", self.driver.stop(id))
        except AnytierError as error:
            self._left_over("stop", (id,), error)

    def _left_over(self, verb: str, ids: tuple[str, ...], error: AnytierError) -> None:
        """A call that only cleans up comes again in the next step, but not for ever."""
        if self._failed_again(verb, *ids):
            what = f"could not {verb} {', '.join(ids)}, tried {ATTEMPTS} times: {error}"
            self.memory = replace(self.memory, stuck=what)

    def _failed_again(self, verb: str, *ids: str) -> bool:
        """Counts a failure, and says whether it was the last try of one of them.

        A call that failed has had limits of its own: its time is not held against the progress of the rollout.
        """
        counts = {key: self.memory.failures.get(key, 0) + 1 for key in (f"{verb} {id}" for id in ids)}
        self.memory = replace(self.memory, failures={**self.memory.failures, **counts})
        if max(counts.values()) <= ATTEMPTS:
            self.memory = replace(self.memory, progress=self.clock.now())
        return max(counts.values()) >= ATTEMPTS

    def _refused(self, reason: str) -> None:
        self.memory = replace(self.memory, refused=self.memory.refused or reason)

    # turning back

    async def _turn_back(self, failure: Back, seen: list[Instance]) -> None:
        reason = await self._explained(failure.reason, failure.culprit)
        if not self.policy.auto_rollback:
            raise self._error(f"{reason}; nothing was rolled back (autoRollback: false)", seen)
        self.memory = turned(self.memory, reason, self.clock.now())

    async def _failed(self, decision: Done | GiveUp, seen: list[Instance]) -> RolloutFailed:
        reason = self.memory.back or ""
        if isinstance(decision, GiveUp):
            why = await self._explained(decision.reason, decision.culprit)
            reason = f"{reason}; and the way back failed: {why}" if reason else why
        return self._error(reason, seen)

    async def _explained(self, reason: str, culprit: str | None) -> str:
        if culprit is None:
            return reason
        try:
            return f"{reason}: {await _within(LOOK_LIMIT, 'asking why', self.driver.why(culprit))}"
        except AnytierError:
            return reason

    def _error(self, reason: str, seen: list[Instance]) -> RolloutFailed:
        return RolloutFailed(self.name, reason, f"{words.serves(seen, self.goal)}; mend it and run `pulumi up` again")


async def _all(calls: list[Coroutine[Any, Any, None]]) -> None:
    """All of them to their end, also when one has a bug: nothing goes on behind the back of who waits."""
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def _within(seconds: float, action: str, call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise Unreachable("", f"{action}: no answer within {seconds:g} s", "see whether the place works") from None
