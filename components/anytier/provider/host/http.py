"""A small HTTP/1.1 client over a machine's streams: probes, supervisord's XML-RPC and Caddy's admin API need no more.

It exists because those go through `Machine.open_unix` and `open_tcp`, which over SSH are channels, not sockets.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from anytier.errors import Unreachable
from anytier.provider.host.transport import Streams

_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


async def request(
    connect: Callable[[], Awaitable[Streams]],
    method: str,
    path: str,
    *,
    host: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = 10,
) -> Answer:
    """One request on a connection of its own. OSError, EOFError or ValueError when there is no proper answer."""
    return await asyncio.wait_for(_request(connect, method, path, host, headers or {}, body), timeout)


async def _request(
    connect: Callable[[], Awaitable[Streams]],
    method: str,
    path: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
) -> Answer:
    reader, writer = await connect()
    try:
        given = {"Host": host, "Connection": "close", "Content-Length": str(len(body)), **headers}
        head = "".join(f"{key}: {value}\r\n" for key, value in given.items())
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        await writer.drain()
        return await _answer(reader)
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    status = int((await reader.readuntil(b"\r\n")).split(b" ", 2)[1])
    headers: dict[bytes, bytes] = {}
    while (line := (await reader.readuntil(b"\r\n")).strip()) != b"":
        key, _, value = line.partition(b":")
        headers[key.strip().lower()] = value.strip()
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return Answer(status, await _chunks(reader))
    if b"content-length" in headers:
        return Answer(status, await reader.readexactly(min(int(headers[b"content-length"]), _LARGEST)))
    return Answer(status, await reader.read(_LARGEST))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(min(size, _LARGEST)))
        await reader.readexactly(2)
    return b"".join(parts)


def no_answer(what: str, error: BaseException, do: str) -> Unreachable:
    said = "did not answer in time" if isinstance(error, asyncio.TimeoutError) else str(error) or type(error).__name__
    return Unreachable(what, said, do)
