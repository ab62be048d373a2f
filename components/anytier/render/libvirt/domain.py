"""A virtual machine as it is asked for, and where its parts come to lie. Pure; no XML here."""

from __future__ import annotations

import hashlib
import re
import string
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from anytier.frozen import Frozen
from anytier.render.libvirt.network import Mac
from anytier.render.libvirt.storage import Format

Bus = Literal["virtio", "scsi", "sata", "ide", "usb"]
Accelerator = Literal["auto", "kvm", "tcg"]
_PREFIX = {"virtio": "vd", "scsi": "sd", "sata": "sd", "usb": "sd", "ide": "hd"}


class Disk(Frozen):
    """`path`: a file or a block device of the host. `bus`: virtio for disks, sata (ide on machine pc) for CD-ROMs.

    `boot`: the place in the boot order, from 1. `serial`: what the guest sees in /dev/disk/by-id.
    """

    path: str
    format: Format = "qcow2"
    kind: Literal["disk", "cdrom"] = "disk"
    bus: Bus | None = None
    read_only: bool = False
    serial: str | None = None
    boot: int | None = Field(default=None, ge=1)


class Forward(Frozen):
    """A port of the host that leads into the guest."""

    port: int = Field(ge=1, le=65535)
    to: int = Field(ge=1, le=65535)
    address: str = "127.0.0.1"
    protocol: Literal["tcp", "udp"] = "tcp"


class Nic(Frozen):
    """On a `network` of libvirt, a `bridge` of the host, or, with neither, through the host's own network by passt,
    which alone has `forwards`. `mac`: derived from the machine's UUID if not said. `model`: what the hypervisor's own
    machines have (`dialect.py`)."""

    network: str | None = None
    bridge: str | None = None
    mac: Mac | None = None
    model: str | None = None
    forwards: list[Forward] = Field(default_factory=list)
    boot: int | None = Field(default=None, ge=1)


class Kernel(Frozen):
    """Loaded by the hypervisor; paths are the host's."""

    path: str
    initrd: str | None = None
    arguments: str | None = None


class Domain(Frozen):
    """`memory` in MiB. `maxMemory`, `maxVcpus`: up to where a running machine can grow. `cpu`: None is the
    hypervisor's default. `machine` and `arch` None: what the host prefers. `consoleLog`: a file of the host."""

    name: str
    description: str | None = None
    vcpus: int = Field(default=1, ge=1, le=4096)
    max_vcpus: int | None = Field(default=None, ge=1, le=4096)
    memory: int = Field(default=1024, ge=16)
    max_memory: int | None = Field(default=None, ge=16)
    arch: str = "x86_64"
    machine: str | None = None
    cpu: Literal["host-model", "host-passthrough", "maximum"] | None = None
    accelerator: Accelerator = "auto"
    firmware: Literal["bios", "uefi"] = "bios"
    secure_boot: bool = False
    kernel: Kernel | None = None
    disks: list[Disk] = Field(default_factory=list)
    nics: list[Nic] = Field(default_factory=list)
    console_log: str | None = None
    guest_agent: bool = True


class Placed(Frozen):
    """What a machine is made with beyond what was asked: `type` of libvirt's, a name for each disk, a MAC for each
    card. Kept from one update to the next, or a guest would find its disks and cards renamed."""

    uuid: str
    type: str
    targets: list[str]
    macs: list[str]


def bus(disk: Disk, machine: str | None) -> Bus:
    if disk.bus is not None:
        return disk.bus
    if disk.kind == "disk":
        return "virtio"
    return "ide" if machine is not None and is_pc(machine) else "sata"


def is_pc(machine: str) -> bool:
    """The old chip set, under its alias or by version (`pc-i440fx-7.2`)."""
    return machine == "pc" or machine.startswith("pc-i440fx")


def is_q35(machine: str | None) -> bool:
    return machine is not None and (machine == "q35" or machine.startswith("pc-q35"))


def targets(disks: Sequence[Disk], machine: str | None, known: Mapping[str, str] | None = None) -> list[str]:
    """`vda`, `vdb`, ... for each disk; `known` (path -> name) stay, the others take what is free."""
    known = known or {}
    kept = {disk.path: known[disk.path] for disk in disks if _fits(disk, machine, known.get(disk.path))}
    taken = set(kept.values())
    found = []
    for disk in disks:
        if disk.path not in kept:
            name = next(name for name in _names(_PREFIX[bus(disk, machine)]) if name not in taken)
            taken.add(name)
            kept[disk.path] = name
        found.append(kept[disk.path])
    return found


def macs(nics: Sequence[Nic], uuid: str) -> list[str]:
    """Derived from the machine, the network and the card's number on it: a card more renames no other."""
    seen: dict[str, int] = {}
    found = []
    for nic in nics:
        where = where_to(nic)
        seen[where] = seen.get(where, 0) + (nic.mac is None)
        digest = hashlib.sha256(f"{uuid}\n{where}\n{seen[where]}".encode()).hexdigest()
        found.append(nic.mac or f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}")
    return found


def where_to(nic: Nic) -> str:
    if nic.network is not None:
        return f"network {nic.network}"
    return f"bridge {nic.bridge}" if nic.bridge is not None else "user"


def _fits(disk: Disk, machine: str | None, name: str | None) -> bool:
    return name is not None and re.fullmatch(_PREFIX[bus(disk, machine)] + "[a-z]+", name) is not None


def _names(prefix: str) -> list[str]:
    letters = string.ascii_lowercase
    return [prefix + a for a in letters] + [prefix + a + b for a in letters for b in letters]
