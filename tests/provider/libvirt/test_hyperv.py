"""A stand-in for libvirt's Hyper-V driver, which was never run: the in-memory one with Hyper-V's own ways.

As its source has it: Hyper-V picks the UUID, whatever the XML says, machines are of generation 1, which boots from IDE
only, and nothing changes a machine that is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from anytier.errors import Conflict
from anytier.provider.libvirt import connection
from anytier.provider.libvirt.connection import Hypervisor, There
from anytier.provider.libvirt.domain import DomainInputs, DomainOutputs, DomainResource
from anytier.render.libvirt import xml
from anytier.render.libvirt.domain import Disk, Nic

from .ground import Ground

resource = DomainResource()
HYPERV = Hypervisor(uri="hyperv://Administrator@h/")
UNKNOWN = ("features", "devices/serial", "devices/console", "devices/channel", "devices/rng")


class Machine:
    """One of the in-memory hypervisor, said to be Hyper-V's."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def XMLDesc(self, flags: int = 0) -> str:
        return str(self.real.XMLDesc(flags)).replace("type='test'", "type='hyperv'", 1)

    def create(self) -> int:
        disk = xml.read(self.XMLDesc()).find("devices/disk/target")
        assert disk is not None and disk.get("bus") == "ide", "generation 1 boots from IDE"
        return int(self.real.create())


class Driver:
    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def lookupByName(self, name: str) -> Machine:
        return Machine(self.real.lookupByName(name))

    def lookupByUUIDString(self, uuid: str) -> Machine:
        return Machine(self.real.lookupByUUIDString(uuid))

    def defineXML(self, text: str) -> Machine:
        root = xml.read(text)
        name = str(root.findtext("name"))
        assert root.get("type") == "hyperv" and not [path for path in UNKNOWN if root.find(path) is not None]
        assert name not in [item.name() for item in self.real.listAllDomains()], "it would make a second one"
        own = re.sub("<uuid>.*</uuid>", "", text.replace('type="hyperv"', 'type="test"', 1))
        return Machine(self.real.defineXML(own))


@pytest.fixture
def hyperv(memory: There) -> Iterator[Ground]:
    place = There(HYPERV)
    place._raw = Driver(memory._raw)
    connection._PLACES[HYPERV] = place
    yield Ground(place)
    connection._PLACES.pop(HYPERV)


def inputs(**fields: Any) -> DomainInputs:
    disk = Disk(path="C:\\VMs\\web.vhdx", format="vhdx")
    given = {"host": HYPERV, "name": "web", "arch": "i686", "disks": [disk], "nics": [Nic(bridge="a-switch")]}
    return DomainInputs(**{**given, "stop_timeout": 1, **fields})


async def test_a_machine_is_known_by_the_uuid_that_hyper_v_picked(hyperv: Ground) -> None:
    wanted = inputs()
    id, made = await resource.create(hyperv.context(), wanted)
    there = await hyperv.raw(lambda raw: raw.lookupByName("web").UUIDString())
    assert made.uuid == there and made.defined and made.targets == ["hda"]
    assert await resource.read(hyperv.context(), id, wanted, made) == (wanted, made)
    imported = await resource.read(hyperv.context(), f"{HYPERV.uri}|web", None, None)
    assert imported is not None and imported[0].disks[0].format == "vhdx" and imported[1] == made


async def test_the_next_run_finds_it_and_takes_it_away(hyperv: Ground) -> None:
    id, made = await resource.create(hyperv.context(), inputs())
    later = inputs(stop_timeout=2)
    after = await resource.update(hyperv.context(), id, inputs(), made, later)
    assert after == made
    assert await resource.read(hyperv.context(), id, later, after) == (later, after)
    await resource.delete(hyperv.context(), id, later, after)
    assert await resource.read(hyperv.context(), id, later, after) is None


async def test_what_is_recorded_while_it_starts_has_that_uuid_too(
    hyperv: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Machine) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Machine, "create", broken)
    ctx = hyperv.context()
    with pytest.raises(KeyboardInterrupt):
        await resource.create(ctx, inputs())
    monkeypatch.undo()
    assert ctx.last_made is not None
    state = ctx.last_made.outputs
    assert isinstance(state, DomainOutputs) and state.defined
    made = await resource.update(hyperv.context(), "web", inputs(), state, inputs())
    assert await resource.read(hyperv.context(), "web", inputs(), made) == (inputs(), made)


async def test_one_of_somebody_else_is_left_alone(hyperv: Ground) -> None:
    await resource.create(hyperv.context("urn:other"), inputs())
    with pytest.raises(Conflict, match="pulumi import"):
        await resource.create(hyperv.context(), inputs())


def test_no_more_disks_than_its_ide_holds() -> None:
    disks = [Disk(path=f"C:\\VMs\\{index}.vhdx", format="vhdx") for index in range(5)]
    (error,) = resource.check(inputs(disks=disks))
    assert error.path == "disks[4].bus" and "bus: scsi" in error.do
    assert resource.check(inputs(disks=[*disks[:4], disks[4].model_copy(update={"bus": "scsi"})])) == []
