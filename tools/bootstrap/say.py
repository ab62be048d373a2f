"""What set-up tells a person: one line a step, and a clock while something takes long. No decision is made here."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

EVERY = 10.0  # seconds between lines where the output is a file; a terminal's line moves every second


class SetupError(Exception):
    """What is wrong and the command that mends it."""

    def __init__(self, what: str, do: str) -> None:
        super().__init__(what, do)
        self.what, self.do = what, do

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.do}"


def line(part: str, text: str) -> None:
    print(f"{part:<8} {text}", flush=True)


def short(path: Path) -> str:
    """As a person writes it: `~` for the home folder."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


@contextmanager
def clock(part: str, text: str, usual: str) -> Iterator[None]:
    """Says what is being done and for how long already; at the end, how long it took."""
    start = time.monotonic()
    done = threading.Event()
    ticker = threading.Thread(target=_tick, args=(part, text, usual, start, done), daemon=True)
    ticker.start()
    failed = True
    try:
        yield
        failed = False
    finally:
        done.set()
        ticker.join()
        took = f"{'failed after ' if failed else ''}{time.monotonic() - start:.0f} s"
        print(f"\r\033[K{part:<8} {text}: {took}" if sys.stdout.isatty() else f"{part:<8} {text}: {took}", flush=True)


def _tick(part: str, text: str, usual: str, start: float, done: threading.Event) -> None:
    live = sys.stdout.isatty()
    if not live:
        line(part, f"{text} (usually {usual})")
    while not done.wait(1.0 if live else EVERY):
        elapsed = time.monotonic() - start
        if live:
            print(f"\r\033[K{part:<8} {text} (usually {usual}) {elapsed:.0f} s", end="", flush=True)
        else:
            line(part, f"  ... {elapsed:.0f} s")


def run(argv: list[str], do: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """What the command prints. SetupError with the end of that when it fails."""
    try:
        done = subprocess.run(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    except OSError as error:
        raise SetupError(f"{argv[0]} cannot be run: {error.strerror}", do) from None
    if done.returncode:
        tail = "\n".join(f"    {text}" for text in done.stdout.strip().splitlines()[-12:])
        raise SetupError(f"`{' '.join(argv[:4])} ...` ended with {done.returncode}:\n{tail}", do)
    return done.stdout
