"""Machines on libvirt's in-memory hypervisor: everything that needs no guest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anytier.errors import Conflict, NotFound, Rejected, Unreachable
from anytier.provider.fields import behaviour
from anytier.provider.libvirt import domain as module
from anytier.provider.libvirt.connection import Hypervisor
from anytier.provider.libvirt.domain import DomainInputs, DomainOutputs, DomainResource
from anytier.provider.libvirt.power import Wait
from anytier.render.libvirt import machine as form
from anytier.render.libvirt.domain import Disk, Forward, Kernel, Nic, Placed, macs

from .ground import Ground

resource = DomainResource()
TEST = Hypervisor(uri="test:///default")
ROOT = Disk(path="/images/root.qcow2")


def inputs(**fields: Any) -> DomainInputs:
    given = {"host": TEST, "name": "web", "arch": "i686", "disks": [ROOT], "nics": [Nic(network="default")]}
    return DomainInputs(**{**given, "stop_timeout": 1, **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "a/b"}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"description": "\x1b"}, "description"),
        ({"memory": 2048, "max_memory": 1024}, "maxMemory"),
        ({"vcpus": 2, "max_vcpus": 1}, "maxVcpus"),
        ({"accelerator": "kvm"}, "accelerator"),
        ({"firmware": "uefi"}, "firmware"),
        ({"host": Hypervisor(), "secure_boot": True}, "secureBoot"),
        ({"host": Hypervisor(), "secure_boot": True, "firmware": "uefi", "machine": "pc"}, "secureBoot"),
        ({"host": Hypervisor(), "machine": "q35'/>"}, "machine"),
        ({"console_log": "log"}, "consoleLog"),
        ({"host": Hypervisor(uri="vmwarews:///session"), "console_log": "/log"}, "consoleLog"),
        ({"kernel": Kernel(path="vmlinuz")}, "kernel.path"),
        ({"kernel": Kernel(path="/vmlinuz", arguments="\0")}, "kernel.arguments"),
        ({"host": Hypervisor(), "disks": [Disk(path="../root")]}, "disks[0].path"),
        ({"disks": [ROOT, ROOT]}, "disks[1].path"),
        ({"disks": [Disk(path="/a", serial="s" * 21)]}, "disks[0].serial"),
        ({"disks": [Disk(path="/a", boot=1)], "nics": [Nic(network="a", boot=1)]}, "nics[0].boot"),
        ({"nics": [Nic(network="a", bridge="b")]}, "nics[0]"),
        ({"nics": [Nic(network="a", forwards=[Forward(port=1, to=1)])]}, "nics[0].forwards"),
        ({"nics": [Nic(forwards=[Forward(port=1, to=1), Forward(port=1, to=2)])]}, "nics[0].forwards[0].port"),
        ({"nics": [Nic(network="a", mac="52:54:00:00:00:01")] * 2}, "nics[1].mac"),
        ({"nics": [Nic(network="a b")]}, "nics[0].network"),
        ({"host": Hypervisor(uri="qemu+ssh:///system")}, "host.uri"),
    ],
)
def test_what_is_refused_at_preview(fields: dict[str, Any], path: str) -> None:
    errors = resource.check(inputs(**fields))
    assert errors and errors[0].path == path and errors[0].do


def test_nothing_but_name_place_and_generation_replaces_a_machine() -> None:
    found = {name for name in DomainInputs.model_fields if behaviour(DomainInputs, (name,)).replaces}
    assert found == {"host", "name", "generation"}
    assert behaviour(DomainInputs, ("generation",)).delete_first


def test_where_a_machine_cannot_be_changed_a_preview_says_so() -> None:
    esx = {"host": Hypervisor(uri="esx://root@h/"), "disks": [Disk(path="[store] web.vmdk", format="vmdk")]}
    before = inputs(**esx)
    assert resource.replaces(before, inputs(**esx, stop_timeout=5)) == []
    assert resource.replaces(before, inputs(**esx, memory=2048, generation="two")) == []
    with pytest.raises(Rejected, match="cannot change a machine that is there") as caught:
        resource.replaces(before, inputs(**esx, memory=2048))
    assert "destroy --target" in caught.value.do
    assert resource.replaces(inputs(), inputs(memory=2048)) == []


def test_another_hypervisors_networks_may_have_any_name() -> None:
    esx = {"host": Hypervisor(uri="esx://root@h/"), "disks": [Disk(path="[store] web.vmdk", format="vmdk")]}
    assert resource.check(inputs(**esx, nics=[Nic(bridge="VM Network")])) == []
    assert resource.check(inputs(**esx, nics=[Nic(bridge="a\0b")])) != []


async def test_another_generation_is_another_machine_of_the_same_name(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs(generation="one"))
    assert await resource.read(ground.context(), id, inputs(generation="one"), made) == (inputs(generation="one"), made)
    assert "one" not in await ground.raw(lambda raw: raw.lookupByName("web").XMLDesc(0))


async def test_made_read_and_removed(ground: Ground) -> None:
    wanted = inputs(description="a <web> & more", autostart=True, console_log="/log", max_memory=2048)
    id, made = await resource.create(ground.context(), wanted)
    assert id == "web" and made.targets == ["vda"] and len(made.macs) == 1 and made.defined
    assert await resource.read(ground.context(), id, wanted, made) == (wanted, made)
    assert resource.drifted(wanted, made) == []
    await resource.delete(ground.context(), id, wanted, made)
    assert await resource.read(ground.context(), id, wanted, made) is None
    await resource.delete(ground.context(), id, wanted, made)


async def test_made_once_whoever_asks(ground: Ground) -> None:
    assert await resource.create(ground.context(), inputs()) == await resource.create(ground.context(), inputs())


async def test_imported_it_is_the_same_machine(ground: Ground) -> None:
    _, made = await resource.create(ground.context(), inputs())
    found = await resource.read(ground.context(), "test:///default|web", None, None)
    assert found is not None
    seen, state = found
    assert state == made
    assert seen.disks == [ROOT.model_copy(update={"bus": "virtio"})] and seen.nics[0].mac == made.macs[0]
    again = await resource.update(ground.context(), "web", seen, state, seen)
    assert again == made


async def test_one_of_somebody_else_is_left_alone(ground: Ground) -> None:
    await resource.create(ground.context("urn:other"), inputs())
    ctx = ground.context()
    with pytest.raises(Conflict, match="pulumi import"):
        await resource.create(ctx, inputs())
    assert ctx.last_made is None
    await resource.delete(ground.context(), "web", inputs(), DomainOutputs(uuid="mine"))
    assert await module.find(ground.there, "web") is not None and ground.sink.warnings


async def test_a_machine_that_is_to_be_off_is_defined_only(ground: Ground) -> None:
    off = inputs(running=False)
    id, made = await resource.create(ground.context(), off)
    assert await resource.read(ground.context(), id, off, made) == (off, made)
    on = await resource.update(ground.context(), id, off, made, inputs())
    assert (await resource.read(ground.context(), id, inputs(), on)) == (inputs(), on)
    again = await resource.update(ground.context(), id, inputs(), on, off)
    assert (await resource.read(ground.context(), id, off, again)) == (off, again)


async def test_drift_is_seen_and_repaired(ground: Ground) -> None:
    wanted = inputs(vcpus=2, memory=512)
    id, made = await resource.create(ground.context(), wanted)
    await ground.raw(lambda raw: raw.lookupByName("web").destroy())
    await ground.raw(lambda raw: raw.defineXML(raw.lookupByName("web").XMLDesc(0).replace("524288", "262144")))
    seen = await resource.read(ground.context(), id, wanted, made)
    assert seen is not None and (seen[0].running, seen[0].memory) == (False, 256)
    repaired = await resource.update(ground.context(), id, *seen, wanted)
    assert await resource.read(ground.context(), id, wanted, repaired) == (wanted, made)


async def test_a_change_that_needs_a_restart_is_foretold_and_done(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    more = inputs(disks=[ROOT, Disk(path="/images/data.qcow2")], memory=2048)
    (line,) = resource.foretold(inputs(), made, more)
    assert "the machine web restarts: memory: 1024 -> 2048 MiB" in line and "/images/data.qcow2" in line
    before = await ground.raw(lambda raw: raw.lookupByName("web").ID())
    after = await resource.update(ground.context(), id, inputs(), made, more)
    assert after.uuid == made.uuid and after.targets == ["vda", "vdb"] and after.pending == []
    assert await ground.raw(lambda raw: raw.lookupByName("web").ID()) != before
    assert await resource.read(ground.context(), id, more, after) == (more, after)
    assert any("restarting" in line for line in ground.sink.lines)


async def test_a_machine_that_may_not_restart_keeps_running(ground: Ground) -> None:
    stays = inputs(restart="never")
    id, made = await resource.create(ground.context(), stays)
    more = stays.model_copy(update={"disks": [ROOT, Disk(path="/images/data.qcow2")]})
    assert "does not restart" in resource.foretold(stays, made, more)[0]
    before = await ground.raw(lambda raw: raw.lookupByName("web").ID())
    after = await resource.update(ground.context(), id, stays, made, more)
    assert await ground.raw(lambda raw: raw.lookupByName("web").ID()) == before
    assert after.pending and "needs a restart" in ground.sink.warnings[0]
    allowed = more.model_copy(update={"restart": "allow"})
    assert resource.drifted(more, after) == [] and resource.drifted(allowed, after) == ["name"]


@pytest.mark.parametrize(
    "change",
    [
        {"nics": [Nic(network="default"), Nic(network="other")]},
        {"nics": []},
        {"disks": [ROOT, Disk(path="/images/data.qcow2")]},
        {"disks": []},
    ],
)
async def test_what_waits_for_a_start_still_waits_after_a_refresh(ground: Ground, change: dict[str, Any]) -> None:
    stays = inputs(restart="never")
    id, made = await resource.create(ground.context(), stays)
    after = await resource.update(ground.context(), id, stays, made, stays.model_copy(update=change))
    assert len(after.pending) == 1
    seen = await resource.read(ground.context(), id, stays.model_copy(update=change), after)
    assert seen is not None and seen[1].pending == after.pending
    assert resource.drifted(inputs(**change), seen[1]) == ["name"]


def test_where_devices_are_plugged_what_a_guest_keeps_waits_and_what_somebody_else_plugged_does_not() -> None:
    domain = inputs().domain()
    more = domain.model_copy(update={"nics": [*domain.nics, Nic(network="other")], "disks": []})
    lasting, live = (
        form.render(item, Placed(uuid="a", type="qemu", targets=["vda"] * len(item.disks), macs=macs(item.nics, "a")))
        for item in (more, domain)
    )
    found = module.Found("a", lasting, live, False)
    absent = f"network card {macs(more.nics, 'a')[1]}: is not plugged in"
    kept = f"disk {ROOT.path}: the guest keeps it"
    assert module._pending(found, True, []) == [absent]
    assert module._pending(found, True, [kept]) == [absent, kept]


async def test_memory_within_its_bounds_changes_while_it_runs(ground: Ground) -> None:
    wanted = inputs(max_memory=2048, max_vcpus=4)
    id, made = await resource.create(ground.context(), wanted)
    more = wanted.model_copy(update={"memory": 2048, "vcpus": 2})
    assert resource.foretold(wanted, made, more) == []
    before = await ground.raw(lambda raw: raw.lookupByName("web").ID())
    after = await resource.update(ground.context(), id, wanted, made, more)
    assert await ground.raw(lambda raw: raw.lookupByName("web").ID()) == before
    assert await resource.read(ground.context(), id, more, after) == (more, after)


async def test_what_a_machine_has_is_not_renamed_by_what_comes_before_it(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    more = inputs(disks=[Disk(path="/images/first.qcow2"), ROOT], nics=[Nic(network="other"), Nic(network="default")])
    after = await resource.update(ground.context(), id, inputs(), made, more)
    assert after.targets == ["vdb", "vda"] and after.macs[1] == made.macs[0]


async def test_deletion_takes_saved_state_and_snapshots_with_it(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(
        lambda raw: raw.lookupByName("web").snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>", 0)
    )
    await ground.raw(lambda raw: raw.lookupByName("web").managedSave(0))
    await resource.delete(ground.context(), id, inputs(), made)
    assert await module.find(ground.there, "web") is None


async def test_a_half_made_machine_is_on_record(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> bool:
        raise Rejected("machine web", "will not start")

    monkeypatch.setattr(module.power, "start", broken)
    ctx = ground.context()
    with pytest.raises(Rejected):
        await resource.create(ctx, inputs())
    assert ctx.last_made is not None and ctx.last_made.id == "web"
    monkeypatch.undo()
    state = ctx.last_made.outputs
    assert isinstance(state, DomainOutputs)
    made = await resource.update(ground.context(), "web", inputs(), state, inputs())
    assert await resource.read(ground.context(), "web", inputs(), made) == (inputs(), made)


async def test_one_without_an_address_in_time_is_an_error_with_its_last_words(ground: Ground, tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    wanted = inputs(wait=Wait(until="address", timeout=0.1), console_log=str(log))
    await resource.create(ground.context(), inputs(console_log=str(log)))
    ctx = ground.context()
    with pytest.raises(Rejected, match="it has no address after") as caught:
        await resource.create(ctx, wanted.model_copy(update={"nics": []}))
    assert ctx.last_made is not None and "wait.timeout" in caught.value.do


async def test_silence_is_not_absence(closed: None, tmp_path: Path) -> None:
    away = inputs(host=Hypervisor(uri=f"qemu+unix:///system?socket={tmp_path}/none"))
    state = DomainOutputs(uuid="a")
    ctx = Ground.without_hypervisor()
    for work in (resource.read(ctx, "web", away, state), resource.delete(ctx, "web", away, state)):
        with pytest.raises(Unreachable):
            await work


async def test_one_that_goes_while_it_is_stopped_is_off(ground: Ground) -> None:
    with pytest.raises(NotFound):
        await ground.raw(lambda raw: raw.lookupByUUIDString("6f9cf2b6-4a3e-4c55-9a43-0d7e5b1f2c11"))
    uuid = "6f9cf2b6-4a3e-4c55-9a43-0d7e5b1f2c11"
    await module.power.stop(ground.context(), ground.there, uuid, "machine none", 1)
