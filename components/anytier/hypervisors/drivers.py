"""What each of libvirt's drivers can do, as data; looked up by URI before anything is made. Pure.

`qemu` and `test` run in our own tests. The others are as libvirt documents them and were never run against the real
hypervisor; the plugin asks the connection itself as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Ability = Literal[
    "guests", "networks", "pools", "volumes", "upload", "seed", "resize", "update", "hotplug", "firmware", "console",
    "autostart", "snapshots",
]  # fmt: skip
# ability -> (what it is, what is said of a driver without it, the way that works)
ABILITIES: Mapping[Ability, tuple[str, str, str]] = {
    "guests": ("runs guests", "runs no guests", "use another hypervisor"),
    "networks": ("makes networks", "cannot make networks",
                 "name a network of the hypervisor's own in the machine's nics"),
    "pools": ("makes storage pools", "cannot make storage pools", "use a pool that is there"),
    "volumes": ("makes volumes", "cannot make volumes",
                "place a disk image there beforehand and give its path to the machine"),
    "upload": ("takes uploads", "cannot take uploads",
               "place the image or a template there beforehand, and leave out `source`"),
    "seed": ("cloud-init seed", "cannot be given a cloud-init seed",
             "place a disk there that takes your SSH key already"),
    "resize": ("resizes volumes", "cannot resize volumes", "give the size that the volume has"),
    "update": ("changes machines in place", "cannot change a machine that is there",
               "take it away first (`pulumi destroy --target URN`), then run again: its disks stay"),
    "hotplug": ("changes running machines", "cannot change a running machine", "set running: false first"),
    "firmware": ("UEFI", "cannot choose a firmware", "leave out firmware and secureBoot"),
    "console": ("console log", "writes no console log", "leave out consoleLog"),
    "autostart": ("starts with its host", "cannot start machines by itself", "leave out autostart"),
    "snapshots": ("snapshots", "takes no snapshots", "copy the disk instead"),
}  # fmt: skip
_ALL: frozenset[Ability] = frozenset(ABILITIES)
_GUESTS: Ability = "guests"


@dataclass(frozen=True)
class Driver:
    """`types`: the domain type that stands for each way to run; `formats`: of volumes. `tried`: in our own tests.

    `picks_uuids`: what UUID a machine is defined with does not matter there. `limits`: sentences about what the driver
    does in its own way.
    """

    name: str
    abilities: frozenset[Ability]
    types: tuple[str, ...]
    formats: tuple[str, ...] = ("qcow2", "raw")
    tried: bool = False
    picks_uuids: bool = False
    limits: tuple[str, ...] = field(default=())


def _can(*abilities: Ability) -> frozenset[Ability]:
    return frozenset((_GUESTS, *abilities))


_PLACED = "the machine runs from a disk that was placed there beforehand"
_DESKTOP = (_PLACED, "the hypervisor must be this machine: libvirt calls its `vmrun`")
DRIVERS: dict[str, Driver] = {
    "qemu": Driver("QEMU", _ALL, ("kvm", "qemu"), tried=True),
    "test": Driver(
        "libvirt's test driver",
        frozenset({"networks", "pools", "volumes", "update", "console", "autostart", "snapshots"}),
        ("test",), tried=True, limits=("all in memory, for tests of the resources",),
    ),
    "esx": Driver(
        "VMware ESXi", _can("volumes", "autostart", "snapshots"), ("vmware",), ("vmdk",),
        limits=(_PLACED, "memory in steps of 4 MiB; one CPU, or an even number"),
    ),
    "vpx": Driver(
        "VMware vCenter", _can("volumes", "snapshots"), ("vmware",), ("vmdk",),
        limits=(_PLACED, "memory in steps of 4 MiB; one CPU, or an even number"),
    ),
    "hyperv": Driver(
        "Hyper-V", _can("autostart"), ("hyperv",), ("vhdx",), picks_uuids=True,
        limits=(
            _PLACED,
            "machines are of generation 1: no UEFI, and they boot from a disk on ide",
            "a switch goes by the GUID that `Get-VMSwitch` shows as its Id, not by its name",
            "it picks a machine's UUID: one whose making was cut off is known by nothing, and is to be removed there",
        ),
    ),
    "vbox": Driver("VirtualBox", _can("networks", "volumes", "snapshots"), ("vbox",), ("vdi", "vmdk"),
                   limits=(_PLACED,)),
    "vmwareplayer": Driver("VMware Player", _can("update"), ("vmware",), ("vmdk",), limits=_DESKTOP),
    "vmwarews": Driver("VMware Workstation", _can("update"), ("vmware",), ("vmdk",), limits=_DESKTOP),
    "vmwarefusion": Driver("VMware Fusion", _can("update"), ("vmware",), ("vmdk",), limits=_DESKTOP),
}  # fmt: skip


def lacking(known: Driver, ability: Ability) -> tuple[str, str] | None:
    """What is wrong and what to do, where this driver cannot do that."""
    if ability in known.abilities:
        return None
    _, what, do = ABILITIES[ability]
    return f"{known.name} {what} by libvirt", do


def refused(ability: Ability) -> tuple[str, str]:
    """The same of a connection that has not what its driver has elsewhere."""
    return ABILITIES[ability][1:]
