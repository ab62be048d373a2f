"""How many round trips something takes, however slow the machines are: answers are held until nobody has more to ask.

What is asked meanwhile goes together; each time that the held answers are let go is one round trip. That is the count
of a network which is slower than all else, and the same on each run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from anytier.provider.host import session
from anytier.provider.host.session import Head, Session

QUIET = 0.1  # seconds in which whoever goes on would have asked


class Rounds:
    """From now on. `trips`: round trips; `asked`: what was asked, in order; `connections`: sessions that were begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.trips, self.connections = 0, 0
        self.asked: list[str] = []
        self._held: list[Callable[[], None]] = []
        self._awaited: set[tuple[int, int]] = set()
        self._last = 0.0
        self._begin, self._tell, self._connect = Session._begin, Session.tell, session.begin
        self._releasing: asyncio.Task[None] | None = None
        counter = self

        def begin(one: Session, head: Head, data: bytes, told: Callable[[Head | None, bytes], None]) -> int:
            key: list[tuple[int, int]] = []

            def held(said: Head | None, more: bytes) -> None:
                if said is None or "took" in said:
                    told(said, more)
                    return
                counter._held.append(lambda: told(said, more))
                counter._answered(key[0])

            number = counter._begin(one, head, data, held)
            key.append((id(one), number))
            counter._asks(head["do"], key[0])
            return number

        def tell(one: Session, what: str, number: int, data: bytes = b"") -> None:
            if what == "send":
                counter._asks("send", (id(one), number))
            counter._tell(one, what, number, data)

        async def connect(*given: Any) -> Session:
            counter.connections += 1
            return await counter._connect(*given)

        monkeypatch.setattr(Session, "_begin", begin)
        monkeypatch.setattr(Session, "tell", tell)
        monkeypatch.setattr("anytier.provider.host.ssh.begin", connect)

    def _asks(self, what: str, key: tuple[int, int]) -> None:
        self.asked.append(what)
        self._awaited.add(key)
        self._last = asyncio.get_running_loop().time()

    def _answered(self, key: tuple[int, int]) -> None:
        self._awaited.discard(key)
        self._last = asyncio.get_running_loop().time()
        if self._releasing is None or self._releasing.done():
            self._releasing = asyncio.ensure_future(self._release())

    async def _release(self) -> None:
        """Once all have their answers, and nobody has asked for more for a while."""
        while self._awaited or asyncio.get_running_loop().time() - self._last < QUIET:
            await asyncio.sleep(QUIET / 4)
        held, self._held = self._held, []
        self.trips += 1
        for let_go in held:
            let_go()
