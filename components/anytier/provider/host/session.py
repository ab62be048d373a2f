"""The agent on another machine, from this side: requests and their answers, many at once, over one SSH session."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
from collections.abc import AsyncGenerator, Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, cast

from anytier.errors import AnytierError, Unreachable
from anytier.provider.host import agent, shell
from anytier.provider.host.dial import dial, hang_up, path_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import Streams, of_trouble

if TYPE_CHECKING:
    import asyncssh

Head = dict[str, Any]
_CLOSING = 2.0
_WINDOW = 4 << 20  # bytes of one connection on their way: enough for a long line, and no burden on a small machine


class Lost(Exception):
    """The connection ended before the answer came."""


class Session:
    """One agent. What it is asked may be answered in any order."""

    def __init__(
        self, ref: SshRef, connections: list[asyncssh.SSHClientConnection], process: asyncssh.SSHClientProcess[bytes]
    ) -> None:
        self.ref, self._connections, self._process = ref, connections, process
        self._numbers = itertools.count(1)
        self._waiting: dict[int, Callable[[Head | None, bytes], None]] = {}  # told None when the connection is lost
        self._reading = asyncio.ensure_future(self._read())

    @property
    def alive(self) -> bool:
        return not self._reading.done()

    @property
    def connection(self) -> asyncssh.SSHClientConnection:
        return self._connections[-1]

    async def ask(self, head: Head, data: bytes = b"") -> tuple[Head, bytes]:
        """One request, one answer. Lost without one; a caller that is cancelled cancels it there, too."""
        future: asyncio.Future[tuple[Head, bytes]] = asyncio.get_running_loop().create_future()

        def answered(said: Head | None, more: bytes) -> None:
            if future.done():
                return
            if said is None:
                future.set_exception(Lost())
            elif "errno" in said:
                future.set_exception(_trouble(said))
            else:
                future.set_result((said, more))

        number = self._begin(head, data, answered)
        try:
            await self._drain()
            return await future
        except asyncio.CancelledError:
            self.tell("cancel", number)
            raise
        finally:
            self._waiting.pop(number, None)
            if future.done() and not future.cancelled():
                future.exception()  # told already, by `_drain`

    async def follow(self, head: Head) -> AsyncGenerator[bytes, None]:
        """What comes with `more`, until the end."""
        queue: asyncio.Queue[tuple[Head | None, bytes]] = asyncio.Queue()
        number = self._begin(head, b"", lambda said, data: queue.put_nowait((said, data)))
        try:
            while True:
                said, data = await queue.get()
                if said is None:
                    raise Lost()
                if "errno" in said:
                    raise of_trouble(_trouble(said))
                if not said.get("more"):
                    return
                yield data
        finally:
            if self._waiting.pop(number, None) is not None:
                self.tell("cancel", number)

    async def open(self, head: Head) -> Streams:
        """A connection made there. OSError as if it were made here."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=1 << 20, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        opened: asyncio.Future[None] = loop.create_future()
        number = 0
        transport: _Channel | None = None

        def heard(said: Head | None, data: bytes) -> None:
            if not opened.done():
                if said is None:
                    opened.set_exception(Lost())
                elif "errno" in said:
                    opened.set_exception(_os_error(said))
                else:
                    opened.set_result(None)
            elif said is not None and said.get("more"):
                protocol.data_received(data)
            elif said is not None and "took" in said:
                if transport is not None:
                    transport.taken(said["took"])
            else:
                self._waiting.pop(number, None)
                if transport is not None:
                    transport.ended()
                protocol.eof_received()

        number = self._begin(head, b"", heard)
        try:
            await opened
        except BaseException:
            self._waiting.pop(number, None)
            self.tell("cancel", number)
            raise
        transport = _Channel(self, number, protocol)
        protocol.connection_made(transport)
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)

    def tell(self, what: str, number: int, data: bytes = b"") -> None:
        """About a request under way; an agent that is gone needs no telling."""
        with contextlib.suppress(OSError):
            self._process.stdin.write(agent.pack({"do": what, "of": number}, data))

    def forget(self, number: int) -> None:
        self._waiting.pop(number, None)

    async def close(self) -> None:
        """The agent ends what it has started when its input ends."""
        with contextlib.suppress(OSError):
            self._process.stdin.write_eof()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self._process.wait_closed(), _CLOSING)
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await hang_up(self._connections)

    def _begin(self, head: Head, data: bytes, told: Callable[[Head | None, bytes], None]) -> int:
        number = next(self._numbers)
        if not self.alive:
            raise Lost()
        self._waiting[number] = told
        try:
            self._process.stdin.write(agent.pack({"id": number, **head}, data))
        except OSError:
            del self._waiting[number]
            raise Lost() from None
        return number

    async def _drain(self) -> None:
        try:
            await self._process.stdin.drain()
        except (OSError, _ssh_error()):
            raise Lost() from None

    async def _read(self) -> None:
        out = self._process.stdout
        try:
            while True:
                size, more = agent.LENGTHS.unpack(await out.readexactly(agent.LENGTHS.size))
                said: Head = json.loads(await out.readexactly(size))
                data = await out.readexactly(more)
                told = self._waiting.get(said["id"])
                if told is not None:
                    told(said, data)
        except (OSError, EOFError, ValueError, _ssh_error()):
            pass
        finally:
            waiting, self._waiting = self._waiting, {}
            for told in waiting.values():
                told(None, b"")


class _Channel(asyncio.Transport):
    """The writing end of a connection that the agent holds."""

    def __init__(self, session: Session, number: int, protocol: asyncio.StreamReaderProtocol) -> None:
        super().__init__()
        self._session, self._number, self._protocol = session, number, protocol
        self._closing = self._paused = self._ended = False
        self.under_way = 0  # bytes that the agent has not passed on yet

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Who then waits for `drain` waits for the other end: an image on its way piles up neither here nor there."""
        if self._ended:
            return
        self._session.tell("send", self._number, bytes(data))
        self.under_way += len(data)
        if self.under_way > _WINDOW and not self._paused:
            self._paused = True
            self._protocol.pause_writing()

    def taken(self, size: int) -> None:
        self.under_way -= size
        if self._paused and self.under_way <= _WINDOW // 2:
            self._paused = False
            self._protocol.resume_writing()

    def ended(self) -> None:
        """The other end is gone: what is written has nowhere to go, and nobody waits for it."""
        self._ended = True
        self.taken(self.under_way)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self._session.tell("eof", self._number)

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._session.tell("cancel", self._number)
            self._session.forget(self._number)
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close


async def begin(ref: SshRef) -> Session:
    """Connects, logs in and starts the agent."""
    connections = await dial(ref)
    try:
        process = await connections[-1].create_process(shell.agent_command(ref.sudo), encoding=None)
        source = (resources.files("anytier.provider.host") / "agent.py").read_bytes()
        with contextlib.suppress(BrokenPipeError):  # it has ended already: below it is heard why
            process.stdin.write(f"{len(source)}\n".encode() + source)
        async with asyncio.timeout(2 * ref.connect_timeout):
            await _ready(ref, process)
        return Session(ref, connections, cast("asyncssh.SSHClientProcess[bytes]", process))
    except (OSError, _ssh_error()) as error:
        await hang_up(connections)
        said = "no answer in time" if isinstance(error, TimeoutError) else " ".join(str(error).split())
        raise Unreachable(path_of(ref), f"no session ({said})", "look at the log of sshd there") from error
    except BaseException:
        await hang_up(connections)
        raise


async def _ready(ref: SshRef, process: Any) -> None:
    """Past whatever the login prints. The agent's own errors, or our exit codes, say why it does not start."""
    try:
        await process.stdout.readuntil(agent.READY)
    except asyncio.IncompleteReadError:
        ended = await process.wait()
        why = shell.why_no_agent(ended.returncode, str(ref), ref.user or "this user")
        said = (ended.stderr or b"").decode(errors="replace").strip().splitlines()
        raise why or _no_start(ref, ended.returncode, said) from None


def _no_start(ref: SshRef, code: int | None, said: list[str]) -> AnytierError:
    what = f"its Python does not start (exit {code}{f': {said[-1]}' if said else ''})"
    return Unreachable(path_of(ref), what, "does `python3 -c 1` work there?")


def _trouble(said: Head) -> agent.Trouble:
    return agent.Trouble(str(said["path"]), said["errno"], str(said["what"]))


def _os_error(said: Head) -> OSError:
    number = said["errno"]
    return OSError(number, os.strerror(number)) if number else ConnectionError(str(said["what"]))


def _ssh_error() -> type[Exception]:
    import asyncssh

    return asyncssh.Error
