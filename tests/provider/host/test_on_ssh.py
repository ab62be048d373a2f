"""Host resources on a real systemd machine that is reached by SSH only, as a user with sudo."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.logins import public_key
from anytier.provider.host.caddybin import wheel
from anytier.provider.host.day2 import HostBackend
from anytier.provider.host.job import JobInputs, JobResource
from anytier.provider.host.machine import MachineInputs, MachineResource
from anytier.provider.host.machines import close_all
from anytier.provider.host.proxy import ProxyInputs, ProxyOutputs, ProxyResource
from anytier.provider.host.ssh import SshMachine
from anytier.provider.host.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.provider.host.workload import WorkloadInputs, WorkloadOutputs, WorkloadResource
from anytier.provider.resource import Context
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route
from anytier.render.template import HostProcess, HttpGet, Mount, Port, Probe, Template, UpdatePolicy

from .corner import CANARY, Sink
from .ssh_box import SshBox, ssh_box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
NS, ROOT = "anytier-test-shop", "/var/lib/anytier/anytier-test-shop"
READY = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, timeout=1)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBox]:
    with ssh_box(tmp_path_factory.mktemp("box")) as made:
        yield made


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()


class Shop:
    """One app on the box."""

    def __init__(self, box: SshBox, folder: Path) -> None:
        self.box, self.sink, self.folder = box, Sink(), folder
        shutil.copy(Path(__file__).with_name("hostapp.py"), folder / "hostapp.py")
        self.base: dict[str, Any] = {
            "machine": box.ref().wire(),
            "root": ROOT,
            "supervisor": "systemd-system",
            "ns": NS,
            "owner": "/home/me/shop",
        }

    def context(self) -> Context:
        return Context("urn:pulumi:dev::shop::x::y", "y", self.sink)

    def proxy(self) -> ProxyInputs:
        config = ProxyConfig(
            listeners={"public": Listener(address=":8080")},
            routes=[Route(listener="public", pool="web/http")],
            pools={"web/http": Pool()},
        )
        return ProxyInputs.model_validate({**self.base, "config": config})

    def inputs(self, version: str = "1", mode: str = "good", **more: Any) -> WorkloadInputs:
        process = HostProcess(
            command=["python3", "hostapp.py"],
            release="one",
            env={"VERSION": version, "MODE": mode},
            secret_env={"PASSWORD": "db"},
            readiness=READY,
            liveness=READY,
            mounts=[Mount(target="/data", volume="data")],
        )
        policy = UpdatePolicy(min_healthy_time=0.3, healthy_deadline=8, progress_deadline=30, drain_timeout=5)
        values = {
            **self.base,
            "workload": "web",
            "release": {"entries": {".": str(self.folder)}},
            "template": Template(process=process, ports=[Port(name="http", port=80, target=8080)]),
            "secrets": {"db": CANARY},
            "replicas": 2,
            "update": policy,
            "pools": {"http": "web/http"},
            "volumes": {"data": f"{ROOT}/volumes/data"},
            **more,
        }
        return WorkloadInputs.model_validate(values)

    def volume(self) -> VolumeInputs:
        return VolumeInputs.model_validate({"machine": self.base["machine"], "path": f"{ROOT}/volumes/data"})

    async def up(self) -> tuple[str, WorkloadOutputs]:
        await VolumeResource().create(self.context(), self.volume())
        await ProxyResource().create(self.context(), self.proxy())
        return await WorkloadResource().create(self.context(), self.inputs())

    async def down(self) -> None:
        state = WorkloadOutputs(revision=1, hash="", replicas=2)
        await WorkloadResource().delete(self.context(), f"{NS}/web", self.inputs(), state)
        await ProxyResource().delete(self.context(), f"{NS}/proxy", self.proxy(), ProxyOutputs(running=True))
        await VolumeResource().delete(self.context(), "", self.volume(), VolumeOutputs(path=""))

    async def get(self) -> str:
        def ask() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.box.app_port}/", timeout=10) as answer:
                return str(answer.read().decode())

        return await asyncio.to_thread(ask)


@pytest.fixture
def shop(box: SshBox, tmp_path: Path) -> Shop:
    return Shop(box, tmp_path)


async def test_an_app_goes_up_is_updated_and_leaves_nothing(shop: Shop, box: SshBox) -> None:
    id, state = await shop.up()
    assert id == f"deploy@127.0.0.1:{box.port}|{ROOT}|{NS}/web"
    assert state.ready == 2 and "1" in await shop.get()

    updated = await WorkloadResource().update(shop.context(), id, shop.inputs(), state, shop.inputs("2"))
    assert (updated.revision, updated.ready) == (2, 2) and "2" in await shop.get()

    with pytest.raises(AnytierError):
        await WorkloadResource().update(shop.context(), id, shop.inputs("2"), updated, shop.inputs("3", "unhealthy"))
    assert "2" in await shop.get()
    await WorkloadResource().update(shop.context(), id, shop.inputs("2"), updated, shop.inputs("2"))

    found = await WorkloadResource().read(shop.context(), id, shop.inputs("2"), updated)
    assert found is not None and found[1].ready == 2

    assert CANARY not in box.run("sh", "-c", "cat /proc/[0-9]*/cmdline /etc/systemd/system/* 2>/dev/null").stdout

    backend = HostBackend(shop.base["machine"], ROOT, NS, "systemd-system")
    rows = await backend.instances()
    assert [(row.state, row.health) for row in rows] == [("running", "healthy")] * 2 and rows[0].started
    lines = [line async for line in backend.logs(rows[0], follow=False, tail=5)]
    assert isinstance(lines, list)

    await shop.down()
    assert box.run("ls", "/var/lib/anytier").stdout == ""
    assert box.run("sh", "-c", "ls /etc/systemd/system | grep anytier-test").stdout == ""
    assert box.run("ls", "/run/anytier").stdout == ""


async def test_what_is_up_is_imported_by_its_id(
    shop: Shop, box: SshBox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await close_all()
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    shutil.copy(box.key_file, home / ".ssh" / "id_ed25519")
    monkeypatch.setenv("HOME", str(home))
    id, _ = await shop.up()
    with pytest.raises(Denied, match="known_hosts"):
        await WorkloadResource().read(shop.context(), id, None, None)
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{box.port} {box.host_key}\n")
    found = await WorkloadResource().read(shop.context(), id, None, None)
    assert found is not None
    assert found[0].model_copy(update={"machine": box.ref(), "owner": "/home/me/shop"}) == shop.inputs()
    proxy = await ProxyResource().read(shop.context(), id.replace("/web", "/proxy"), None, None)
    assert proxy is not None and proxy[1].running
    await shop.down()


async def test_caddy_is_sent_once_and_again_only_if_it_was_changed(shop: Shop, box: SshBox) -> None:
    source = wheel()
    assert source is not None
    await ProxyResource().create(shop.context(), shop.proxy())
    digest = hashlib.sha256(Path(source).read_bytes()).hexdigest()
    path = f"{ROOT}/lib/caddy-{digest[:16]}"
    first = box.run("stat", "-c", "%i %a", path).stdout.split()
    assert first[1] == "755"
    await ProxyResource().update(shop.context(), "", shop.proxy(), ProxyOutputs(running=True), shop.proxy())
    assert box.run("stat", "-c", "%i", path).stdout.split() == first[:1]
    box.run("sh", "-c", f"cp {path} {path}.x && printf x >> {path}.x && mv {path}.x {path}")
    await ProxyResource().update(shop.context(), "", shop.proxy(), ProxyOutputs(running=True), shop.proxy())
    assert box.run("sha256sum", path).stdout.split()[0] == digest
    await ProxyResource().delete(shop.context(), f"{NS}/proxy", shop.proxy(), ProxyOutputs(running=True))


async def test_a_job_runs_to_its_end(shop: Shop) -> None:
    process = HostProcess(command=["sh", "-c", 'echo "$PASSWORD" | wc -c; exit $CODE'], secret_env={"PASSWORD": "db"})
    given = {**shop.base, "job": "migrate", "secrets": {"db": CANARY}}
    for code in (0, 3):
        template = Template(process=process.model_copy(update={"env": {"CODE": str(code)}}))
        inputs = JobInputs.model_validate({**given, "template": template})
        if code == 0:
            before = inputs
            id, done = await JobResource().create(shop.context(), inputs)
            assert done.attempts == 1
        else:
            with pytest.raises(AnytierError, match="exit 3"):
                await JobResource().update(shop.context(), id, before, done, inputs)
    await JobResource().delete(shop.context(), id, inputs, done)


async def test_a_machine_that_is_away_is_never_gone(shop: Shop, box: SshBox) -> None:
    id, state = await shop.up()
    await close_all()
    subprocess.run(["docker", "pause", box.name], check=True, capture_output=True)
    try:
        away = {**shop.base["machine"], "connectTimeout": 0.5}
        inputs = shop.inputs(machine=away)
        with pytest.raises(Unreachable):
            await WorkloadResource().read(shop.context(), id, inputs, state)
        with pytest.raises(Unreachable):
            await WorkloadResource().delete(shop.context(), id, inputs, state)
    finally:
        subprocess.run(["docker", "unpause", box.name], check=True, capture_output=True)
    await close_all()
    await shop.down()


async def test_without_password_less_sudo_nothing_is_done(box: SshBox) -> None:
    refused = SshMachine(box.ref("plain"))
    with pytest.raises(Denied, match="sudo"):
        await refused.facts()
    box.run("mv", "/usr/bin/sudo", "/usr/bin/sudo.away")
    try:
        with pytest.raises(NotFound, match="sudo"):
            await refused.facts()
    finally:
        box.run("mv", "/usr/bin/sudo.away", "/usr/bin/sudo")
    allowed = SshMachine(box.ref("plain", sudo=False))
    assert (await allowed.facts()).user == "plain"
    await allowed.close()


async def test_a_machine_is_looked_at_and_its_key_learned_once(box: SshBox, shop: Shop) -> None:
    inputs = MachineInputs(machine=box.ref(host_key=None))
    id, found = await MachineResource().create(shop.context(), inputs)
    assert (id, found.host_key) == (f"deploy@127.0.0.1:{box.port}", public_key(box.host_key))
    assert (found.distribution, found.version, found.systemd > 0, found.memory > 0) == ("debian", "12", True, True)
    assert [line for line in shop.sink.lines if "learned the host key" in line]

    keys = "/etc/ssh/ssh_host_*"
    box.run("sh", "-c", f"mkdir -p /old && mv {keys} /old && ssh-keygen -A && systemctl restart ssh")
    await close_all()
    try:
        for call in (
            MachineResource().read(shop.context(), id, inputs, found),
            MachineResource().update(shop.context(), id, inputs, found, inputs),
        ):
            with pytest.raises(Denied, match="host key is another one"):
                await call
        given = MachineInputs(
            machine=inputs.machine, host_key=box.run("cat", "/etc/ssh/ssh_host_ed25519_key.pub").stdout
        )
        assert (await MachineResource().update(shop.context(), id, inputs, found, given)).host_key == given.host_key
    finally:
        box.run("sh", "-c", f"rm {keys}; mv /old/* /etc/ssh/ && systemctl restart ssh")
    await close_all()
    read = await MachineResource().read(shop.context(), id, inputs, found)
    assert read is not None and read[1].host_key == found.host_key


async def test_a_preview_knows_what_a_machine_is_and_whether_a_node_fits_there(box: SshBox, shop: Shop) -> None:
    inputs = MachineInputs(machine=box.ref(host_key=None))
    seen = await MachineResource().foreseen(shop.context(), None, inputs)
    _, found = await MachineResource().create(shop.context(), inputs)
    assert {"hostKey", "jumpHostKey"} & {*seen} == set()
    assert {name: value for name, value in seen.items() if name != "disk"} == {
        name: value for name, value in found.wire().items() if name not in ("hostKey", "disk")
    }
    for node, what in (
        ({"role": "worker", "cores": 4096}, f"NumCPU: {found.cores} cores of the 4096 it needs"),
        ({"role": "worker", "memory": 2**30}, "MiB of memory of the 1073741824 it needs"),
        ({"role": "worker", "architecture": "s390x"}, "and the bundle is for s390x"),
    ):
        wanting = MachineInputs.model_validate({**inputs.wire(), "node": node})
        with pytest.raises(Rejected, match=what):
            await MachineResource().foreseen(shop.context(), None, wanting)
        ignoring = MachineInputs.model_validate({**inputs.wire(), "node": {**node, "ignore": ["numcpu", "Mem"]}})
        if "architecture" not in node:
            assert await MachineResource().foreseen(shop.context(), None, ignoring)
        assert await MachineResource().foreseen(shop.context(), found, wanting), "what is a node already is not judged"
    with pytest.raises(Denied, match="not root"):
        other = MachineInputs(machine=box.ref("plain", sudo=False))
        await MachineResource().foreseen(shop.context(), None, other)


async def test_a_login_that_is_not_roots_is_no_machine_of_ours(box: SshBox, shop: Shop) -> None:
    with pytest.raises(Denied, match="not root"):
        await MachineResource().create(shop.context(), MachineInputs(machine=box.ref("plain", sudo=False)))


async def test_a_call_costs_one_round_trip(box: SshBox) -> None:
    machine = SshMachine(box.ref())
    await machine.facts()
    began = time.monotonic()
    for _ in range(50):
        await machine.list("/etc")
    assert (time.monotonic() - began) / 50 < 0.05
    await machine.close()
