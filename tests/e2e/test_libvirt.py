"""Tier libvirt under the real engine: a virtual machine from nothing to nothing, with an app in it. QEMU emulates it.

One boot: a machine that is emulated takes about a minute to come up. With ANYTIER_AT_LENGTH=1 (`make e2e-vm`) another
image is put in its place, too.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH, ROOT
from tests.provider.libvirt import guest
from tests.provider.libvirt.daemon import Libvirtd, why_not

from anytier.cli.stack import engine_env
from anytier.conformance.check import Failed
from anytier.conformance.places.local import LocalPlace
from anytier.conformance.trial import Run, Trial

pytestmark = pytest.mark.e2e
ARGUMENTS = "root=/dev/vda rw console=ttyS0 net.ifnames=1"
SERVER = """\
import http.server, os, pathlib, socket
kept = pathlib.Path(os.environ.get("VOLUME_DATA", "/none"), "kept")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ["GREETING"] + " " + (kept.read_text() if kept.exists() else "nothing")).encode()
        self.send_response(200)
        self.send_header("X-Machine", socket.gethostname())
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        kept.write_text(self.path.strip("/"))
        self.do_GET()

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer((os.environ.get("HOST", "127.0.0.1"), int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    if reason := why_not() or guest.missing():
        pytest.skip(reason)
    with Libvirtd(tmp_path_factory.mktemp("libvirtd")) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def files(libvirtd: Libvirtd) -> guest.Guest:
    return guest.ensure()


class VmStack(Trial):
    """A throw-away stack with one workload on one machine."""

    patience = 600.0
    tier = "libvirt"

    def __init__(self, libvirtd: Libvirtd, files: guest.Guest, folder: Path, **options: Any) -> None:
        self.libvirtd, self.vm = libvirtd, f"anytier-test-{secrets.token_hex(3)}"
        self.pool, self.console = folder / "pool", folder / "console.log"
        self.options = {
            "uri": libvirtd.uri,
            "name": self.vm,
            "image": str(files.disk),
            "sha256": digest(files.disk),
            "kernel": {"path": str(files.kernel), "initrd": str(files.initrd), "arguments": ARGUMENTS},
            "accelerator": "tcg",
            "memory": "1Gi",
            "bootTimeout": 480,
            "connectTimeout": 90,  # an emulated machine beside other tests takes its time
            "disk": "3Gi",
            "dataDisk": "1Gi",
            "folder": str(self.pool),
            "consoleLog": str(self.console),
            **options,
        }
        super().__init__(ROOT, LocalPlace({}), {"anytier:tier": self.tier}, engine_env())

    def make(self) -> None:
        (self.folder / "state").mkdir()
        self.app_dir.mkdir()
        self.make_app()
        self.write_config()
        self.pulumi("stack", "init", self.name, "--secrets-provider", "passphrase", stack=False)

    def make_app(self) -> None:
        (self.app_dir / "server.py").write_text(SERVER)
        container = {
            "build": {"context": "."},
            "variables": {"GREETING": "hello"},
            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 3, "timeoutSeconds": 3},
        }
        web = {
            "containers": {"web": container},
            "host": {"command": ["python3", "server.py"]},
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "scale": {"replicas": int(self.options.get("machines", 1))},
        }
        self.base = {
            "apiVersion": "anytier.dev/v1",
            "kind": "App",
            "metadata": {"name": "tiny"},
            "workloads": {"web": web},
            "routes": [{"path": "/", "workload": "web", "port": "http"}],
        }
        if "machines" not in self.options:  # several instances of one volume stay together
            container["volumes"] = {"/data": {"source": "${resources.data}"}}
            self.base["resources"] = {"data": {"type": "volume"}}

    def place_config(self) -> Any:
        return self.options

    def write_config(self, **options: Any) -> None:
        self.options |= options
        salt = [line for line in self.old_config() if line.startswith("encryptionsalt")]
        config = {**self.config, **self.own_config(), f"anytier:{self.tier}": self.place_config()}
        self.config_file.write_text("\n".join([*salt, f"config: {json.dumps(config)}", ""]))

    def old_config(self) -> list[str]:
        return self.config_file.read_text().splitlines() if self.config_file.exists() else []

    def serves(self, wanted: str, method: str = "GET", path: str = "/", patience: float = 60) -> None:
        address = self.url()
        limit, said = time.monotonic() + patience, ""
        while time.monotonic() < limit:
            with contextlib.suppress(OSError):
                asked = urllib.request.Request(address.rstrip("/") + path, method=method)
                with urllib.request.urlopen(asked, timeout=20) as answer:
                    said = answer.read().decode()
                if said == wanted:
                    return
            time.sleep(1)
        raise AssertionError(f"{address} says {said!r}, not {wanted!r}")

    def url(self) -> str:
        return str(json.loads(self.pulumi("stack", "output", "--json").output)["url"])

    def answering(self, wanted: int, patience: float = 120) -> set[str]:
        """The machines that answer at the stack's address, as soon as there are as many as wanted."""
        address, found, limit = self.url(), set[str](), time.monotonic() + patience
        while len(found) < wanted and time.monotonic() < limit:
            with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=20) as answer:
                found.add(answer.headers["X-Machine"])
            time.sleep(0.3)
        return found

    def virsh(self, *args: str) -> str:
        command = ["virsh", "-c", self.libvirtd.uri, *args]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout.strip()

    def disks(self) -> dict[str, str]:
        """The guest's name of each disk, and its file."""
        lines = self.virsh("domblklist", self.vm).splitlines()[2:]
        return dict(line.split(maxsplit=1) for line in lines if line.strip())

    def left(self) -> list[str]:
        """What is there of it."""
        listed = [self.virsh(*verb) for verb in (("list", "--all"), ("net-list", "--all"), ("pool-list", "--all"))]
        found = [line.strip() for text in listed for line in text.splitlines() if self.vm in line]
        return found + ([str(self.pool)] if self.pool.exists() else [])


def digest(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


@contextlib.contextmanager
def story(made: VmStack) -> Iterator[VmStack]:
    """Whatever became of it, nothing of it is there afterwards."""
    try:
        made.make()
        yield made
    finally:
        with contextlib.suppress(Failed):
            if made.left():
                made.pulumi("cancel", "--yes", fails=True)
                made.pulumi("destroy", "--yes", "--skip-preview", fails=True)
        for name in (made.vm, f"{made.vm}-2"):
            made.virsh("destroy", name)
            made.virsh("undefine", name)
        for kind in ("net", "pool"):
            made.virsh(f"{kind}-destroy", made.vm)
            made.virsh(f"{kind}-undefine", made.vm)
        made.forget()


def test_a_machine_that_does_not_boot_shows_its_console(libvirtd: Libvirtd, files: guest.Guest, tmp_path: Path) -> None:
    blank = tmp_path / "blank.raw"
    blank.write_bytes(b"\0" * 2**20)
    options = {"image": str(blank), "sha256": digest(blank), "disk": "64Mi", "bootTimeout": 25, "memory": "512Mi"}
    options["stopTimeout"] = 1  # nothing there hears a shutdown
    with story(VmStack(libvirtd, files, tmp_path, **options)) as stack:
        failed = stack.up(fails=True)
        assert failed.code != 0 and "Traceback" not in failed.output
        assert "did not come up within 25 s" in failed.output, failed.tail()
        assert "console's last lines" in failed.output and "bootTimeout" in failed.output, failed.tail()
        if AT_LENGTH:
            another_machine_takes_its_place(stack, tmp_path)
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert stack.left() == []


def another_machine_takes_its_place(stack: VmStack, folder: Path) -> None:
    """Another image: the old machine goes first, the new one has a new disk and the old data. Nothing need boot."""
    other, before = folder / "other.raw", stack.disks()
    other.write_bytes(b"\1" * 2**20)
    stack.write_config(image=str(other), sha256=digest(other), bootTimeout=1)
    failed = stack.up(fails=True)
    assert "did not come up within 1 s" in failed.output, failed.tail()
    after = stack.disks()
    assert before["vda"] != after["vda"] and "root-" in after["vda"]
    assert before["vdb"] == after["vdb"] and "data" in after["vdb"]


def test_a_machine_from_nothing_to_nothing(
    libvirtd: Libvirtd, files: guest.Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with story(VmStack(libvirtd, files, tmp_path)) as stack:
        told(capsys, "up", stack.up())
        stack.serves("hello nothing")
        stack.serves("hello one", "POST", "/one")
        uuid = stack.virsh("domuuid", stack.vm)
        assert uuid and "PRIVATE KEY" not in json.dumps(stack.state())
        assert all("PRIVATE KEY" not in text for text in stack.printed)

        told(capsys, "again", stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes"))
        status = stack.anytier("status").output
        assert "web" in status and "running" in status, status

        stack.write_config(memory="2Gi")
        assert "restarts" in stack.preview().output
        stack.write_config(memory="896Mi")
        changed = stack.pulumi("up", "--yes", "--skip-preview")
        told(capsys, "less memory", changed)
        assert stack.virsh("domuuid", stack.vm) == uuid and "restart" not in changed.output
        assert "917504" in stack.virsh("dominfo", stack.vm)
        stack.serves("hello one")
        if AT_LENGTH:
            switched_off(stack, capsys)
            stack.serves("hello one")
            another_image(stack, files, tmp_path, capsys)

        told(capsys, "destroy", stack.pulumi("destroy", "--yes", "--skip-preview"))
        assert stack.left() == []


@pytest.mark.skipif(not AT_LENGTH, reason="two emulated machines: make e2e-vm")
def test_an_app_on_two_machines_and_on_one_again(
    libvirtd: Libvirtd, files: guest.Guest, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with story(VmStack(libvirtd, files, tmp_path, machines=2)) as stack:
        told(capsys, "up, two machines", stack.up())
        both = {stack.vm, f"{stack.vm}-2"}
        assert stack.answering(2) == both
        told(capsys, "again", stack.pulumi("up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes"))
        status = stack.anytier("status").output
        assert all(name in status for name in both), status

        stack.write_config(machines=1)
        told(capsys, "one machine", stack.pulumi("up", "--yes", "--skip-preview"))
        assert f"{stack.vm}-2" not in stack.virsh("list", "--all")
        assert [path.name for path in stack.pool.glob("*-2.*")] == []
        assert {stack.answering(1).pop() for _ in range(6)} == {stack.vm}
        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert stack.left() == []


def switched_off(stack: VmStack, capsys: pytest.CaptureFixture[str]) -> None:
    """By somebody else: its SSH is silent, and a run starts it before it looks at what is on it."""
    uuid = stack.virsh("domuuid", stack.vm)
    stack.virsh("destroy", stack.vm)
    told(capsys, "switched off", stack.anytier("up"))
    assert stack.virsh("domuuid", stack.vm) == uuid and "running" in stack.virsh("domstate", stack.vm)


def another_image(stack: VmStack, files: guest.Guest, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A new machine in the place of the old one; the app is on it again, and its volume is what it was."""
    other = folder / "other.qcow2"
    shutil.copy(files.disk, other)
    with other.open("ab") as data:
        data.write(b"\0" * 65536)
    stack.write_config(image=str(other), sha256=digest(other))
    told(capsys, "another image", stack.pulumi("up", "--yes", "--skip-preview"))
    stack.serves("hello one")
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")


def told(capsys: pytest.CaptureFixture[str], what: str, run: Run) -> None:
    with capsys.disabled():
        print(f"\n{what}: {run.seconds:.0f} s")
