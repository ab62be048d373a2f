"""Machines to measure on: containers in which systemd and sshd run, as the tests have them, reached by SSH as root."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measure import CommandFailed


@dataclass(frozen=True)
class Machine:
    """`port`: of its sshd on 127.0.0.1; `private`: the address at which the others reach it."""

    name: str
    port: int
    private: str
    key_file: str
    host_key: str
    box: Any

    def run(self, script: str) -> str:
        """What it prints, past SSH: to look, and to clean up between samples."""
        done = self.box.run("sh", "-c", script)
        if done.returncode:
            raise CommandFailed(f"{self.name}: `{script}` ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return str(done.stdout)


@contextmanager
def boxes(count: int) -> Iterator[list[Machine]]:
    """Fresh ones, each with a key of its own; gone afterwards however it went. Needs a Docker daemon."""
    ssh_box = import_module("tests.provider.host.ssh_box")
    with ExitStack() as stack:
        made = []
        for number in range(1, count + 1):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="anytier-test-")))
            box = stack.enter_context(ssh_box.ssh_box(folder))
            private = box.run("hostname", "-i").stdout.split()[0]
            key = " ".join(box.host_key.split()[:2])
            made.append(Machine(f"box{number}", box.port, private, str(box.key_file), key, box))
        yield made
