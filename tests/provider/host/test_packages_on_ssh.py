"""Packages on a real systemd machine over SSH, from Debian's archive: what is brought, not started, and refused."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from anytier.errors import Conflict, NotFound, Rejected
from anytier.packages import Package
from anytier.provider.host.distributions.apt import Apt
from anytier.provider.host.machines import close_all
from anytier.provider.host.packages import PackagesInputs, PackagesOutputs, PackagesResource
from anytier.provider.host.ssh import SshMachine
from anytier.provider.resource import Context

from .corner import Sink
from .ssh_box import SshBox, ssh_box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
# A server that its package starts and enables; small, and nothing that the machine has.
SERVER = "nginx"
HOLD = """
import fcntl, sys, time
with open("/var/lib/dpkg/lock-frontend", "w") as lock:
    fcntl.lockf(lock, fcntl.LOCK_EX)
    print("held", flush=True)
    time.sleep(float(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBox]:
    with ssh_box(tmp_path_factory.mktemp("box")) as made:
        yield made


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()


def inputs(box: SshBox, *packages: str, **more: Any) -> PackagesInputs:
    by = {package: f"workloads.web.host.packages[{index}]" for index, package in enumerate(packages)}
    given = {"machine": box.ref().wire(), "ns": "anytier-test-shop", "packages": list(packages), "wantedBy": by, **more}
    return PackagesInputs.model_validate(given)


def context() -> Context:
    return Context("urn:pulumi:dev::shop::x::y", "y", Sink())


async def create(box: SshBox, *packages: str, **more: Any) -> PackagesOutputs:
    return (await PackagesResource().create(context(), inputs(box, *packages, **more)))[1]


def said(box: SshBox, *argv: str) -> str:
    return box.run(*argv).stdout.strip()


def version(box: SshBox, name: str) -> str:
    return said(box, "dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", name)


def policy(box: SshBox) -> str:
    return box.run("cat", "/usr/sbin/policy-rc.d").stdout


@contextmanager
def locked(box: SshBox, seconds: float) -> Iterator[None]:
    """dpkg's lock, held by a process of the machine."""
    argv = ["docker", "exec", box.name, "python3", "-c", HOLD, str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        yield
        box.run("pkill", "-f", "lock-frontend")


async def test_a_server_is_installed_and_neither_runs_nor_will_at_the_next_boot(box: SshBox) -> None:
    box.run("sh", "-c", "printf '#!/bin/sh\\nexit 104\\n' > /usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d")
    assert not said(box, "sh", "-c", "ls /var/lib/apt/lists | grep Packages"), "the lists are there already"
    made = await create(box, SERVER)
    assert version(box, SERVER) == f"installed {made.installed[SERVER]}"
    assert {SERVER, "nginx-common"} <= set(made.added) and made.disabled == ["nginx.service"]
    assert said(box, "systemctl", "is-active", "nginx") == "inactive"
    assert said(box, "systemctl", "is-enabled", "nginx") == "disabled"
    assert "exit 104" in policy(box), "somebody else's policy is not what it was"
    box.run("rm", "/usr/sbin/policy-rc.d")


async def test_what_is_there_already_is_left_alone_with_its_services(box: SshBox) -> None:
    assert said(box, "systemctl", "is-enabled", "ssh") == "enabled"
    made = await create(box, SERVER, "openssh-server")
    assert (made.added, made.disabled) == ([], [])
    assert said(box, "systemctl", "is-enabled", "ssh") == "enabled" and policy(box) == ""


async def test_a_package_removed_behind_our_back_is_seen_and_brought_again(box: SshBox) -> None:
    wanted = inputs(box, "hello", SERVER)
    id, made = await PackagesResource().create(context(), wanted)
    assert made.added == ["hello"] and made.disabled == []
    assert box.run("apt-get", "remove", "--yes", "hello").returncode == 0
    seen = await PackagesResource().read(context(), id, wanted, made)
    assert seen is not None and PackagesResource().drifted(*seen) == ["packages"]
    again = await PackagesResource().update(context(), id, wanted, seen[1], wanted)
    assert again == made
    ctx = context()
    await PackagesResource().delete(ctx, id, wanted, again)
    assert version(box, "hello") == f"installed {made.installed['hello']}"
    assert "stays installed: hello" in str(ctx._sink.lines)  # type: ignore[attr-defined]


async def test_a_version_is_held_to_and_a_downgrade_is_made_only_where_it_is_asked_for(box: SshBox) -> None:
    """A newer version than the archive has is made of the archive's own."""
    first = await create(box, "hello=2.*")
    newer = f"{first.installed['hello']}+anytier1"
    script = (
        "set -e; cd /tmp; apt-get download hello >/dev/null; rm -rf h; dpkg-deb --raw-extract hello_*.deb h; "
        f"sed -i 's/^Version: .*/Version: {newer}/' h/DEBIAN/control; dpkg-deb --build h newer.deb >/dev/null; "
        "dpkg --install newer.deb >/dev/null"
    )
    done = box.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    older = f"hello={first.installed['hello']}"
    with pytest.raises(Conflict) as caught:
        await create(box, older)
    assert newer in str(caught.value) and "workloads.web.host.packages[0]" in caught.value.path
    assert version(box, "hello") == f"installed {newer}"
    made = await create(box, older, downgrades=True)
    assert made.installed == first.installed and made.added == []
    with pytest.raises(NotFound, match=r"has no hello=9\.\*; it has " + first.installed["hello"].replace("+", r"\+")):
        await create(box, "hello=9.*")


async def test_an_unknown_package_is_told_by_its_place_in_the_spec(box: SshBox) -> None:
    with pytest.raises(NotFound) as caught:
        await create(box, SERVER, "no-such-package-of-anytier")
    assert caught.value.path == "workloads.web.host.packages[1]" and "knows no package" in caught.value.what
    assert policy(box) == ""


async def test_what_apt_said_last_is_in_the_error_and_the_policy_is_gone(box: SshBox) -> None:
    box.run("sh", "-c", "printf '#!/bin/sh\\necho nobody may pass >&2; exit 3\\n' > /opt/no && chmod 755 /opt/no")
    box.run("sh", "-c", "echo 'DPkg::Pre-Invoke {\"/opt/no\";};' > /etc/apt/apt.conf.d/99no")
    try:
        with pytest.raises(Rejected) as caught:
            await create(box, "sl")
    finally:
        box.run("rm", "/etc/apt/apt.conf.d/99no")
    assert "nobody may pass" in caught.value.what and "apt-get install ended with 100" in caught.value.what
    assert policy(box) == "" and version(box, "sl") == ""


async def test_a_held_lock_is_waited_for_and_in_the_end_its_holder_is_named(box: SshBox) -> None:
    machine = SshMachine(box.ref())
    heard: list[str] = []
    try:
        with locked(box, 60):
            with pytest.raises(Conflict, match=r"python3 \(pid \d+\) still holds .*lock-frontend after 1 s"):
                await Apt(patience=1)._until_free(machine, heard.append)
        with locked(box, 3):
            await Apt(patience=60)._until_free(machine, heard.append)
    finally:
        await machine.close()
    assert "waiting for python3" in heard[-1]


async def test_an_installation_ends_though_the_run_that_began_it_is_given_up(box: SshBox) -> None:
    running = asyncio.ensure_future(create(box, "sl"))
    deadline = asyncio.get_running_loop().time() + 60
    while not policy(box):
        assert asyncio.get_running_loop().time() < deadline and not running.done()
        await asyncio.sleep(0.05)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await close_all()
    made = await create(box, "sl")  # waits for the other one
    assert version(box, "sl") == f"installed {made.installed['sl']}" and policy(box) == ""
    assert json.loads(said(box, "sh", "-c", "ls /usr/sbin/policy-rc.d* >/dev/null 2>&1 && echo 1 || echo 0")) == 0


async def test_what_is_held_stays_until_it_is_removed(box: SshBox) -> None:
    """A hold does not keep us from installing, nor from removing; a package that something needs stays."""
    machine = SshMachine(box.ref())
    try:
        for _ in range(2):
            done = await Apt().install(machine, {Package(SERVER): "x"}, True, lambda said: None, [SERVER, "cowsay"])
            assert done.problem is None
            assert said(box, "apt-mark", "showhold").split() == [SERVER]
        assert await Apt().remove(machine, ["nginx-common"], lambda said: None) == [SERVER]
        assert version(box, SERVER).startswith("installed") and version(box, "nginx-common").startswith("installed")
        assert await Apt().remove(machine, ["nginx-common", SERVER, "cowsay"], lambda said: None) == []
        assert version(box, SERVER) == "" and said(box, "apt-mark", "showhold") == ""
        assert box.run("test", "-e", "/etc/nginx").returncode != 0
    finally:
        await machine.close()
