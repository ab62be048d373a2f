"""Operations in flight: each is a task that a time limit or the engine's Cancel can end, with what it made kept.

Knows nothing of messages; the servicer turns an `Outcome` into an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from anytier.errors import AnytierError

T = TypeVar("T")
GRACE = 4.0  # seconds that a cancelled operation has for its own cleaning up; the engine kills the plugin after 5


class Stopped(AnytierError):
    """The operation was ended from outside."""

    code = "cancelled"


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """Either a value or an error."""

    value: T | None = None
    error: BaseException | None = None


class Operations:
    """All operations of this plugin that are under way."""

    def __init__(self, grace: float = GRACE) -> None:
        self.cancelled = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._grace = grace

    def cancel(self) -> None:
        """Ends everything under way and refuses what comes later."""
        self.cancelled.set()

    @property
    def busy(self) -> bool:
        return bool(self._tasks)

    async def drained(self) -> None:
        """Returns when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def run(self, work: Coroutine[Any, Any, T], timeout: float = 0, what: str = "operation") -> Outcome[T]:
        """The work's outcome; `timeout` in seconds, 0 for none."""
        if self.cancelled.is_set():
            work.close()
            return Outcome(error=Stopped("", "cancelled before it began"))
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        stop = asyncio.ensure_future(self.cancelled.wait())
        try:
            await asyncio.wait({task, stop}, timeout=timeout or None, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return _outcome(task, Stopped("", "cancelled"))
            reason = self._reason(timeout, what)
            task.cancel()
            await asyncio.wait({task}, timeout=self._grace)
            return _outcome(task, reason) if task.done() else Outcome(error=reason)
        finally:
            stop.cancel()
            task.cancel()  # a no-op where it is done; the engine hung up where it is not

    def _reason(self, timeout: float, what: str) -> Stopped:
        if self.cancelled.is_set():
            return Stopped("", "cancelled", "run `pulumi up` again to go on")
        return Stopped("", f"{what} took longer than {timeout:g} s", f"raise customTimeouts.{what}")


def _outcome(task: asyncio.Task[T], reason: Stopped) -> Outcome[T]:
    if task.cancelled():
        return Outcome(error=reason)
    error = task.exception()
    return Outcome(error=error) if error is not None else Outcome(value=task.result())
