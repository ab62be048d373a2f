"""Bytes between aiohttp, which wants a socket, and a daemon that is reached in another way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientConnectionError

from anytier.errors import AnytierError

_CHUNK = 1 << 16


class NoDaemon(ClientConnectionError):
    """What ended a connection, in the words of a user."""

    def __init__(self, error: AnytierError) -> None:
        super().__init__(str(error))
        self.error = error


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
