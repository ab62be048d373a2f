"""Runs the console script as a user does: as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ANYTIER = Path(sys.executable).with_name("anytier")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


def anytier(*args: str, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: bytes = b"") -> Done:
    done = subprocess.run(
        [str(ANYTIER), *args],
        cwd=cwd,
        env={**os.environ, "NO_COLOR": "1", **(env or {})},
        input=stdin,
        capture_output=True,
        timeout=300,
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in out + err, out + err
    return Done(done.returncode, out, err)
