"""How a figure is taken: the time of a command, samples in turns, a process group's memory."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LONGEST = 600.0  # seconds for one command


class CommandFailed(Exception):
    """A command that had to succeed did not: its end is all that a reader needs."""


def timed(command: Sequence[str], cwd: Path | None = None, env: Mapping[str, str] | None = None) -> float:
    """Seconds that the command took. CommandFailed unless it ended with 0."""
    start = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LONGEST,
    )
    took = time.perf_counter() - start
    if done.returncode:
        raise CommandFailed(ending(command, done.returncode, done.stdout))
    return took


def ending(command: Sequence[str], code: int, output: str) -> str:
    tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
    return f"`{' '.join(map(str, command))[:200]}` ended with {code}:\n{tail}"


def in_turns(rounds: int, ways: Mapping[str, Callable[[], float]], warm_up: int = 1) -> dict[str, list[float]]:
    """Samples of each way, taken in turns and each round in the other order, so that what disturbs one disturbs all."""
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for index in range(rounds + warm_up):
        names = list(ways)[:: 1 if index % 2 == 0 else -1]
        for name in names:
            took = ways[name]()
            if index >= warm_up:
                samples[name].append(took)
    return samples


def session_of(stat: str) -> int:
    """The session in a line of /proc/PID/stat. A command's name may hold spaces and parentheses."""
    return int(stat.rpartition(")")[2].split()[3])


def peak_of(status: str) -> int:
    """Most bytes ever resident, from the text of /proc/PID/status; 0 for a process that has ended."""
    found = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def peaks(session: int, marker: str) -> dict[int, int]:
    """PID -> most bytes ever resident, of the session's processes whose command line has `marker` in it."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, ValueError):  # it may end while it is looked at
                if session_of((entry / "stat").read_text()) != session:
                    continue
                if marker.encode() in (entry / "cmdline").read_bytes():
                    found[int(entry.name)] = peak_of((entry / "status").read_text())
    return found
