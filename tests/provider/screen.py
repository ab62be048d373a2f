"""A program on a terminal of its own, as a person has it: what it shows, keys, and a window that is drawn larger."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import anytier

LONGEST = 30.0  # seconds


class Screen:
    """Python code in a process whose terminal has `lines` and `columns`."""

    def __init__(self, program: str, *arguments: str, lines: int = 31, columns: int = 97) -> None:
        self._ours, theirs = pty.openpty()
        self._size(lines, columns)
        path = str(Path(anytier.__path__[0]).parent)
        argv = [sys.executable, "-c", program, *arguments]
        env = {**os.environ, "PYTHONPATH": path, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        self._process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""

    def until(self, text: str) -> None:
        """Reads on until `text` has been shown."""
        end = time.monotonic() + LONGEST
        while text not in self.shown:
            assert time.monotonic() < end and self._read(), f"never shown: {text!r}\n{self.shown}"

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resize(self, lines: int, columns: int) -> None:
        self._size(lines, columns)
        self._process.send_signal(signal.SIGWINCH)  # it has no controlling terminal that would

    def echoes(self) -> bool:
        """Does the terminal show keys and wait for whole lines, as it does for a shell?"""
        return bool(termios.tcgetattr(self._ours)[3] & (termios.ECHO | termios.ICANON))

    def ended(self) -> int:
        """Its exit code, with all that it showed read."""
        while self._read():
            pass
        return self._process.wait(LONGEST)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)

    def _size(self, lines: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def _read(self) -> bool:
        """False at its end, or when nothing came for long."""
        if not select.select([self._ours], [], [], LONGEST)[0]:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # nobody is at the other end any more
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
