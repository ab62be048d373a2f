"""A throw-away stack of tier kubeadm on boxes: its file, the engine, the verbs, and what serves in the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.provider.docker.sshd import free_port
from tests.provider.kubeadm.box import QUIRKS, KubeBox

import addon_images
import kubernetes_bundle
from anytier.conformance.places import oncluster
from bootstrap.paths import Paths
from bootstrap.say import SetupError

ROOT = Path(__file__).resolve().parents[3]


def bundle(minor: str = kubernetes_bundle.NEWEST) -> Path:
    """The software, built once for this user. That it cannot be had is a failure: a skipped test proves nothing."""
    if minor == kubernetes_bundle.NEWEST and (given := os.environ.get("ANYTIER_TEST_BUNDLE")):
        return Path(given)
    try:
        return kubernetes_bundle.ensure(Paths.here(), minor=minor)
    except SetupError as error:
        pytest.fail(f"no software for a cluster: {error}", pytrace=False)


def bundle_with(*addons: str) -> Path:
    """The same in a copy that also has these addons' images (tools/addon_images.py)."""
    try:
        return addon_images.added(Paths.here(), bundle(), addons)
    except SetupError as error:
        pytest.fail(f"no {', '.join(addons)} for a cluster: {error}", pytrace=False)


def config(boxes: Sequence[KubeBox], software: Path, **more: Any) -> dict[str, Any]:
    """`anytier:kubeadm`: the first is the control plane, and takes pods too. The machines' own addresses are used:
    boxes are on a network of this machine."""
    machines = [{**box.machine(), "name": name} for name, box in zip("abcdef", boxes, strict=False)]
    machines[0] |= {"role": "control-plane", "taints": []}
    return {"machines": machines, "bundle": str(software), **QUIRKS, **more}


@contextlib.contextmanager
def for_conformance(kubeadm: dict[str, Any]) -> Iterator[str]:
    """A stack of this project with that `anytier:kubeadm`, by its name. The file goes afterwards."""
    name = f"anytier-test-{secrets.token_hex(3)}"
    file = ROOT / "stacks" / f"Pulumi.{name}.yaml"
    given = {"anytier:app": "apps/conformance/app.yaml", "anytier:tier": "kubeadm", "anytier:kubeadm": kubeadm}
    file.write_text(json.dumps({"config": given}))
    yield name
    file.unlink()


class KubeStack:
    """`env` is that of tests' own engine home and state. The file goes with `close`. `longest`: seconds of a run."""

    longest = 900.0

    def __init__(self, boxes: Sequence[KubeBox], env: dict[str, str], app: str, software: Path, **more: Any) -> None:
        self.boxes, self.app, self.port = list(boxes), app, free_port()
        self.name = f"anytier-test-{secrets.token_hex(3)}"
        self.env = {**env, "PYTHONPATH": str(ROOT / "components"), "NO_COLOR": "1"}
        self.file = ROOT / "stacks" / f"Pulumi.{self.name}.yaml"
        self.write(config(boxes, software, **more) if boxes else {})
        self.pulumi("stack", "init", "--secrets-provider", "passphrase")

    def write(self, kubeadm: dict[str, Any], **more: Any) -> None:
        given = {"anytier:tier": "kubeadm", "anytier:app": self.app, "anytier:port": self.port}
        self.file.write_text(json.dumps({"config": {**given, "anytier:kubeadm": kubeadm, **more}}))

    def close(self) -> None:
        self.file.unlink(missing_ok=True)

    def pulumi(self, *argv: str) -> str:
        return self.run("pulumi", *argv, "--stack", self.name, "--non-interactive")

    def up(self, *argv: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *argv)

    def timed(self, *argv: str) -> float:
        """Seconds of such a run."""
        start = time.monotonic()
        self.pulumi(*argv)
        return time.monotonic() - start

    def anytier(self, verb: str, *argv: str) -> str:
        return self.run(sys.executable, "-m", "anytier", *verb.split(), "--stack", self.name, *argv)

    def status(self) -> dict[str, Any]:
        """As `anytier cluster status` tells it, whose exit code says whether all is well."""
        command = (sys.executable, "-m", "anytier", "cluster", "status", "--stack", self.name, "--json")
        found: dict[str, Any] = json.loads(self.run(*command, codes=(0, 1)))
        assert "nodes" in found
        return found

    def resources(self) -> set[str]:
        """What the state says is there, less the stack and providers: urns."""
        found = json.loads(self.pulumi("stack", "export"))["deployment"].get("resources", [])
        return {item["urn"] for item in found if not item["type"].startswith("pulumi:")}

    def run(self, *command: str, codes: Sequence[int] = (0,)) -> str:
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=self.longest, check=False
        )
        assert done.returncode in codes, f"{command}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout

    def killed(self, when: str, box: KubeBox, seconds: float = 240) -> None:
        """`up`, and kill -9 of all of it once the shell command `when` succeeds on a machine."""
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", self.name, "--non-interactive"]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until = time.monotonic() + seconds
        try:
            while box.run("sh", "-c", when).returncode:
                assert child.poll() is None and time.monotonic() < until, "it ended before it could be killed"
                time.sleep(0.05)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, 9)
            child.wait()
        self.pulumi("cancel", "--yes")

    @property
    def address(self) -> str:
        return self.boxes[0].address

    def get(self, path: str = "/", timeout: float = 5) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def post(self, path: str = "/", **form: str) -> int:
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        try:
            head = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
            connection.request("POST", path, urllib.parse.urlencode(form), head)
            return connection.getresponse().status
        finally:
            connection.close()

    def serves(self, text: str = "", within: float = 0) -> bool:
        until = time.monotonic() + within
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, body = self.get()
                if status == 200 and text in body:
                    return True
            if time.monotonic() >= until:
                return False
            time.sleep(0.3)


class Asking:
    """Asks all the time, on a connection of its own each; `lost` are the answers that were not 200, and why."""

    def __init__(self, stack: KubeStack, path: str = "/", pause: float = 0.05) -> None:
        self.stack, self.path, self.pause = stack, path, pause
        self.asked, self.lost = 0, list[str]()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Asking:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(20)

    def _ask(self) -> None:
        while not self._over.wait(self.pause):
            self.asked += 1
            try:
                status, _ = self.stack.get(self.path, timeout=15)
                if status != 200:
                    self.lost.append(f"{time.strftime('%X')} status {status}")
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{time.strftime('%X')} {type(error).__name__} {error}")


def leftovers(box: KubeBox) -> list[str]:
    """What is there of a cluster."""
    program = Path(oncluster.__file__).read_bytes()
    argv = ["docker", "exec", "-i", box.name, "python3", "-I", "-", "leftovers", "{}"]
    done = subprocess.run(argv, input=program, capture_output=True, timeout=60, check=True)
    found: list[str] = json.loads(done.stdout)
    return found
