"""What a machine's XML must say, or must leave out, for each of libvirt's domain types. Data, and one pure function.

Only QEMU and the test driver take all of libvirt's XML; the others stop at the first device that they do not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from anytier.render.libvirt.domain import Bus, Disk, Domain, Nic


@dataclass(frozen=True)
class Dialect:
    """`disk`, `cdrom`: the bus where none is said; None leaves it to the machine's chip set. `nic`: the card's model;
    None: it is not named. `scsi`: the model of the controller that disks on scsi need. `serial`, `features`: whether
    a console, and acpi and apic, are written."""

    disk: Bus | None = None
    cdrom: Bus | None = None
    nic: str | None = "virtio"
    scsi: str | None = None
    serial: bool = True
    features: bool = True
    emulated: bool = False


DIALECTS: Mapping[str, Dialect] = {
    "kvm": Dialect(emulated=True),
    "qemu": Dialect(emulated=True),
    "test": Dialect(),
    # every guest since 2010 has drivers for these, and VMware's own docs choose them
    "vmware": Dialect(disk="scsi", cdrom="ide", nic="vmxnet3", scsi="lsilogic", serial=False, features=False),
    "vbox": Dialect(disk="sata", cdrom="sata", nic="82540EM", serial=False),
    # libvirt makes machines of generation 1 there, whose BIOS reads IDE only
    "hyperv": Dialect(disk="ide", cdrom="ide", nic=None, serial=False, features=False),
}


def of(kind: str) -> Dialect:
    """Of a domain type; libvirt's common one for those that we do not know."""
    return DIALECTS.get(kind, Dialect())


def spoken(domain: Domain, kind: str) -> Domain:
    """The machine with what was left open said as this type wants it."""
    words = of(kind)
    return domain.model_copy(
        update={
            "disks": [_disk(item, words) for item in domain.disks],
            "nics": [_nic(item, words) for item in domain.nics],
        }
    )


def _disk(disk: Disk, words: Dialect) -> Disk:
    usual = words.cdrom if disk.kind == "cdrom" else words.disk
    return disk if disk.bus is not None or usual is None else disk.model_copy(update={"bus": usual})


def _nic(nic: Nic, words: Dialect) -> Nic:
    return nic if nic.model is not None else nic.model_copy(update={"model": words.nic})
