"""Domains as XML: the same machine comes back, whatever its strings hold, and what libvirt added is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.render.libvirt import machine, xml
from anytier.render.libvirt.domain import Disk, Domain, Nic, Placed, bus, macs, targets

from . import samples
from .schema import golden


def normal(domain: Domain, placed: Placed) -> Domain:
    """With what a host fills in."""
    return domain.model_copy(
        update={
            "accelerator": {"kvm": "kvm", "qemu": "tcg"}.get(placed.type, "auto"),
            "disks": [
                item.model_copy(
                    update={"bus": bus(item, domain.machine), "read_only": item.read_only and item.kind == "disk"}
                )
                for item in domain.disks
            ],
            "nics": [
                item.model_copy(update={"mac": mac, "model": item.model or "virtio"})
                for item, mac in zip(domain.nics, placed.macs, strict=True)
            ],
        }
    )


@given(samples.domains, st.sampled_from(["kvm", "qemu"]))
@settings(max_examples=400)
def test_what_is_written_is_read_back(domain: Domain, kind: str) -> None:
    placed = samples.placed(domain, kind)
    text = xml.written(machine.render(domain, placed))
    assert machine.parse(xml.read(text)) == (normal(domain, placed), placed)


@pytest.mark.parametrize("name", samples.DOMAINS)
def test_a_machine_is_written_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    domain, kind = samples.DOMAINS[name]
    root = machine.with_spare_ports(machine.render(domain, samples.placed(domain, kind)))
    text = xml.written(root)
    golden(f"domain-{name}.xml", text, request)


@pytest.mark.parametrize("value", ["a\0", "\x1b[31m", "\ufffe", "\ud800"])
def test_what_xml_cannot_hold_is_refused(value: str) -> None:
    domain = samples.SMALL.model_copy(update={"description": value})
    with pytest.raises(ValueError, match="cannot be written in XML"):
        machine.render(domain, samples.placed(domain, "qemu"))


@given(samples.domains)
def test_every_disk_has_a_name_of_its_own_and_keeps_it(domain: Domain) -> None:
    first = targets(domain.disks, domain.machine)
    assert len(set(first)) == len(first)
    known = dict(zip((disk.path for disk in domain.disks), first, strict=True))
    rest = domain.disks[1:]
    later = targets([*rest, Disk(path="a new one")], domain.machine, known)
    assert later[: len(rest)] == first[1:]
    assert len(set(later)) == len(later)


def test_a_card_more_changes_no_others_address() -> None:
    lan, dmz = Nic(network="lan"), Nic(network="dmz")
    before = macs([lan, dmz], samples.UUID)
    assert macs([dmz, lan, lan], samples.UUID)[:2] == before[::-1]
    assert len(set(macs([lan, lan, dmz], samples.UUID))) == 3
    assert macs([Nic(network="lan", mac="52:54:00:00:00:01"), lan], samples.UUID)[1:] == before[:1]
    assert macs([lan], "another") != before[:1]


def test_addresses_of_what_stays_survive_and_so_does_what_libvirt_added() -> None:
    domain = samples.SMALL
    placed = samples.placed(domain, "qemu")
    there = machine.render(domain, placed)
    _found(there, "os/type").set("machine", "pc-q35-7.2")
    _found(there, "devices/disk").append(xml.element("address", type_="pci", slot="0x04"))
    _found(there, "devices/interface").append(xml.element("address", type_="pci", slot="0x05"))
    _found(there, "devices").append(xml.element("controller", type_="pci", index="9"))
    there.insert(2, xml.element("metadata", xml.element("note", text="mine")))
    more = domain.model_copy(
        update={
            "machine": "q35",
            "disks": [Disk(path="/other"), *domain.disks],
            "nics": [*domain.nics, Nic(network="b")],
        }
    )
    known = {domain.disks[0].path: placed.targets[0]}
    names = targets(more.disks, more.machine, known)
    wanted = Placed(uuid=placed.uuid, type="qemu", targets=names, macs=macs(more.nics, placed.uuid))
    root = machine.merged(machine.render(more, wanted), there)
    assert xml.attribute(root, "os/type", "machine") == "pc-q35-7.2"
    old = machine.device(root, disk=domain.disks[0].path)
    assert old is not None and xml.attribute(old, "address", "slot") == "0x04"
    assert xml.attribute(old, "target", "dev") == "vda"
    card = machine.device(root, mac=placed.macs[0])
    assert card is not None and xml.attribute(card, "address", "slot") == "0x05"
    new = machine.device(root, disk="/other")
    assert new is not None and new.find("address") is None
    assert xml.attribute(root, "devices/controller", "index") == "9"
    assert root.findtext("metadata/note") == "mine"


def test_an_address_does_not_survive_another_bus() -> None:
    domain = samples.SMALL
    placed = samples.placed(domain, "qemu")
    there = machine.render(domain, placed)
    _found(there, "devices/disk").append(xml.element("address", type_="pci", slot="0x04"))
    moved = domain.model_copy(update={"disks": [domain.disks[0].model_copy(update={"bus": "scsi"})]})
    root = machine.merged(machine.render(moved, samples.placed(moved, "qemu")), there)
    assert _found(root, "devices/disk").find("address") is None


def test_a_drive_without_a_medium_is_no_disk() -> None:
    root = machine.render(samples.SMALL, samples.placed(samples.SMALL, "qemu"))
    _found(root, "devices").append(xml.element("disk", xml.element("target", dev="sda", bus="sata"), device="cdrom"))
    domain, placed = machine.parse(root)
    assert len(domain.disks) == len(placed.targets) == 1


def _found(root: xml.Element, path: str) -> xml.Element:
    found = root.find(path)
    assert found is not None
    return found


def test_goldens_are_all_used() -> None:
    have = {file.stem for file in (Path(__file__).parent / "golden").glob("domain-*.xml")}
    assert have == {f"domain-{name}" for name in samples.DOMAINS}
