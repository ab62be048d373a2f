"""Bytes between aiohttp, which wants a socket, and a daemon that is reached in another way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aiohttp import ClientConnectionError, UnixConnector

from anytier.errors import AnytierError

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

_CHUNK = 1 << 16


class NoDaemon(ClientConnectionError):
    """What ended a connection, in the words of a user."""

    def __init__(self, error: AnytierError) -> None:
        super().__init__(str(error))
        self.error = error


class RelayConnector(UnixConnector):
    """HTTP connections that are each one end of a pair of sockets; a task of ours carries on from the other end."""

    def __init__(self, path: str) -> None:
        super().__init__(path=path)
        self._relays: set[asyncio.Task[None]] = set()

    async def relayed(self, relay: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> ResponseHandler:
        """A connection for aiohttp, with `relay` at work on its other end until one of them ends."""
        ours, theirs = socket.socketpair()
        task = asyncio.ensure_future(relay(theirs))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)
        _, protocol = await self._loop.create_connection(self._factory, sock=ours)
        return protocol

    def close(self, *, abort_ssl: bool = False) -> Any:
        done = super().close(abort_ssl=abort_ssl)

        async def rest() -> None:
            await done
            relays = list(self._relays)
            for relay in relays:
                relay.cancel()
            await asyncio.gather(*relays, return_exceptions=True)
            await self.hang_up()

        return rest()

    async def hang_up(self) -> None:
        """What lies under the relays, once they have ended. Nothing, where others use it too."""


async def between(
    theirs: socket.socket, source: Any, sink: Any, silent: Callable[[], Awaitable[None]] | None = None
) -> None:
    """Bytes in both directions until the daemon ends it. That we have no more to say does not: a command in a
    container goes on to answer after its input has ended, and other requests end with our end.

    `silent` is awaited before aiohttp hears of the end, where the daemon has not said a byte.
    """
    reader, writer = await asyncio.open_connection(sock=theirs)
    up = asyncio.ensure_future(_copy(reader, sink))
    down = asyncio.ensure_future(_copy(source, writer))
    try:
        done, _ = await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        if down not in done:
            with contextlib.suppress(OSError):
                sink.write_eof()
            await down
        elif silent is not None and not down.result():
            await silent()
    finally:
        up.cancel()
        down.cancel()
        writer.close()


async def _copy(reader: Any, writer: Any) -> int:
    """How many bytes there were until the end."""
    count = 0
    try:
        while data := await reader.read(_CHUNK):
            count += len(data)
            writer.write(data)
            await writer.drain()
    except (OSError, EOFError):
        pass  # the other end is gone; so is this one
    return count
