"""How a session with a machine begins, where what happens first is a matter of luck on a real one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from anytier.errors import NotFound
from anytier.provider.host import session
from anytier.provider.host.sshref import SshRef


class Ended:
    """A command that was over before anything could be written to it: there is no Python on that machine."""

    def __init__(self) -> None:
        self.stdin = SimpleNamespace(write=self._closed)
        self.stdout = SimpleNamespace(readuntil=self._nothing)

    def _closed(self, _data: bytes) -> None:
        raise BrokenPipeError("Channel not open for sending")

    async def _nothing(self, _mark: bytes) -> bytes:
        raise asyncio.IncompleteReadError(b"", None)

    async def wait(self) -> Any:
        return SimpleNamespace(returncode=127, stderr=b"python3: not found\n")


class Connection:
    async def create_process(self, _command: str, encoding: None) -> Ended:
        return Ended()

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...


async def test_a_command_that_is_over_at_once_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async def dial(_ref: SshRef) -> list[Connection]:
        return [Connection()]

    monkeypatch.setattr(session, "dial", dial)
    with pytest.raises(NotFound, match="no Python 3"):
        await session.begin(SshRef(address="10.0.0.11"))
