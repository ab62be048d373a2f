"""An event loop whose clock jumps to the next timer instead of waiting: minutes of a rollout pass in microseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Leap(selectors.SelectSelector):
    """Waits for nothing: whoever would wait for `timeout` seconds is told that they have passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits for something that will never come")
        self.now += max(0.0, timeout)
        return []


class TimeWarp(asyncio.SelectorEventLoop):
    """Has no sockets and no threads; `asyncio.sleep` and `asyncio.timeout` mean its own time."""

    def __init__(self) -> None:
        self.leap = _Leap()
        super().__init__(self.leap)

    def time(self) -> float:
        return self.leap.now

    def now(self) -> float:
        return self.leap.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


_LOOP = TimeWarp()


def play(story: Coroutine[Any, Any, T]) -> T:
    """The story from the year dot. It must leave nothing running."""
    _LOOP.leap.now = 0.0
    return _LOOP.run_until_complete(_alone(story))


async def _alone(story: Coroutine[Any, Any, T]) -> T:
    told = await story
    assert asyncio.all_tasks() == {asyncio.current_task()}, "something goes on behind the back of who waited"
    return told


def warp() -> TimeWarp:
    """The loop of the story that is played."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, TimeWarp)
    return loop
