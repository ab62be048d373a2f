"""What each of libvirt's drivers can do, as data; looked up by URI before anything is made. Pure.

`qemu` and `test` run in our own tests. The others are as libvirt documents them and were never run against the real
hypervisor; `connection.py` asks the connection itself as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qs, urlsplit

Ability = Literal["networks", "pools", "volumes", "upload", "resize", "hotplug", "firmware", "console", "autostart"]

_ALL: frozenset[Ability] = frozenset(
    ("networks", "pools", "volumes", "upload", "resize", "hotplug", "firmware", "console", "autostart")
)
_SAID: dict[Ability, tuple[str, str]] = {
    "networks": ("cannot make networks", "name a network of the hypervisor's own in the machine's nics"),
    "pools": ("cannot make storage pools", "use a pool that is there"),
    "volumes": ("cannot make volumes", "place a disk image there beforehand and give its path to the machine"),
    "upload": ("cannot take uploads", "place the image or a template there beforehand, and leave out `source`"),
    "resize": ("cannot resize volumes", "give the size that the volume has"),
    "hotplug": ("cannot change a running machine", "set running: false first"),
    "firmware": ("cannot choose a firmware", "leave out firmware and secureBoot"),
    "console": ("writes no console log", "leave out consoleLog"),
    "autostart": ("cannot start machines by itself", "leave out autostart"),
}


@dataclass(frozen=True)
class Driver:
    """`types`: the domain type that stands for each way to run; `formats`: of volumes. `tried`: in our own tests."""

    name: str
    abilities: frozenset[Ability]
    types: tuple[str, ...]
    formats: tuple[str, ...] = ("qcow2", "raw")
    tried: bool = False


DRIVERS: dict[str, Driver] = {
    "qemu": Driver("QEMU", _ALL, ("kvm", "qemu"), tried=True),
    "test": Driver("libvirt's test driver", frozenset({"networks", "pools", "volumes", "console", "autostart"}),
                   ("test",), tried=True),
    "esx": Driver("VMware ESXi", frozenset({"volumes", "autostart"}), ("vmware",), ("vmdk",)),
    "vpx": Driver("VMware vCenter", frozenset({"volumes"}), ("vmware",), ("vmdk",)),
    "hyperv": Driver("Hyper-V", frozenset({"autostart"}), ("hyperv",), ("vhdx",)),
    "vbox": Driver("VirtualBox", frozenset({"networks", "volumes"}), ("vbox",), ("vdi", "vmdk")),
    "vmwareplayer": Driver("VMware Player", frozenset(), ("vmware",), ("vmdk",)),
    "vmwarews": Driver("VMware Workstation", frozenset(), ("vmware",), ("vmdk",)),
    "vmwarefusion": Driver("VMware Fusion", frozenset(), ("vmware",), ("vmdk",)),
}  # fmt: skip


def scheme(uri: str) -> tuple[str, str]:
    """`qemu+ssh://...` -> (`qemu`, `ssh`)."""
    driver, _, transport = urlsplit(uri).scheme.partition("+")
    return driver, transport


def driver(uri: str) -> Driver | None:
    return DRIVERS.get(scheme(uri)[0])


def lacks(uri: str, ability: Ability) -> tuple[str, str] | None:
    """What is wrong and what to do, where the driver of this URI cannot do that; unknown drivers are asked later."""
    known = driver(uri)
    if known is None or ability in known.abilities:
        return None
    what, do = _SAID[ability]
    return f"{known.name} {what} by libvirt", do


def refused(ability: Ability) -> tuple[str, str]:
    return _SAID[ability]


def wrong_uri(uri: str, unverified: bool = False) -> tuple[str, str] | None:
    """What is wrong with a URI, and what to do."""
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"{uri!r} is no URI ({error})", "such as qemu:///system or qemu+ssh://root@host/system"
    kind, transport = scheme(uri)
    if kind not in DRIVERS:
        return f"{uri!r} names no hypervisor that anytier knows", f"one of {', '.join(sorted(DRIVERS))}"
    if parts.password is not None:
        return "holds a password", "take it out of the URI, and set `password`"
    if transport not in ("", "unix", "test") and not host:
        return f"{uri!r} names no host", f"such as {kind}+{transport}://root@host/system"
    if not unverified and _no_verify(parts.query):
        return "turns the check of the host's identity off", "take no_verify out, or set unverified: true"
    return None


def identity(uri: str) -> str:
    """What of a URI says which place it is: the driver, the host and the path. The way there is not part of it."""
    try:
        parts = urlsplit(str(uri))
    except ValueError:
        return str(uri)
    return f"{scheme(str(uri))[0]}://{(parts.hostname or '').lower()}{parts.path}"


def _no_verify(query: str) -> bool:
    said = parse_qs(query, keep_blank_values=True)
    return any(value != "0" for value in said.get("no_verify", [])) or "ignore" in said.get("known_hosts_verify", [])
