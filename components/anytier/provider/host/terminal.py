"""A command on another machine, on the caller's own terminal: keys go there as they are typed, its size follows."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from anytier.errors import Unreachable
from anytier.provider import terminal
from anytier.provider.host.shell import terminal_command

if TYPE_CHECKING:
    import asyncssh


async def run(connection: asyncssh.SSHClientConnection, argv: Sequence[str], sudo: bool) -> int:
    """The command's exit code; 128 and its number where a signal has ended it."""
    import asyncssh

    there = terminal.present()
    given: dict[str, Any] = {}
    if there:
        given = {"term_type": os.environ.get("TERM", "xterm"), "term_size": tuple(terminal.size())}
    # Copies, since asyncssh closes what it is given.
    ours = {name: os.dup(number) for number, name in enumerate(("stdin", "stdout", "stderr"))}
    try:
        process = await connection.create_process(terminal_command(argv, sudo), encoding=None, **ours, **given)
    except (OSError, asyncssh.Error) as error:
        raise Unreachable(argv[0], f"no session ({error})", "look at the log of sshd there") from error
    with terminal.lent(partial(_resize, process)) if there else contextlib.nullcontext():
        done = await process.wait()
    if done.returncode is None:
        raise Unreachable(argv[0], "the SSH connection was lost", "run again")
    return done.returncode if done.returncode >= 0 else 128 - done.returncode


def _resize(process: asyncssh.SSHClientProcess[bytes], size: os.terminal_size) -> None:
    process.change_terminal_size(size.columns, size.lines)
