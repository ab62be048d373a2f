"""What a program of an image may do on a machine: its capabilities, and how its unit differs from a native one's. Pure.

systemd gives it limits, a system-call filter, private devices and IPC; the program that it starts, contain.py, makes
the root and gives up every right but those named here. Until then it may mount, which the filter must let through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

# capabilities(7), in the order of their numbers
_NAMES = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
ROOTED = {name: number for number, name in enumerate(_NAMES.split())}
# Docker's own set without what a program on a machine's network has no business with: raw packets, device nodes,
# changing its root, writing to the audit log, handing out capabilities.
USUAL = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE")
# What it takes to make the root; given up before the program runs.
_MAKING = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "MKNOD", "SETFCAP", "SETGID", "SETPCAP",
           "SETUID", "SYS_ADMIN")  # fmt: skip


def capabilities(add: Iterable[str], drop: Iterable[str], low_ports: bool) -> tuple[list[int], list[int]]:
    """(what the program and its children may ever have, what it has also as another user than root), as numbers.

    `low_ports`: it listens below 1024, which in a container of its own needs no right.
    """
    dropped = {_name(item) for item in drop}
    added = {_name(item) for item in add}
    usual = set() if "ALL" in dropped else set(USUAL) - dropped
    keep = usual | (set(ROOTED) if "ALL" in added else added)
    ambient = {"NET_BIND_SERVICE"} if low_ports and "NET_BIND_SERVICE" in keep else set()
    return sorted(ROOTED[item] for item in keep), sorted(ROOTED[item] for item in ambient)


def unit_lines(hardened: Sequence[str], isolated: Sequence[str], bounded: Iterable[int]) -> Iterator[str]:
    """The sandbox of a native program, with what differs. `bounded` are the numbers of `capabilities`."""
    changed = {
        "SystemCallFilter": "SystemCallFilter=@system-service @mount",
        "RestrictNamespaces": "RestrictNamespaces=pid mnt",
    }
    for line in (*hardened, *isolated):
        yield changed.get(line.partition("=")[0], line)
    yield "PrivateIPC=yes"
    names = {number: name for name, number in ROOTED.items()}
    wanted = {*(names[number] for number in bounded), *_MAKING}
    yield f"CapabilityBoundingSet={' '.join('CAP_' + name for name in ROOTED if name in wanted)}"
    yield "AmbientCapabilities="


def _name(item: str) -> str:
    return item.upper().removeprefix("CAP_")
