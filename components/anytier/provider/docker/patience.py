"""Waiting for the daemon to let go: an endpoint or a mount may outlive its container by a moment. And status lines, not
too many."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anytier.errors import AnytierError

T = TypeVar("T")
PATIENCE = 30.0
_PAUSE = 0.25


async def patiently(attempt: Callable[[], Awaitable[T]], *errors: type[AnytierError], patience: float = PATIENCE) -> T:
    """The attempt's result, tried again after one of `errors` until patience ends; then the last error."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + patience
    while True:
        try:
            return await attempt()
        except errors:
            if loop.time() >= limit:
                raise
        await asyncio.sleep(_PAUSE)


class Pace:
    """At most one status line a second, however fast the daemon talks."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds, self._next = seconds, time.monotonic() + seconds

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True
