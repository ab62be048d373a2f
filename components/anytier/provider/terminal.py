"""The caller's own terminal, lent to a command elsewhere: its keys, its size, and all as before afterwards.

What it is sent over is the caller's: a Docker daemon, an API server, SSH.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator


def present() -> bool:
    """Is there one at both ends?"""
    return sys.stdin.isatty() and sys.stdout.isatty()


def size() -> os.terminal_size:
    """Its own, whatever the environment says (`COLUMNS`, `LINES`): that is of the program that set it."""
    return os.get_terminal_size(sys.stdin.fileno())


async def typed() -> AsyncIterator[bytes]:
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
        yield data


@contextlib.contextmanager
def lent(resized: Callable[[os.terminal_size], Awaitable[None] | None]) -> Iterator[None]:
    """Keys go to the command, not to us; `resized` is told how large we are, now and whenever that changes."""
    import termios
    import tty

    loop, tasks = asyncio.get_running_loop(), set[asyncio.Future[None]]()

    def fit() -> None:
        told = resized(size())
        if told is not None:
            task = asyncio.ensure_future(told)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)
    loop.add_signal_handler(signal.SIGWINCH, fit)
    try:
        tty.setraw(keyboard)
        fit()
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
