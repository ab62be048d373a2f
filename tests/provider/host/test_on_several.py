"""One app on three real systemd machines over SSH: spread, moved, cut off, taken out and taken in again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import subprocess
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import AnytierError, NoSpace, RolloutFailed, Unreachable
from anytier.provider.host.day2 import FleetBackend
from anytier.provider.host.machines import close_all
from anytier.provider.host.proxy import ProxyInputs, ProxyOutputs, ProxyResource
from anytier.provider.host.volume import VolumeInputs, VolumeResource
from anytier.provider.host.workload import WorkloadInputs, WorkloadOutputs, WorkloadResource
from anytier.provider.resource import Context
from anytier.render.placement import Placement
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route
from anytier.render.template import HostProcess, HttpGet, Mount, Port, Probe, Template, UpdatePolicy

from .corner import CANARY, Load, Sink
from .ssh_box import SshBox, ssh_boxes

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
NS, ROOT = "anytier-test-fleet", "/var/lib/anytier/anytier-test-fleet"
READY = Probe(http_get=HttpGet(path="/healthz", port=8080), period=1, timeout=1)
LETTERS = "abc"
# Ends every session of sshd, each by its number.
CUT = """systemctl stop ssh
for each in /proc/[0-9]*; do
    case $(tr '\\0' ' ' < $each/cmdline) in 'sshd: deploy'*) kill -9 ${each#/proc/} ;; esac
done 2>/dev/null; true"""


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SshBox]]:
    with ssh_boxes(tmp_path_factory.mktemp("boxes"), len(LETTERS)) as made:
        yield dict(zip(LETTERS, made, strict=True))


@pytest.fixture(autouse=True)
async def connections() -> AsyncIterator[None]:
    yield
    await close_all()


class Fleet:
    """One app on the boxes: what a stack's program would say of it, in short."""

    def __init__(self, boxes: dict[str, SshBox], folder: Path) -> None:
        self.boxes, self.folder, self.sink = boxes, folder, Sink()
        shutil.copy(Path(__file__).with_name("hostapp.py"), folder / "hostapp.py")
        self.id = f"{NS}/web"
        self.state = WorkloadOutputs(revision=0, hash="", replicas=0)
        self.last = self.inputs()
        self.last_proxy = self.proxy()

    def context(self) -> Context:
        return Context("urn:pulumi:dev::fleet::x::y", "y", self.sink)

    def base(self, letters: str) -> dict[str, Any]:
        machines = [
            {
                "name": letter,
                "machine": self.boxes[letter].ref(connect_timeout=3).wire(),
                "address": self.boxes[letter].address,
                "labels": {"letter": letter},
                "ingress": letter != "c",
            }
            for letter in letters
        ]
        corner = {"root": ROOT, "supervisor": "systemd-system", "ns": NS, "owner": "/home/me/fleet"}
        return {**corner, "machine": machines[0]["machine"], "machines": machines}

    def proxy(self, letters: str = LETTERS) -> ProxyInputs:
        config = ProxyConfig(
            listeners={"public": Listener(address=":8080"), "service": Listener(address="127.0.0.1:20080")},
            routes=[Route(listener=name, pool="web/http") for name in ("public", "service")],
            pools={"web/http": Pool()},
        )
        return ProxyInputs.model_validate({**self.base(letters), "config": config})

    def inputs(self, version: str = "1", letters: str = LETTERS, **more: Any) -> WorkloadInputs:
        env = {"VERSION": version, "MODE": "good", "HOST": "0.0.0.0", **more.pop("env", {})}
        process = HostProcess(
            command=["python3", "hostapp.py"],
            release="one",
            env=env,
            secret_env={"PASSWORD": "db"},
            readiness=READY,
            mounts=more.pop("mounts", []),
        )
        policy = UpdatePolicy(min_healthy_time=0.3, healthy_deadline=20, progress_deadline=60, drain_timeout=5)
        values = {
            **self.base(letters),
            "workload": "web",
            "release": {"entries": {".": str(self.folder)}},
            "template": Template(process=process, ports=[Port(name="http", port=80, target=8080)]),
            "secrets": {"db": CANARY},
            "replicas": 3,
            "update": policy,
            "pools": {"http": "web/http"},
            "placement": Placement(),
            **more,
        }
        return WorkloadInputs.model_validate(values)

    async def up(self, version: str = "1", letters: str = LETTERS, **more: Any) -> WorkloadOutputs:
        """As `pulumi up` would: the proxy, then the workload; each is an update if it is there."""
        proxy, wanted = self.proxy(letters), self.inputs(version, letters, **more)
        running, context = ProxyOutputs(running=True), self.context()
        if self.state.revision:
            await ProxyResource().update(context, f"{NS}/proxy", self.last_proxy, running, proxy)
            self.last_proxy = proxy
            self.state = await WorkloadResource().update(self.context(), self.id, self.last, self.state, wanted)
        else:
            await ProxyResource().create(context, proxy)
            self.last_proxy = proxy
            self.id, self.state = await WorkloadResource().create(self.context(), wanted)
        self.last = wanted
        return self.state

    async def down(self) -> None:
        await WorkloadResource().delete(self.context(), self.id, self.last, self.state)
        await ProxyResource().delete(self.context(), f"{NS}/proxy", self.last_proxy, ProxyOutputs(running=True))

    # looks

    def where(self) -> dict[str, int]:
        """Machine -> instances, as the machines themselves say."""
        return {letter: len(self.units(letter)) for letter in self.boxes}

    def units(self, letter: str) -> list[str]:
        shown = self.boxes[letter].run("systemctl", "list-units", "--plain", "--no-legend", f"{NS}-web-*").stdout
        return [line.split()[0] for line in shown.splitlines() if " running " in line]

    def left(self, letter: str) -> list[str]:
        found = self.boxes[letter].run("sh", "-c", "ls -A /var/lib/anytier; ls /etc/systemd/system | grep anytier-test")
        return found.stdout.split()

    async def answers(self, letter: str, times: int = 12) -> set[str]:
        """Versions and instances that answer at the door of a machine."""

        def ask() -> set[str]:
            found = set()
            for _ in range(times):
                with urllib.request.urlopen(
                    f"http://127.0.0.1:{self.boxes[letter].app_port}/env", timeout=10
                ) as answer:
                    env = json.loads(answer.read())
                found.add(f"{env['VERSION']} {env['ANYTIER_INSTANCE']}")
            return found

        return await asyncio.to_thread(ask)

    def inside(self, letter: str) -> str:
        """What an app on that machine gets from the service's loopback port."""
        ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:20080/', timeout=5).read().decode())"
        return self.boxes[letter].run("python3", "-c", ask).stdout.strip()


@pytest.fixture
async def fleet(boxes: dict[str, SshBox], tmp_path: Path) -> AsyncIterator[Fleet]:
    made = Fleet(boxes, tmp_path)
    yield made
    with contextlib.suppress(AnytierError):
        await made.down()


async def test_an_app_is_spread_served_by_every_door_and_updated_without_a_loss(fleet: Fleet) -> None:
    state = await fleet.up()
    assert state.ready == 3 and fleet.where() == {"a": 1, "b": 1, "c": 1}
    assert sorted(item.id.split("/")[0] for item in state.instances) == ["a", "b", "c"]
    for door in "ab":
        assert len(await fleet.answers(door)) == 3
    assert fleet.inside("c").startswith("1 "), "no door, but its own apps call the service"
    with pytest.raises(OSError):
        await fleet.answers("c", 1)

    with Load(fleet.boxes["a"].app_port, clients=2) as load:
        state = await fleet.up("2")
    assert load.failed == [] and load.done > 20
    assert (state.revision, state.ready, fleet.where()) == (2, 3, {"a": 1, "b": 1, "c": 1})
    assert {answer[0] for answer in await fleet.answers("b")} == {"2"}

    found = await WorkloadResource().read(fleet.context(), fleet.id, fleet.last, state)
    assert found is not None and found[0] == fleet.last and found[1] == state
    again = await fleet.up("2")
    assert again.instances == state.instances

    base = fleet.base(LETTERS)
    backend = FleetBackend(base["machines"], ROOT, NS, "systemd-system")
    rows = await backend.instances()
    assert sorted((row.machine, row.state, row.health) for row in rows) == [
        (letter, "running", "healthy") for letter in LETTERS
    ]
    assert any([line async for line in backend.logs(rows[0], follow=False, tail=5)])

    await fleet.down()
    assert [fleet.left(letter) for letter in LETTERS] == [[], [], []]


async def test_an_instance_that_the_others_do_not_reach_is_no_good(fleet: Fleet) -> None:
    await fleet.up()
    with pytest.raises(RolloutFailed) as caught:
        await fleet.up("2", env={"HOST": "127.0.0.1"})
    said = str(caught.value)
    assert "on its own machine" in said and "does not reach it at" in said and "listen on HOST" in said
    assert {answer[0] for answer in await fleet.answers("a")} == {"1"}
    assert fleet.where() == {"a": 1, "b": 1, "c": 1}


async def test_a_run_that_is_cut_off_is_continued_by_the_next(fleet: Fleet) -> None:
    await fleet.up()
    box = fleet.boxes["b"]

    def begun() -> bool:
        return any("-r2-" in unit for letter in LETTERS for unit in fleet.units(letter))

    task = asyncio.create_task(fleet.up("2"))
    await until(begun)
    await asyncio.to_thread(box.run, "sh", "-c", CUT)
    try:
        with pytest.raises(AnytierError) as caught:
            await task
        assert str(box.port) in str(caught.value), "it says which machine"
        assert len(await fleet.answers("a")) >= 2, "what served goes on serving"
    finally:
        box.run("systemctl", "start", "ssh")
    state = await fleet.up("2")
    assert (state.revision, state.ready, fleet.where()) == (2, 3, {"a": 1, "b": 1, "c": 1})
    assert {answer[0] for answer in await fleet.answers("b")} == {"2"}


async def test_a_machine_is_taken_out_while_down_and_comes_back_clean(fleet: Fleet) -> None:
    await fleet.up()
    box = fleet.boxes["c"]
    await close_all()
    subprocess.run(["docker", "pause", box.name], check=True, capture_output=True)
    try:
        with pytest.raises(Unreachable, match=str(box.port)):
            await fleet.up("2")
        with pytest.raises(Unreachable, match=str(box.port)):
            await WorkloadResource().read(fleet.context(), fleet.id, fleet.last, fleet.state)
        state = await fleet.up("2", "ab")
        assert state.ready == 3 and sorted(count for _, count in fleet_where(fleet, "ab").items()) == [1, 2]
        assert [line for line in fleet.sink.lines if str(box.port) in line and "let go" in line]
        state = await fleet.up("3", "ab")
    finally:
        subprocess.run(["docker", "unpause", box.name], check=True, capture_output=True)
    await close_all()
    assert "-r1-" in "".join(fleet.units("c")), "nobody has told it"
    state = await fleet.up("3")
    assert (state.revision, state.ready, fleet.where()) == (3, 3, {"a": 1, "b": 1, "c": 1})
    assert len(await fleet.answers("a")) == 3 and {answer[0] for answer in await fleet.answers("a")} == {"3"}

    state = await fleet.up("3", "bc")
    assert state.ready == 3 and fleet.left("a") == [], "one that is up is emptied"
    assert {answer[0] for answer in await fleet.answers("b")} == {"3"}


async def test_a_machine_that_reboots_serves_again_by_itself(fleet: Fleet) -> None:
    await fleet.up()
    box, address = fleet.boxes["b"], fleet.boxes["b"].address
    await close_all()
    await asyncio.to_thread(box.reboot)
    await until(lambda: fleet.where() == {"a": 1, "b": 1, "c": 1})
    if box.address == address:  # else the others look for it where it was: their next `up` tells them
        await until(lambda: all(len(asyncio.run(fleet.answers(door))) == 3 for door in "ab"))
    state = await fleet.up("2")
    assert (state.revision, state.ready, fleet.where()) == (2, 3, {"a": 1, "b": 1, "c": 1})
    for door in "ab":
        assert {answer[0] for answer in await fleet.answers(door)} == {"2"}


async def test_a_changed_host_key_stops_everything_before_anything_is_done(fleet: Fleet) -> None:
    await fleet.up()
    await close_all()
    box, keys = fleet.boxes["b"], "/etc/ssh/ssh_host_*"
    box.run("sh", "-c", f"mkdir /var/tmp/keys && mv {keys} /var/tmp/keys && ssh-keygen -A && systemctl restart ssh")
    try:
        with pytest.raises(AnytierError, match="host key") as caught:
            await fleet.up("2")
        assert str(box.port) in str(caught.value)
    finally:
        box.run(
            "sh", "-c", f"rm {keys} && mv /var/tmp/keys/* /etc/ssh/ && rmdir /var/tmp/keys && systemctl restart ssh"
        )
        await close_all()
    assert not any("-r2-" in unit for letter in LETTERS for unit in fleet.units(letter))
    assert {answer[0] for answer in await fleet.answers("a")} == {"1"}


async def test_a_full_disk_is_told_with_its_machine(fleet: Fleet) -> None:
    box = fleet.boxes["c"]
    box.run("mkdir", "-p", "/var/lib/anytier")
    assert box.run("mount", "-t", "tmpfs", "-o", "size=1m", "full", "/var/lib/anytier").returncode == 0
    try:
        with pytest.raises(NoSpace, match="machine c"):
            await fleet.up()
    finally:
        await close_all()
        box.run("umount", "/var/lib/anytier")


async def test_a_volume_keeps_its_workload_and_its_data_stays_when_the_machine_leaves(fleet: Fleet) -> None:
    path = f"{ROOT}/volumes/data"

    def volume(letters: str) -> VolumeInputs:
        base = fleet.base(letters)
        return VolumeInputs.model_validate({"machine": base["machine"], "machines": base["machines"], "path": path})

    more = {"volumes": {"data": path}, "placement": Placement(mode="together"), "replicas": 2}
    id, made = await VolumeResource().create(fleet.context(), volume("ab"))
    fleet.boxes["b"].run("sh", "-c", f"echo kept > {path}/file")
    imported = await VolumeResource().read(fleet.context(), id, volume("ab"), None)
    assert imported is not None and imported[0] == volume("ab")
    await fleet.up("1", "ab", mounts=[Mount(target="/data", volume="data")], **more)
    assert fleet.where() == {"a": 0, "b": 2, "c": 0}, "where the data is"

    told = VolumeResource().foretold(volume("ab"), made, volume("ac"))
    assert told and "stays on b" in told[0]
    await VolumeResource().update(fleet.context(), id, volume("ab"), made, volume("ac"))
    await fleet.up("1", "ac", mounts=[Mount(target="/data", volume="data")], **more)
    assert fleet.where() == {"a": 2, "b": 0, "c": 0}
    assert fleet.boxes["b"].run("cat", f"{path}/file").stdout == "kept\n"
    assert [line for line in fleet.sink.lines if "stays on b" in line]
    await fleet.down()
    await VolumeResource().delete(fleet.context(), id, volume("ac"), made)
    assert [fleet.left(letter) for letter in "ac"] == [[], []]
    fleet.boxes["b"].run("rm", "-r", ROOT)


def fleet_where(fleet: Fleet, letters: str) -> dict[str, int]:
    return {letter: len(fleet.units(letter)) for letter in letters}


async def until(check: Callable[[], bool], timeout: float = 30) -> None:
    for _ in range(int(timeout / 0.1)):
        if await asyncio.to_thread(check):
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it did not happen in time")
