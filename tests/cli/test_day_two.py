"""The life of an app on this machine, by the console script and the real engine: what a user does, in that order."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.console import ANYTIER, Done, anytier


@dataclass(frozen=True)
class Corner:
    """A project that `anytier init` made, its stack `local` on ports and in a folder of its own."""

    project: Path
    port: int
    env: dict[str, str]

    def run(self, *args: str, code: int = 0, stdin: bytes = b"") -> Done:
        done = anytier(*args, cwd=self.project / "web", env=self.env, stdin=stdin)
        assert done.code == code, done.out + done.err
        return done

    def get(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            text: str = answer.read().decode()
            return text.strip()

    def edit(self, change: Callable[[str], str]) -> None:
        spec = self.project / "app.yaml"
        spec.write_text(change(spec.read_text()))

    def status(self, code: int = 0) -> dict[str, Any]:
        (web,) = json.loads(self.run("status", "-s", "local", "--json", code=code).out)
        assert isinstance(web, dict)
        return web

    def popen(self, *args: str) -> subprocess.Popen[str]:
        argv = [str(ANYTIER), *args]
        env = {**os.environ, **self.env}
        return subprocess.Popen(
            argv, cwd=self.project, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )


@pytest.fixture
def corner(pulumi_env: dict[str, str], tmp_path: Path) -> Iterator[Corner]:
    folder = Path(tempfile.mkdtemp(prefix="anytier-test-cli-"))  # short: sockets lie below it
    env = {key: pulumi_env[key] for key in ("PATH", "PULUMI_HOME", "PULUMI_SKIP_UPDATE_CHECK")}
    made = anytier("init", str(folder / "shop"))
    assert made.code == 0
    port, tls = free_ports()
    with (folder / "shop" / "stacks" / "Pulumi.local.yaml").open("a") as file:
        file.write(f"  anytier:port: {port}\n  anytier:tlsPort: {tls}\n")
        file.write(f"  anytier:local: {{supervisor: supervisord, stateDir: {folder / 'state'}}}\n")
    found = Corner(folder / "shop", port, env)
    found.edit(lambda text: text.replace("periodSeconds: 2", "periodSeconds: 1"))
    yield found
    anytier("down", "-s", "local", cwd=found.project, env=env)
    assert not list((folder / "state").glob("*/instances/*")), "something is left behind"
    shutil.rmtree(folder)


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("0.0.0.0", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.mark.e2e
@pytest.mark.engine
def test_the_life_of_an_app_on_this_machine(corner: Corner) -> None:
    nothing_is_deployed_yet(corner)
    up_serves_and_says_where(corner)
    a_second_up_changes_nothing(corner)
    status_tells_what_runs(corner)
    doctor_knows_its_own_ports(corner)
    logs_have_every_instance_by_name(corner)
    followed_logs_end_when_nobody_reads_or_on_interrupt(corner)
    exec_is_beside_the_app(corner)
    scale_goes_into_the_config_and_takes_effect(corner)
    a_bad_release_leaves_the_old_one_serving(corner)
    rollback_goes_to_the_last_good_one(corner)
    status_fails_when_a_replica_is_down(corner)
    down_leaves_nothing(corner)


def nothing_is_deployed_yet(corner: Corner) -> None:
    for verb in ("status", "logs", "rollback"):
        done = corner.run(verb, "-s", "local", code=1)
        assert done.err == "error: stack local: nothing is deployed\n  -> `anytier up -s local` deploys it\n"
    corner.run("down", "-s", "local")


def up_serves_and_says_where(corner: Corner) -> None:
    done = corner.run("up", "-s", "local")
    assert done.out.endswith(f"\nserving at http://localhost:{corner.port}/\n")
    assert corner.get() == "hello from shop"


def a_second_up_changes_nothing(corner: Corner) -> None:
    out = corner.run("up", "-s", "local").out
    assert re.search(r"Resources:\n\s+\d+ unchanged\n\n", out), out


def status_tells_what_runs(corner: Corner) -> None:
    web = corner.status()
    assert web["replicas"] == {"wanted": 2, "ready": 2} and web["revision"] == 1
    assert [item["index"] for item in web["instances"]] == [0, 1]
    lines = corner.run("status", "-s", "local").out.splitlines()
    assert lines[0].split() == ["WORKLOAD", "REVISION", "READY", "INSTANCE", "STATE", "HEALTH", "RESTARTS", "AGE"]
    assert lines[1].split()[:3] == ["web", "r1", "2/2"] and "running  healthy" in lines[2]
    done = corner.run("status", "-s", "lcoal", code=1)
    assert "there is no such stack (did you mean 'local'?)" in done.err


def doctor_knows_its_own_ports(corner: Corner) -> None:
    found = json.loads(corner.run("doctor", "-s", "local", "--json").out)
    assert {item["what"] for item in found if item["check"] == "port"} == {f"{corner.port} is this stack's"}


def logs_have_every_instance_by_name(corner: Corner) -> None:
    corner.get()
    lines = corner.run("logs", "-s", "local", "web").out.splitlines()
    assert {line.split("  ")[0] for line in lines} == {"web.0", "web.1"}
    assert any('"GET / HTTP/1.1" 200' in line for line in lines)
    last = corner.run("logs", "-s", "local", "-n", "1").out.splitlines()
    assert len(last) == 2
    assert "(did you mean 'web'?)" in corner.run("logs", "-s", "local", "wbe", code=1).err


def followed_logs_end_when_nobody_reads_or_on_interrupt(corner: Corner) -> None:
    child = corner.popen("logs", "-s", "local", "-f", "-n", "1")
    assert child.stdout is not None and child.stderr is not None
    assert child.stdout.readline().startswith("web.")
    child.send_signal(signal.SIGINT)
    assert child.wait(20) == 0 and child.stderr.read() == ""
    child.stdout.close()
    child.stderr.close()
    child = corner.popen("logs", "-s", "local", "-f", "-n", "1")
    assert child.stdout is not None and child.stderr is not None
    child.stdout.readline()
    child.stdout.close()
    assert child.wait(20) == 0 and child.stderr.read() == ""
    child.stderr.close()


def exec_is_beside_the_app(corner: Corner) -> None:
    ports = [
        corner.run("exec", "-s", "local", "--index", str(i), "web", "--", "sh", "-c", "echo $PORT").out for i in (0, 1)
    ]
    assert len(set(ports)) == 2 and all(text.strip().isdigit() for text in ports)
    assert corner.run("exec", "-s", "local", "web", "--", "sh", "-c", "exit 7", code=7).err == ""
    assert corner.run("exec", "-s", "local", "web", "cat", stdin=b"through\n").out == "through\n"
    assert "anytier exec -s local web -- COMMAND" in corner.run("exec", "-s", "local", "web", code=2).err
    assert "no such instance runs" in corner.run("exec", "-s", "local", "--index", "9", "web", "--", "true", code=1).err


def scale_goes_into_the_config_and_takes_effect(corner: Corner) -> None:
    assert "(did you mean 'web'?)" in corner.run("scale", "-s", "local", "wbe=1", code=1).err
    corner.run("scale", "-s", "local", "web=-1", code=2)
    corner.run("scale", "-s", "local", "web=1")
    assert corner.status()["replicas"] == {"wanted": 1, "ready": 1}
    text = (corner.project / "stacks" / "Pulumi.local.yaml").read_text()
    assert text.startswith("# This machine.") and "anytier:scale:\n    web: 1\n" in text
    assert "replicas: 2" in (corner.project / "app.yaml").read_text(), "the spec stays as it is"


def a_bad_release_leaves_the_old_one_serving(corner: Corner) -> None:
    corner.edit(lambda text: text.replace("hello from shop", "hello again"))
    corner.run("up", "-s", "local")
    assert corner.get() == "hello again"
    corner.edit(lambda text: text.replace("web/server.py]", "web/nothing.py]"))
    done = corner.run("up", "-s", "local", code=1)
    assert "can't open file" in done.out and "r2 keeps serving on 1 of 1 replicas" in done.out
    assert corner.get() == "hello again"
    assert corner.status()["revision"] == 2


def rollback_goes_to_the_last_good_one(corner: Corner) -> None:
    listed = corner.run("rollback", "-s", "local", "--list").out.splitlines()
    assert [line.split()[0] for line in listed[2:]] == ["r2", "r1"]
    assert listed[1].split()[:2] == ["web", "r3"] and listed[1].endswith("never became healthy")
    assert "r9: is not kept -> one of r1, r2, r3" in corner.run("rollback", "-s", "local", "9", code=1).err.replace(
        "\n ", ""
    )
    corner.run("rollback", "-s", "local", "latest", code=2)
    done = corner.run("rollback", "-s", "local")
    assert done.out.startswith("web: back to r1\n") and "`pulumi up -s local` deploys the spec again" in done.out
    assert corner.get() == "hello from shop"
    corner.run("rollback", "-s", "local", "r2", "web")
    assert corner.get() == "hello again"
    (kept,) = json.loads(corner.run("rollback", "-s", "local", "--list", "--json").out)
    assert [(item["revision"], item["good"]) for item in kept["revisions"]] == [(1, True), (2, True), (3, False)]


def status_fails_when_a_replica_is_down(corner: Corner) -> None:
    """A stopped process answers nothing, and nothing restarts it while it is looked at."""
    holder = process_on(corner)
    os.kill(holder, signal.SIGSTOP)
    try:
        web = corner.status(code=1)
        assert web["replicas"] == {"wanted": 1, "ready": 0}
    finally:
        os.kill(holder, signal.SIGCONT)


def process_on(corner: Corner) -> int:
    """The app's process: the one whose environment has this instance's port and whose command is the server."""
    port = corner.run("exec", "-s", "local", "web", "--", "sh", "-c", "echo $PORT").out.strip()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            argv, environ = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"web/server.py" in argv and f"\0PORT={port}\0".encode() in b"\0" + environ:
            return int(folder.name)
    raise AssertionError("the app does not run")


def down_leaves_nothing(corner: Corner) -> None:
    corner.run("down", "-s", "local")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", corner.port)) != 0:
                break
        time.sleep(0.1)
    else:
        raise AssertionError("something still listens")
    corner.run("status", "-s", "local", code=1)
    corner.run("down", "-s", "local")
