"""A clone of this project in which the commands that pages show are run as a shell runs them."""

from __future__ import annotations

import json
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs.commands import Shown, copy_clone
from tests.docs.runs import plain

GONE_ON = 6.0  # seconds after which whoever follows a log has seen enough
TABLES = ("status", "rollback", "cluster")


@dataclass(frozen=True)
class Clone:
    """`stack` is called `place` on the pages. `instead`: what stands in a command there -> what it is here."""

    folder: Path
    place: str
    stack: str
    env: Mapping[str, str]
    longest: float = 600.0  # seconds for a command
    instead: Mapping[str, str] = field(default_factory=dict)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """Whoever follows a log is interrupted after a while, as a user does it."""
        line = line.replace(f"-s {self.place}", f"-s {self.stack}")
        for there, here in self.instead.items():
            line = line.replace(there, here)
        follows = " -f" in line
        with subprocess.Popen(
            ["bash", "-c", f"exec {line}" if follows else line],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            if follows:
                time.sleep(GONE_ON)
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=self.longest)
        assert "Traceback" not in out + err, out + err
        return subprocess.CompletedProcess(line, process.returncode, out, err)

    def tells(self, item: Shown) -> None:
        """Runs what a page shows: it ends as it is shown to end, and prints what does not hang on time or chance."""
        done = self.run(item.line)
        assert done.returncode == code_of(item), f"$ {item.line}\n{done.stdout}{done.stderr}"
        printed = [alike(line, self) for line in (done.stdout + done.stderr).splitlines()]
        for wanted in lines_to_find(item):
            listed = "\n".join(printed)
            assert any(wanted in line for line in printed), f"$ {item.line}\nno line {wanted!r} in\n{listed}"


@contextmanager
def clone_at(
    folder: Path, place: str, config: Mapping[str, Any], env: Mapping[str, str], **more: Any
) -> Iterator[Clone]:
    """What git keeps of this clone, with a stack under a name of its own, which goes in the end."""
    copy_clone(folder)
    stack = f"anytier-test-{secrets.token_hex(2)}"
    (folder / "stacks" / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": dict(config)}))
    made = Clone(folder, place, stack, {**env, "NO_COLOR": "1", "PULUMI_STACK": stack}, **more)
    try:
        yield made
    finally:
        gone = made.run(f"anytier down -s {place}")
    assert gone.returncode == 0, gone.stdout + gone.stderr


def verb_of(item: Shown) -> str:
    """What `anytier` or another program is asked for."""
    return next(iter(plain(item).split()[1:]), "")


def code_of(item: Shown) -> int:
    """How it is shown to end: by a program's own code, or refused (1, as docs/cli.md has it)."""
    if ends := re.search(r"exit (\d+)", item.line):
        return int(ends[1])
    return 1 if item.output.startswith("error:") else 0


def lines_to_find(item: Shown) -> list[str]:
    """What of a shown output does not hang on the time, on chance, or on what was done before."""
    lines = [alike(line) for line in item.output.splitlines() if line and line != "..."]
    if verb_of(item) == "rollback" and "--list" in item.line:
        return lines[:1]
    if verb_of(item) == "rollback":
        return lines[-1:]
    if verb_of(item) == "logs":
        return [line.split()[0] for line in lines]
    if verb_of(item) == "up":
        return [line for line in lines if line.startswith(("serving at", "Resources:"))]
    if verb_of(item) in TABLES:
        return [re.sub(r" #[smhd]$", "", line) for line in lines]  # how long ago
    return lines


def alike(line: str, clone: Clone | None = None) -> str:
    """Without the stack's name, widths and numbers."""
    if clone:
        line = line.replace(f"{clone.stack}, ", "").replace(clone.stack, clone.place)
    return re.sub(r"\d+", "#", " ".join(line.split()))
