"""A container's output as lines, and a command in it on the caller's own terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from anytier.errors import Unreachable
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

    tty = sys.stdin.isatty() and sys.stdout.isatty()
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
        with _raw(tty):
            async with session.start(detach=False) as stream:
                typing = asyncio.ensure_future(_feed(stream))
                sizing = _follow_size(session) if tty else None
                try:
                    while (message := await stream.read_out()) is not None:
                        out = sys.stderr.buffer if message.stream == 2 else sys.stdout.buffer
                        out.write(message.data)
                        out.flush()
                finally:
                    typing.cancel()
                    if sizing:
                        sizing()
    return await _exit_code(daemon, made["Id"], container)


async def _exit_code(daemon: Daemon, id: str, container: str) -> int:
    """The stream may end a moment before the command; if the command goes on, it was the connection that ended."""
    for _ in range(20):
        found = await daemon.get(f"exec/{id}/json", f"container {container}")
        if not found.get("Running") and found.get("ExitCode") is not None:
            return int(found["ExitCode"])
        await asyncio.sleep(0.1)
    raise Unreachable(f"container {container}", "the connection ended before the command did", "run it again")


async def _feed(stream: Any) -> None:
    """Our input as it comes, until it ends. A thread reads it: it may be a terminal, a pipe, a file or /dev/null."""
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        data = b" "
        while data:
            try:
                data = os.read(0, 65536)
            except OSError:
                data = b""
            try:
                loop.call_soon_threadsafe(pieces.put_nowait, data)
            except RuntimeError:  # the command has ended, and nobody listens any more
                return

    threading.Thread(target=read, daemon=True).start()
    while data := await pieces.get():
        await stream.write_in(data)
    _end(stream)


def _end(stream: Any) -> None:
    """Tells the other side that no more input comes, and goes on reading."""
    transport = stream._resp.connection.transport if stream._resp and stream._resp.connection else None
    if transport is not None and transport.can_write_eof():
        transport.write_eof()


@contextlib.contextmanager
def _raw(tty: bool) -> Iterator[None]:
    """Keys go to the command, not to us."""
    if not tty:
        yield
        return
    import termios
    import tty as modes

    before = termios.tcgetattr(0)
    modes.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _follow_size(session: Any) -> Any:
    """The other terminal is as large as ours, now and whenever ours changes. Returns what ends that."""
    loop = asyncio.get_running_loop()
    tasks: set[asyncio.Task[None]] = set()

    def fit() -> None:
        size = shutil.get_terminal_size()
        task = loop.create_task(_resize(session, size.lines, size.columns))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    loop.add_signal_handler(signal.SIGWINCH, fit)
    fit()
    return lambda: loop.remove_signal_handler(signal.SIGWINCH)


async def _resize(session: Any, lines: int, columns: int) -> None:
    from aiodocker.exceptions import DockerError

    with contextlib.suppress(DockerError):  # it may have ended
        await session.resize(h=lines, w=columns)
