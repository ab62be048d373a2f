"""Tier docker on a machine with nothing but sshd and Python: from a bare Debian to an app, and back to a bare one."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import ROOT
from tests.provider.host.bare_box import bare_box
from tests.provider.host.ssh_box import SshBox

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

APP: dict[str, Any] = {
    "apiVersion": "anytier.dev/v1",
    "kind": "App",
    "metadata": {"name": "page"},
    "workloads": {
        "web": {
            "containers": {
                "web": {
                    "build": {"context": "web"},
                    "variables": {"GREETING": "hello"},
                    "secrets": {"TOKEN": "token"},
                    "volumes": {"/data": {"source": "${resources.data}"}},
                    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
                }
            },
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "scale": {"replicas": 2},
            "update": {"minHealthyTime": "500ms", "drainTimeout": "2s"},
        }
    },
    "resources": {"data": {"type": "volume"}},
    "secrets": {"token": {"from": "generate"}},
    "routes": [{"path": "/", "workload": "web", "port": "http"}],
}
# No registry is assumed: the image is made of a static busybox.
DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY index.html /www/index.html
CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]
"""


class Stack:
    """A throw-away stack of this project whose daemon is on the box; its host key is left to be learned."""

    def __init__(self, box: SshBox, folder: Path, env: dict[str, str]) -> None:
        self.box, self.app = box, folder / "app"
        self.name = f"anytier-test-{secrets.token_hex(3)}"
        self.env = {**env, "PYTHONPATH": str(ROOT / "components"), "DOCKER_HOST": "unix:///nonexistent"}
        self.file = ROOT / "stacks" / f"Pulumi.{self.name}.yaml"
        (self.app / "web").mkdir(parents=True)
        shutil.copy("/bin/busybox", self.app / "web" / "busybox")
        (self.app / "web" / "Dockerfile").write_text(DOCKERFILE)
        (self.app / "app.yaml").write_text(json.dumps(APP))
        self.page("one")
        machine = {
            "address": "127.0.0.1",
            "port": box.port,
            "user": "deploy",
            "sudo": True,
            "keyFile": str(box.key_file),
        }
        config = {"anytier:tier": "docker", "anytier:docker": {"machine": machine}}
        self.file.write_text(json.dumps({"config": {"anytier:app": str(self.app / "app.yaml"), **config}}))

    def page(self, text: str) -> None:
        (self.app / "web" / "index.html").write_text(text)

    def pulumi(self, *argv: str) -> str:
        return self._run("pulumi", *argv, "--stack", self.name, "--non-interactive")

    def up(self, *argv: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *argv)

    def anytier(self, verb: str, *argv: str) -> str:
        return self._run(sys.executable, "-m", "anytier", verb, "--stack", self.name, *argv)

    def serves(self, text: str, within: float = 0) -> bool:
        end = time.monotonic() + within
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.box.app_port}/", timeout=10) as answer:
                    if answer.read().decode() == text:
                        return True
            except OSError:
                pass
            if time.monotonic() >= end:
                return False
            time.sleep(0.5)

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout


@pytest.fixture
def box(tmp_path: Path) -> Iterator[SshBox]:
    with bare_box(tmp_path) as made:
        yield made


@pytest.fixture
def stack(box: SshBox, tmp_path: Path, pulumi_env: dict[str, str]) -> Iterator[Stack]:
    made = Stack(box, tmp_path, pulumi_env)
    yield made
    made.file.unlink()


def test_an_app_goes_from_nothing_to_nothing(stack: Stack, box: SshBox) -> None:
    assert has_docker(box) is False
    stack.pulumi("stack", "init", "--secrets-provider", "passphrase")
    assert "the first deploy installs" in stack.anytier("doctor")
    assert has_docker(box) is False, "a doctor changes nothing"

    said = stack.up()
    assert "installed on" in said and "learned the host key" in said
    assert has_docker(box) and stack.serves("one")
    assert "deploy" not in box.run("getent", "group", "docker").stdout

    stack.up("--expect-no-changes")
    stack.pulumi("preview", "--refresh", "--expect-no-changes")

    stack.page("two")
    stack.up()
    assert stack.serves("two")
    stack.up("--expect-no-changes")

    (web,) = json.loads(stack.anytier("status", "--json"))
    assert web["replicas"] == {"wanted": 2, "ready": 2}
    assert stack.anytier("exec", "web", "--", "/bin/busybox", "sh", "-c", "echo $GREETING") == "hello\n"
    state = json.loads(stack.pulumi("stack", "export", "--show-secrets"))
    token = next(
        item["outputs"]["value"] for item in state["deployment"]["resources"] if item["type"] == "anytier:index:Secret"
    )
    assert token and secret_text(token) not in box.run("sh", "-c", "docker inspect $(docker ps -aq)").stdout

    # the daemon is gone behind our back: what is said of it helps
    box.run("systemctl", "disable", "--now", "docker.service", "docker.socket")
    stack.anytier("up")
    assert stack.serves("two", within=60)
    assert box.run("systemctl", "is-enabled", "docker").stdout.strip() == "enabled"

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert has_docker(box) is False
    held = "cd /var/lib/docker && ls -A containers volumes/*/_data image/*/imagedb/content/sha256 2>/dev/null"
    assert [line for line in box.run("sh", "-c", held).stdout.split() if not line.endswith(":")] == []


def has_docker(box: SshBox) -> bool:
    return box.run("sh", "-c", "command -v dockerd").returncode == 0


def secret_text(value: Any) -> str:
    """As an export with its secrets shown has it."""
    return str(json.loads(value["plaintext"]) if isinstance(value, dict) else value)
