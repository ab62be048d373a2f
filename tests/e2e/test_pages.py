"""What pages show for the stacks `local` and `docker` is run for real, in a clone of its own: by the real engine, on
this machine and on a real daemon. (What wants neither is run by tests/docs; what wants a cluster, machines of others or
a cloud is read by the real parsers there.)
"""

from __future__ import annotations

import re
import secrets
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from tests.docs.commands import ROOT, Shown, all_shown
from tests.provider.host.corner import free_port

# In the order of a stack's life. The suite and the measurements take minutes, and have tests of their own.
LIFE = ("up", "status", "logs", "exec", "scale", "policy", "rollback", "down")
ELSEWHERE = {"conformance", "measure"}
GONE_ON = 6.0  # seconds after which whoever follows a log has seen enough
TABLES = ("status", "rollback")
# `make up` with its set-up is what each first use of a clone runs; here its main job is.
AS = {"make up": "anytier up -s local", "make up STACK=docker": "anytier up -s docker"}


def commands(place: str) -> list[Shown]:
    """Those that pages show for a stack of this project, each once, in the order of its life."""
    found: dict[str, Shown] = {}
    for item in all_shown():
        line = AS.get(item.line, item.line).split(" #")[0].strip().replace(".venv/bin/", "")
        ours = f" -s {place} " in f"{line} " and line.split()[0] in ("anytier", "pulumi")
        if ours and (item.output or line not in found):
            found[line] = Shown(item.page, line, item.output)
    wanted = [item for item in found.values() if verb_of(item) in LIFE or item.line.startswith("pulumi")]
    left = {verb_of(item) for item in found.values()} - {*LIFE, "preview", "plan", "render", "doctor", *ELSEWHERE}
    assert not left, f"nobody runs {left} of {place}"
    order = {verb: number for number, verb in enumerate(LIFE)}
    return sorted(wanted, key=lambda item: (order.get(verb_of(item), order["policy"]), "--list" not in item.line))


def verb_of(item: Shown) -> str:
    return item.line.split()[1]


@dataclass(frozen=True)
class Clone:
    folder: Path
    place: str
    stack: str
    port: int
    env: dict[str, str]

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """As a shell does. Whoever follows a log is interrupted after a while, as a user does it."""
        line = line.replace(f"-s {self.place}", f"-s {self.stack}")
        command = ["bash", "-c", f"exec {line}"]
        with subprocess.Popen(
            command, cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            if " -f" in line:
                time.sleep(GONE_ON)
                process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=300)
        assert "Traceback" not in out + err, out + err
        return subprocess.CompletedProcess(line, process.returncode, out, err)

    def get(self) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            assert answer.status == 200

    def release(self) -> None:
        """What a rollback goes back from."""
        spec = self.folder / "apps" / "guestbook" / "app.yaml"
        data = yaml.safe_load(spec.read_text())
        web = next(iter(data["workloads"]["web"]["containers"].values()))
        web.setdefault("variables", {})["RELEASE"] = "2"
        spec.write_text(yaml.safe_dump(data, sort_keys=False))
        done = self.run(f"anytier up -s {self.place}")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def clone(request: pytest.FixtureRequest, tmp_path: Path, pulumi_env: dict[str, str]) -> Iterator[Clone]:
    """What git keeps of this clone, its stack under a name and on ports of its own."""
    place, folder = request.param, tmp_path / "anytier"
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    port, stack = free_port(), f"anytier-test-{secrets.token_hex(2)}"
    config = yaml.safe_load((folder / "stacks" / f"Pulumi.{place}.yaml").read_text())["config"]
    own = {"anytier:port": port, "anytier:tlsPort": free_port()}
    (folder / "stacks" / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": {**config, **own}}))
    made = Clone(folder, place, stack, port, {**pulumi_env, "NO_COLOR": "1"})
    yield made
    made.run(f"anytier down -s {place}")


PLACES = [pytest.param("local", marks=pytest.mark.e2e), pytest.param("docker", marks=pytest.mark.docker)]


@pytest.mark.engine
@pytest.mark.parametrize("clone", PLACES, indirect=True)
def test_what_pages_show_of_a_stack_is_what_happens(clone: Clone) -> None:
    shown, released = commands(clone.place), False
    assert {"up", "status", "logs", "exec", "scale", "rollback"} <= {verb_of(item) for item in shown}
    for item in shown:
        if verb_of(item) == "rollback" and not released:
            clone.release()
            released = True
        if verb_of(item) == "logs":
            clone.get()
        done = clone.run(item.line)
        ends = re.search(r"exit (\d+)", item.line)
        assert done.returncode == (int(ends[1]) if ends else 0), f"$ {item.line}\n{done.stdout}{done.stderr}"
        for wanted in lines_to_find(item):
            printed = [plain(line, clone) for line in (done.stdout + done.stderr).splitlines()]
            assert any(wanted in line for line in printed), f"$ {item.line}\nno line {wanted!r} in\n" + "\n".join(
                printed
            )


def lines_to_find(item: Shown) -> list[str]:
    """What of a shown output does not hang on the time, on chance, or on what was done before."""
    lines = [plain(line) for line in item.output.splitlines() if line and line != "..."]
    if verb_of(item) == "rollback" and "--list" in item.line:
        return lines[:1]
    if verb_of(item) == "rollback":
        return lines[-1:]
    if verb_of(item) == "logs":
        return [line.split()[0] for line in lines]
    if verb_of(item) == "up":
        return [line for line in lines if line.startswith(("serving at", "Resources:"))]
    return lines


def plain(line: str, clone: Clone | None = None) -> str:
    """Without the stack's name, widths and numbers."""
    line = line.replace(clone.stack, clone.place) if clone else line
    return re.sub(r"\d+", "#", " ".join(line.split()))
