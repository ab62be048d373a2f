"""Faults on tier local under the real engine: killed and interrupted runs, a full disk, a taken port, a dead prober.

Each story is one throw-away stack of a small app in a state folder of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import ROOT

from anytier.cli.stack import engine_env
from anytier.conformance.check import Failed
from anytier.conformance.load import until
from anytier.conformance.patch import merged, version
from anytier.conformance.places.local import LocalPlace, environment, pids
from anytier.conformance.trial import Trial, kill_tree, parentage

pytestmark = pytest.mark.e2e

SEED = int(os.environ.get("ANYTIER_TEST_SEED", "20261124"))
READY = {"httpGet": {"path": "/health/ready", "port": 8080}, "periodSeconds": 1}
LIVE = {"httpGet": {"path": "/health/live", "port": 8080}, "periodSeconds": 1, "failureThreshold": 2}


class Story(Trial):
    """A stack of one workload with two replicas and a secret; the volume is nobody's, or the old one would go first."""

    def __init__(self, state_dir: Path, supervisor: str = "supervisord") -> None:
        options = {"stateDir": str(state_dir), "supervisor": supervisor}
        config = {"anytier:tier": "local", "anytier:local": options}
        super().__init__(ROOT, LocalPlace(options), config, engine_env())

    def make(self) -> None:
        super().make()
        container = {
            "build": {"context": "."},
            "variables": {"CONF_VERSION": "v1", "CONF_BEHAVIOUR": "", "CONF_SECRETS": "TOKEN"},
            "secrets": {"TOKEN": "canary"},
            "readinessProbe": READY,
            "livenessProbe": LIVE,
        }
        app = {
            "containers": {"app": container},
            "host": {"command": ["python3", "app.py", "serve"]},
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "scale": {"replicas": 2},
            "update": {
                "order": "start-first",
                "minHealthyTime": "500ms",
                "healthyDeadline": "60s",
                "drainTimeout": "3s",
            },
        }
        self.base = {
            **{key: self.base[key] for key in ("apiVersion", "kind", "metadata")},
            "workloads": {"app": app},
            "resources": {"data": {"type": "volume"}},
            "secrets": {"canary": {"from": "config"}},
            "routes": [{"path": "/", "workload": "app", "port": "http"}],
        }

    @property
    def root(self) -> Path:
        return Path(self.place.root(self.ns))  # type: ignore[attr-defined]

    def programs(self) -> list[str]:
        """The names of the supervised programs that run, one for each process that was started as one."""
        found = [environment(pid) for pid in pids()]
        ours = [item for item in found if item.get("ANYTIER_ROOT") == str(self.root)]
        return sorted(
            item["ANYTIER_INSTANCE"].removeprefix(f"{self.ns}-") for item in ours if "ANYTIER_INSTANCE" in item
        )

    def serves(self, wanted: str) -> None:
        """Two replicas of that version, and no process beside them."""
        reports = self.replicas(2)
        assert {report["version"] for report in reports.values()} == {wanted}
        kinds = [name.split("-")[0] for name in self.programs()]
        assert kinds == ["app", "app", "proxy"], self.programs()
        assert self.state()["deployment"].get("pending_operations") in (None, [])
        self.preview("--refresh", "--expect-no-changes")

    def ended(self) -> None:
        self.pulumi("destroy", "--yes", "--skip-preview")
        assert self.place.leftovers(self.ns) == []
        assert not self.root.exists()

    def start_up(self, wanted: str) -> subprocess.Popen[str]:
        """`up` of a version, left running."""
        (self.app_dir / "app.yaml").write_text(json.dumps(merged(self.base, version("app", wanted))))
        command = ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never"]
        return subprocess.Popen(
            [*command, "--stack", self.name], cwd=self.project, env=self.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip


@contextlib.contextmanager
def story(state_dir: Path) -> Iterator[Story]:
    """The stack; whatever became of it, nothing of it runs afterwards."""
    made = Story(state_dir)
    try:
        made.make()
        yield made
    finally:
        with contextlib.suppress(Failed):
            made.pulumi("cancel", "--yes", fails=True)
            made.pulumi("destroy", "--yes", "--skip-preview", fails=True)
        for pid in pids():
            if environment(pid).get("ANYTIER_ROOT") == str(made.root):
                os.kill(pid, signal.SIGKILL)
        made.forget()


def test_killed_at_any_moment_the_next_run_goes_on(tmp_path: Path) -> None:
    """SIGKILL of the engine and all it started, the first deploy among them: no duplicate, no orphan."""
    moments = random.Random(SEED)
    with story(tmp_path) as stack:
        for number in range(1, 8):
            process = stack.start_up(f"v{number}")
            time.sleep(moments.uniform(0.5, 7))
            kill_tree(process.pid)
            process.communicate()
            stack.pulumi("cancel", "--yes", fails=True)  # the lock of the killed run, if it had one
            stack.pulumi("refresh", "--yes", "--skip-preview", "--clear-pending-creates")
            stack.up(version("app", f"v{number}"))
            stack.serves(f"v{number}")
        stack.ended()


def test_the_plugin_alone_killed_is_an_error_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        stack.up()
        slowly(stack)
        process = stack.start_up("v2")
        assert until(lambda: "app-r2-0" in stack.programs(), 30)
        for pid in plugins_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
        assert process.returncode != 0 and "Traceback" not in said, said
        stack.base["workloads"]["app"]["update"]["minHealthyTime"] = "500ms"
        stack.up(version("app", "v2"))
        stack.serves("v2")
        stack.ended()


def slowly(stack: Story) -> None:
    """From now on an update is under way for long enough to be struck."""
    update = {"minHealthyTime": "20s", "healthyDeadline": "40s"}
    stack.base = merged(stack.base, {"workloads": {"app": {"update": update}}})


def plugins_of(pid: int) -> list[int]:
    found = [child for child, parent in parentage() if parent == pid]
    return [
        child
        for child in found
        if b"pulumi-resource-anytier" in cmdline(child) or b"anytier.provider" in cmdline(child)
    ]


def cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_ctrl_c_is_back_within_ten_seconds_and_loses_nothing(tmp_path: Path) -> None:
    with story(tmp_path) as stack:
        stack.up()
        slowly(stack)
        process = stack.start_up("v2")
        assert until(lambda: "app-r2-0" in stack.programs(), 30)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)
        assert time.monotonic() - began < 10 and process.returncode != 0
        assert "Traceback" not in said, said
        recorded = next(item for urn, item in stack.urns().items() if urn.endswith("host:Workload::app"))
        assert recorded["id"] and (recorded.get("initErrors") or recorded["outputs"].get("pending")), said
        assert {report["version"] for report in stack.replicas(2).values()} == {"v1"}
        stack.base["workloads"]["app"]["update"]["minHealthyTime"] = "500ms"
        stack.up(version("app", "v2"))
        stack.serves("v2")
        stack.ended()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_clear_line_and_the_old_version_serves(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=True)
    try:
        with story(disk) as stack:
            stack.up()
            filler = disk / "filler"
            fill(filler)
            failed = stack.up(version("app", "v2"), fails=True)
            assert failed.code != 0 and "Traceback" not in failed.output
            assert "No space left on device -> free some disk space, then run again" in failed.output, failed.tail()
            assert {report["version"] for report in stack.replicas(2).values()} == {"v1"}
            filler.unlink()
            stack.up(version("app", "v2"))
            stack.serves("v2")
            stack.ended()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as stream:
        for size in (65536, 4096, 512, 64, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(b"x" * size)


def test_a_taken_port_is_one_clear_line_and_nothing_is_made(tmp_path: Path) -> None:
    from tests.provider.host.corner import listening

    with story(tmp_path) as stack:
        with listening(stack.port):
            failed = stack.up(fails=True)
        assert failed.code != 0 and "Traceback" not in failed.output
        said = next(line for line in failed.output.splitlines() if f"port {stack.port} is taken" in line)
        assert f"(pid {os.getpid()})" in said and "pulumi config set anytier:port" in said
        assert stack.programs() == []
        stack.up()
        stack.serves("v1")
        stack.ended()


def test_helpers_that_are_killed_come_back(tmp_path: Path) -> None:
    """healthd and Caddy, kill -9: what is not alive is restarted again, and every request finds its way."""
    with story(tmp_path) as stack:
        stack.up()
        for pid in [pid for pid in pids() if str(stack.root) in cmdline(pid).decode(errors="replace")]:
            if b"healthd.py" in cmdline(pid) or b"caddy" in cmdline(pid).split(b"\0")[0]:
                os.kill(pid, signal.SIGKILL)
        assert until(lambda: answers(stack), 20)
        before = stack.replicas(2)
        chosen = stack.post("/fail-health?kind=live&seconds=600")["instance"]
        assert until(lambda: started(stack, chosen) not in (None, before[chosen]["started"]), 30)
        stack.serves("v1")
        stack.ended()


def test_after_a_reboot_one_up_brings_everything_back(tmp_path: Path) -> None:
    """Where supervisord runs the app nothing starts it at boot: all processes are gone, all files are there."""
    with story(tmp_path) as stack:
        stack.up()
        stack.get("/")
        for pid in [pid for pid in pids() if environment(pid).get("ANYTIER_ROOT") == str(stack.root)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert until(lambda: not answers(stack), 10)
        said = stack.anytier("up").output
        assert f"serving at http://localhost:{stack.port}/" in said
        stack.serves("v1")
        stack.ended()


def answers(stack: Story) -> bool:
    with contextlib.suppress(Failed):
        return bool(stack.get("/"))
    return False


def started(stack: Story, instance: str) -> Any:
    with contextlib.suppress(Failed):
        return stack.replicas(2, seconds=3)[instance]["started"]
    return None
