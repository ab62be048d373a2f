"""A command on another machine, on the caller's own terminal: keys go there as they are typed, its size follows."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from anytier.errors import Unreachable
from anytier.provider.host.shell import terminal_command

if TYPE_CHECKING:
    import asyncssh


async def run(connection: asyncssh.SSHClientConnection, argv: Sequence[str], sudo: bool) -> int:
    """The command's exit code; 128 and its number where a signal has ended it."""
    import asyncssh

    there = sys.stdin.isatty() and sys.stdout.isatty()
    given: dict[str, Any] = {"term_type": os.environ.get("TERM", "xterm"), "term_size": _size()} if there else {}
    # Copies, since asyncssh closes what it is given.
    ours = {name: os.dup(number) for number, name in enumerate(("stdin", "stdout", "stderr"))}
    try:
        process = await connection.create_process(terminal_command(argv, sudo), encoding=None, **ours, **given)
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(argv[0], f"no session ({error})", "look at the log of sshd there") from error
    with _raw(process) if there else contextlib.nullcontext():
        done = await process.wait()
    if done.returncode is None:
        raise Unreachable(argv[0], "the SSH connection was lost", "run again")
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _size() -> tuple[int, int]:
    size = shutil.get_terminal_size()
    return size.columns, size.lines


@contextlib.contextmanager
def _raw(process: Any) -> Iterator[None]:
    """The terminal hands every key on; it is as before afterwards."""
    import termios
    import tty

    loop, handle = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    loop.add_signal_handler(signal.SIGWINCH, lambda: process.change_terminal_size(*_size()))
    tty.setraw(handle)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(handle, termios.TCSADRAIN, before)
