"""Starts one of the example apps' servers as a process, as a host would."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

APPS = Path(__file__).parents[2] / "apps"


@dataclass
class Server:
    process: subprocess.Popen[str]
    port: int

    def request(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def json(self, method: str, path: str, body: str | None = None) -> Any:
        status, text = self.request(method, path, body)
        assert status < 300, text
        return json.loads(text)

    def end(self) -> str:
        """SIGTERM; what it printed."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=15)
        return output


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def start(*argv: str, folder: Path, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *argv],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*argv: str, folder: Path, **env: str) -> tuple[int, str]:
    """Its exit code and what it printed."""
    with start(*argv, folder=folder, **env) as process:
        output, _ = process.communicate(timeout=20)
        return process.returncode, output


@contextmanager
def serving(*argv: str, folder: Path, **env: str) -> Iterator[Server]:
    port = free_port()
    process = start(*argv, folder=folder, **{"PORT": str(port), **env})
    try:
        wait_for(port, process)
        yield Server(process, port)
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def wait_for(port: int, process: subprocess.Popen[str]) -> None:
    for _ in range(200):
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")
