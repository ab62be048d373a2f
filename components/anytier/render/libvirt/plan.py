"""What a changed machine needs: what goes while it runs, and why it must restart for the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from anytier.render.libvirt.domain import Disk, Domain, Nic, Placed, bus

Parts = tuple[Domain, Placed]


@dataclass(frozen=True)
class Plan:
    """Disks by path and cards by MAC, to plug and unplug; new amounts, MiB and count; reasons for a restart."""

    plug_disks: list[str] = field(default_factory=list)
    unplug_disks: list[str] = field(default_factory=list)
    plug_nics: list[str] = field(default_factory=list)
    unplug_nics: list[str] = field(default_factory=list)
    memory: int | None = None
    vcpus: int | None = None
    restart: list[str] = field(default_factory=list)


def plan(old: Parts, new: Parts, hotplug: bool = True) -> Plan:
    """From what runs to what is wanted. Without `hotplug` everything is a reason to restart."""
    (before, _), (after, _) = old, new
    reasons = list(_fixed(before, after))
    gone, fresh, swapped = _moves(_disks(old), _disks(new))
    off, on, other = _moves(_nics(old), _nics(new))
    reasons += [f"disk {path}: changed" for path in swapped] + [f"network card {mac}: changed" for mac in other]
    # Only these buses take something while the machine runs.
    cold = [path for path in (*gone, *fresh) if not _warm(_disks(old).get(path) or _disks(new)[path])]
    reasons += [f"disk {path}: its bus takes none while the machine runs" for path in cold]
    memory = after.memory if after.memory != before.memory else None
    vcpus = after.vcpus if after.vcpus != before.vcpus else None
    if memory is not None and memory > (before.max_memory or before.memory):
        reasons.append(f"memory: {before.memory} -> {memory} MiB is beyond what it started with")
        memory = None
    if vcpus is not None and (vcpus > (before.max_vcpus or before.vcpus) or vcpus < before.vcpus):
        reasons.append(f"vcpus: {before.vcpus} -> {vcpus} is not possible while it runs")
        vcpus = None
    made = Plan(
        [path for path in fresh if path not in cold], [path for path in gone if path not in cold],
        on, off, memory, vcpus, reasons,
    )  # fmt: skip
    return made if hotplug else _all_cold(made)


def _all_cold(made: Plan) -> Plan:
    said = [f"disk {path}: cannot change while it runs here" for path in (*made.plug_disks, *made.unplug_disks)]
    said += [f"network card {mac}: cannot change while it runs here" for mac in (*made.plug_nics, *made.unplug_nics)]
    return Plan(memory=made.memory, vcpus=made.vcpus, restart=[*made.restart, *said])


def _fixed(old: Domain, new: Domain) -> Iterator[str]:
    """What a machine reads when it starts."""
    named = {
        "machine": (old.machine, new.machine if not _stands_for(new.machine, old.machine) else old.machine),
        "arch": (old.arch, new.arch),
        "cpu": (old.cpu, new.cpu),
        "firmware": (old.firmware, new.firmware),
        "secureBoot": (old.secure_boot, new.secure_boot),
        "consoleLog": (old.console_log, new.console_log),
        "guestAgent": (old.guest_agent, new.guest_agent),
    }
    yield from (f"{name}: {_said(one)} -> {_said(two)}" for name, (one, two) in named.items() if one != two)
    if old.kernel != new.kernel:
        yield "kernel: changed"
    if new.accelerator != "auto" and old.accelerator not in ("auto", new.accelerator):
        yield f"accelerator: {old.accelerator} -> {new.accelerator}"
    for name, grown, top in (
        ("maxMemory", new.max_memory, old.max_memory or old.memory),
        ("maxVcpus", new.max_vcpus, old.max_vcpus or old.vcpus),
    ):
        if grown is not None and grown != top:
            yield f"{name}: {top} -> {grown}"


def _stands_for(name: str | None, machine: str | None) -> bool:
    """`q35` is `pc-q35-7.2` on one host, and whatever the host has if nothing is said."""
    have = machine or ""
    return (
        name is None or (name == "q35" and have.startswith("pc-q35")) or (name == "pc" and have.startswith("pc-i440fx"))
    )


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "not set" if value is None else str(value)


def _disks(parts: Parts) -> dict[str, Disk]:
    """With the bus that a disk has, so that one that is not said is no change."""
    domain, _ = parts
    return {
        item.path: item.model_copy(update={"bus": bus(item, domain.machine), "boot": None}) for item in domain.disks
    }


def _nics(parts: Parts) -> dict[str, Nic]:
    domain, placed = parts
    return {
        mac: item.model_copy(update={"mac": mac, "boot": None})
        for item, mac in zip(domain.nics, placed.macs, strict=True)
    }


def _moves(
    old: dict[str, Disk] | dict[str, Nic], new: dict[str, Disk] | dict[str, Nic]
) -> tuple[list[str], list[str], list[str]]:
    """Names that go, that come, and that stay but differ."""
    return (
        [name for name in old if name not in new],
        [name for name in new if name not in old],
        [name for name in new if name in old and old[name] != new[name]],
    )


def _warm(disk: Disk) -> bool:
    return disk.kind == "disk" and disk.bus in ("virtio", "scsi", "usb")
