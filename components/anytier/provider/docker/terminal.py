"""A container's output as lines, and a command in it on the caller's own terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from anytier.provider import terminal
from anytier.provider.docker.client import Daemon


async def log(daemon: Daemon, container: str, follow: bool, tail: int) -> AsyncIterator[str]:
    """Both streams, line by line."""
    with daemon.translated(f"container {container}"):
        found = daemon.docker.containers.container(container)
        rest = ""
        if not follow:
            for piece in await found.log(stdout=True, stderr=True, tail=tail):
                *whole, rest = (rest + piece).split("\n")
                for line in whole:
                    yield line
        else:
            async for piece in found.log(stdout=True, stderr=True, tail=tail, follow=True):
                *whole, rest = (rest + piece).split("\n")
                for line in whole:
                    yield line
        if rest:
            yield rest


async def run(daemon: Daemon, container: str, argv: Sequence[str]) -> int:
    """The command's exit code. With a terminal on both ends if we have one; our standard input is its own."""
    from aiodocker.execs import Exec

    tty = terminal.present()
    body: dict[str, Any] = {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": tty,
        "Cmd": list(argv),
    }
    if tty:
        body["Env"] = [f"TERM={os.environ.get('TERM', 'xterm')}"]
    made = await daemon.post(f"containers/{container}/exec", body, f"container {container}")
    with daemon.translated(f"container {container}"):
        session = Exec(daemon.docker, made["Id"], tty=tty)
        async with session.start(detach=False) as stream:
            with terminal.lent(partial(_resize, session)) if tty else contextlib.nullcontext():
                typing = asyncio.ensure_future(_feed(stream))
                try:
                    while (message := await stream.read_out()) is not None:
                        out = sys.stderr.buffer if message.stream == 2 else sys.stdout.buffer
                        out.write(message.data)
                        out.flush()
                finally:
                    typing.cancel()
    return await daemon.exit_code(made["Id"], container)


async def _feed(stream: Any) -> None:
    async for data in terminal.typed():
        await stream.write_in(data)
    _end(stream)


def _end(stream: Any) -> None:
    """Tells the other side that no more input comes, and goes on reading."""
    transport = stream._resp.connection.transport if stream._resp and stream._resp.connection else None
    if transport is not None and transport.can_write_eof():
        transport.write_eof()


async def _resize(session: Any, size: os.terminal_size) -> None:
    from aiodocker.exceptions import DockerError

    with contextlib.suppress(DockerError):  # it may have ended
        await session.resize(h=size.lines, w=size.columns)
