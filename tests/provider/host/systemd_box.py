"""A machine on which systemd really runs: a container of a Debian image that is built once and kept.

The repository, the virtual environment and its base interpreter are mounted read-only, so that what runs inside is
what runs here.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from bootstrap.paths import Paths

IMAGE = "anytier-test-systemd"
USER = "tester"
_PACKAGES = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,python3,ca-certificates,procps,iproute2"
_REPOSITORY = Path(__file__).resolve().parents[3]
_CAPABILITIES = ["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"]
_UNCONFINED = [
    part for what in ("seccomp", "apparmor", "systempaths") for part in ("--security-opt", f"{what}=unconfined")
]
_TMPFS = ["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"]


class Box:
    """One such machine."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *argv: str, user: str = "root", timeout: float = 1800) -> subprocess.CompletedProcess[str]:
        runtime = ["--env", f"XDG_RUNTIME_DIR=/run/user/{self.uid(user)}"] if user != "root" else []
        command = ["docker", "exec", "--user", user, *runtime, "--workdir", str(_REPOSITORY), self.name, *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout)

    def uid(self, user: str) -> str:
        return docker("exec", self.name, "id", "-u", user).strip()

    def reboot(self) -> None:
        docker("restart", "--time", "20", self.name)
        _boot(self)

    def pytest(self, supervisor: str, *arguments: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """The host tests, inside, under this process manager."""
        home = "/root" if user == "root" else f"/home/{user}"
        environment = [f"ANYTIER_TEST_SUPERVISOR={supervisor}", *_python(home)]
        temporary = f"{home}/t{uuid.uuid4().hex[:6]}"
        options = ["-p", "no:cacheprovider", "-p", "no:randomly", f"--basetemp={temporary}", "-m", "not docker"]
        return self.run("env", *environment, sys.executable, "-m", "pytest", *options, *arguments, user=user)

    def conformance(self, *arguments: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        """The suite on the stack `local` of a copy of this project, as JSON, under the systemd of this user."""
        home = "/root" if user == "root" else f"/home/{user}"
        project = f"{home}/anytier"
        parts = ["Pulumi.yaml", "__main__.py", "bin", "components", "policy", "apps", "stacks"]
        copied = self.run(
            "sh", "-c", f'mkdir -p {project} && cp -r --preserve=timestamps "$@" {project}/', "sh", *parts, user=user
        )
        assert copied.returncode == 0, copied.stderr
        environment = [*_python(home), f"PYTHONPATH={project}/components", f"VIRTUAL_ENV={sys.prefix}"]
        command = [sys.executable, "-m", "anytier", "conformance", "--stack", "local", "--json", *arguments]
        return self.run("env", "-C", project, *environment, *command, user=user)


def _python(home: str) -> list[str]:
    return [f"HOME={home}", f"PATH={Path(sys.executable).parent}:/usr/bin:/bin"]


@contextlib.contextmanager
def box() -> Iterator[Box]:
    """A fresh machine, gone afterwards however it went."""
    build()
    mounts = []
    for path in sorted({str(_REPOSITORY), sys.prefix, sys.base_prefix, *_engine()}):
        mounts += ["--volume", f"{path}:{path}:ro"]
    with started(IMAGE, *mounts) as made:
        _wait(made)
        yield made


@contextlib.contextmanager
def started(image: str, *options: str) -> Iterator[Box]:
    """A container in which systemd is process 1, booted."""
    name = f"{image}-{uuid.uuid4().hex[:8]}"
    mounts = ["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"]
    given = [*_CAPABILITIES, *_UNCONFINED, *_TMPFS, *mounts, *options, "--env", "container=docker"]
    docker("run", "--detach", "--name", name, *given, image, "/lib/systemd/systemd")
    try:
        made = Box(name)
        _boot(made)
        yield made
    finally:
        docker("rm", "--force", "--volumes", name)


def _engine() -> list[str]:
    """The folder of the project's own engine, where it has been set up."""
    tools = Paths.here().tools
    return [str(tools)] if tools.is_dir() else []


def build(image: str = IMAGE, more: str = "") -> None:
    """From Debian's archive by mmdebstrap, since no image registry is assumed."""
    if docker("images", "--quiet", image).strip():
        return
    make = ["mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}{more}", "bookworm", "-"]
    with subprocess.Popen(make, stdout=subprocess.PIPE) as made:
        subprocess.run(["docker", "import", "-", image], stdin=made.stdout, check=True, capture_output=True)
    assert made.returncode == 0, "mmdebstrap failed"


def docker(*argv: str) -> str:
    done = subprocess.run(["docker", *argv], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _boot(made: Box) -> None:
    for _ in range(300):
        asked = ["docker", "exec", made.name, "systemctl", "is-system-running"]
        if subprocess.run(asked, capture_output=True, text=True).stdout.strip() in ("running", "degraded"):
            return
        time.sleep(0.2)
    raise AssertionError("the machine did not boot")


def _wait(made: Box) -> None:
    """Until there is a user whose own systemd stays without a login."""
    for argv in (["useradd", "--create-home", USER], ["chmod", "755", "/root"], ["loginctl", "enable-linger", USER]):
        done = made.run(*argv)
        assert done.returncode == 0, done.stderr
    for _ in range(100):
        if made.run("systemctl", "--user", "is-system-running", user=USER).stdout.strip() in ("running", "degraded"):
            return
        time.sleep(0.2)
    raise AssertionError("the user's systemd did not start")
