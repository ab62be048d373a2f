"""The rollout's loop: look, decide, act, look again, until the goal is reached or what was before is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from anytier.errors import AnytierError, RolloutFailed
from anytier.rollout.decide import ATTEMPTS, Act, Back, Done, GiveUp, Memory, Wait, decide, remember, target
from anytier.rollout.types import Clock, Driver, Goal, Instance, Outcome, Policy

_LOOK_AGAIN = 0.25  # seconds between two looks when there is nothing to do


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

    A cancellation leaves the place as it is: the next run continues from there.
    """
    ticking = clock or SystemClock()
    return await _Run(driver, goal, policy, ticking, status, name).run()


class _Run:
    def __init__(
        self, driver: Driver, goal: Goal, policy: Policy, clock: Clock, status: Callable[[str], None], name: str
    ) -> None:
        self.driver, self.goal, self.policy, self.clock = driver, goal, policy, clock
        self.say, self.name = status, name
        self.memory = Memory(began=clock.now(), progress=clock.now())

    async def run(self) -> Outcome:
        while True:
            seen = await self._look()
            now = self.clock.now()
            self.memory = remember(self.memory, seen, self.goal, self.policy, now)
            decision = decide(self.memory, seen, self.goal, self.policy, now)
            self._tell(seen)
            if isinstance(decision, Act):
                await self._act(decision)
            elif isinstance(decision, Wait):
                await self.clock.sleep(_LOOK_AGAIN)
            elif isinstance(decision, Back):
                await self._turn_back(decision)
            elif isinstance(decision, GiveUp):
                raise await self._given_up(decision, seen)
            elif isinstance(decision, Done):
                if self.memory.back:
                    raise self._failed(self.memory.back, seen)
                return Outcome(self.goal.revision, self.goal.replicas, self.clock.now() - self.memory.began)

    # looking

    async def _look(self) -> list[Instance]:
        """A place that cannot be seen is no reason to change it: try again, then say so."""
        for left in range(ATTEMPTS - 1, -1, -1):
            try:
                return await self.driver.observe()
            except AnytierError:
                if not left:
                    raise
                await self.clock.sleep(_LOOK_AGAIN)
        raise AssertionError("unreachable")

    # acting

    async def _act(self, act: Act) -> None:
        calls: list[Awaitable[None]] = [self._start(revision, index) for revision, index in act.start]
        calls += [self._stop(id) for id in act.stop]
        if act.attach or act.drain:
            calls.append(self._move_traffic(act.attach, act.drain))
        await asyncio.gather(*calls)

    async def _start(self, revision: int, index: int) -> None:
        key = (revision, index)
        starts = {**self.memory.starts, key: self.memory.starts.get(key, 0) + 1}
        self.memory = replace(self.memory, starts=starts, ours=self.memory.ours | {key})
        try:
            await asyncio.wait_for(self.driver.start(revision, index), self.policy.progress_deadline)
        except TimeoutError:
            self._refuse("start", f"starting replica {index} took longer than {self.policy.progress_deadline:g} s")
        except AnytierError as error:
            self._refuse("start", str(error))

    async def _move_traffic(self, attach: tuple[str, ...], drain: tuple[str, ...]) -> None:
        if attach:
            try:
                await self.driver.attach(attach)
            except AnytierError as error:
                self._refuse("attach", str(error))
                return
        if drain:
            try:
                await self.driver.drain(drain, self.policy.drain_timeout)
            except AnytierError as error:
                self._stumble("drain", error)
                return
            await asyncio.gather(*(self._stop(id) for id in drain))

    async def _stop(self, id: str) -> None:
        try:
            await self.driver.stop(id)
        except AnytierError as error:
            self._stumble(f"stop {id}", error)

    def _refuse(self, action: str, reason: str) -> None:
        """A call that decides about the revision failed."""
        count = self.memory.failures.get(action, 0) + 1
        failures = {**self.memory.failures, action: count}
        self.memory = replace(
            self.memory, failures=failures, refused=None if self.memory.back and count < ATTEMPTS else reason
        )

    def _stumble(self, action: str, error: AnytierError) -> None:
        """A call that only cleans up failed: it comes again in the next step, but not for ever."""
        count = self.memory.failures.get(action, 0) + 1
        self.memory = replace(self.memory, failures={**self.memory.failures, action: count})
        if count >= ATTEMPTS:
            what = f"{error.what}, {count} times"
            raise RolloutFailed(
                self.name, f"could not {action}: {what}", error.do or "run `pulumi up` again: it continues"
            )

    # turning back

    async def _turn_back(self, failure: Back) -> None:
        reason = await self._explained(failure.reason, failure.culprit)
        if not self.policy.auto_rollback:
            raise RolloutFailed(
                self.name, f"{reason}; nothing was rolled back (autoRollback: false)", "mend it and run again"
            )
        now = self.clock.now()
        self.memory = replace(
            self.memory, back=reason, refused=None, progress=now, best=0, starts={}, failures={}, ours=frozenset()
        )

    async def _explained(self, reason: str, culprit: str | None) -> str:
        if culprit is None:
            return reason
        try:
            return f"{reason}: {await self.driver.why(culprit)}"
        except AnytierError:
            return reason

    async def _given_up(self, decision: GiveUp, seen: list[Instance]) -> RolloutFailed:
        reason = await self._explained(decision.reason, decision.culprit)
        if self.memory.back:
            reason = f"{self.memory.back}; and the way back failed: {reason}"
        return self._failed(reason, seen)

    def _failed(self, reason: str, seen: list[Instance]) -> RolloutFailed:
        return RolloutFailed(self.name, reason, f"{self._serves(seen)}; mend it and run `pulumi up` again")

    def _serves(self, seen: list[Instance]) -> str:
        if self.goal.previous is None:
            return "it was the first revision: nothing serves"
        count = sum(item.serving and item.revision == self.goal.previous for item in seen)
        return f"r{self.goal.previous} keeps serving on {count} of {self.goal.replicas_before} replicas"

    # telling

    def _tell(self, seen: list[Instance]) -> None:
        revision, replicas = target(self.memory, self.goal)
        ready = sum(item.serving and item.revision == revision for item in seen)
        took = self.clock.now() - self.memory.began
        self.say(f"{self._verb()} {ready}/{replicas}{self._way()}  {took:.1f} s")

    def _verb(self) -> str:
        if self.memory.back:
            return "rolling back"
        if self.goal.previous is None:
            return "starting"
        return "scaling" if self.goal.previous == self.goal.revision else "rolling"

    def _way(self) -> str:
        before = f"r{self.goal.previous} -> " if self.goal.previous not in (None, self.goal.revision) else ""
        return f"  {before}r{self.goal.revision}"
