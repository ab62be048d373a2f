"""A domain's XML, both ways, and how what libvirt has added to one survives when it is written anew. Pure."""

from __future__ import annotations

import copy
from itertools import starmap
from xml.etree.ElementTree import Element

from anytier.render.libvirt import dialect
from anytier.render.libvirt.domain import Disk, Domain, Kernel, Nic, Placed, bus, is_pc, is_q35
from anytier.render.libvirt.storage import BYTES
from anytier.render.libvirt.xml import amount, attribute, element, leaf, yes

SPARE_PORTS = 10  # PCIe slots into which a running q35 machine can take disks and cards
_EMULATED = ("kvm", "qemu")
_ADDED = ("controller", "input", "memballoon", "audio", "watchdog")  # devices that libvirt adds by itself
AGENT = "org.qemu.guest_agent.0"


def render(domain: Domain, placed: Placed) -> Element:
    words = dialect.of(placed.type)
    domain, qemu = dialect.spoken(domain, placed.type), words.emulated
    top, first = domain.max_memory or domain.memory, domain.memory
    most = domain.max_vcpus or domain.vcpus
    return element(
        "domain",
        element("name", text=domain.name),
        element("uuid", text=placed.uuid),
        leaf("description", domain.description),
        element("memory", text=str(top), unit="MiB"),
        element("currentMemory", text=str(first), unit="MiB"),
        element("vcpu", text=str(most), current=None if most == domain.vcpus else str(domain.vcpus)),
        _os(domain),
        element(
            "features",
            element("acpi"),
            element("apic") if domain.arch == "x86_64" else None,
            element("smm", state="on") if domain.secure_boot else None,
        ) if words.features else None,
        None if domain.cpu is None else element("cpu", mode=domain.cpu),
        element("clock", offset="utc"),
        element("on_poweroff", text="destroy"),
        element("on_reboot", text="restart"),
        element("on_crash", text="destroy"),
        element(
            "devices",
            *_disks(domain, placed, qemu),
            *starmap(nic_xml, zip(domain.nics, placed.macs, strict=True)),
            *_controllers(domain, words),
            *(_serial(domain) if words.serial else ()),
            _agent() if domain.guest_agent and qemu else None,
            element("rng", element("backend", text="/dev/urandom", model="random"), model="virtio") if qemu else None,
        ),
        type_=placed.type,
    )  # fmt: skip


def disk_xml(disk: Disk, target: str, machine: str | None = None, qemu: bool = True) -> Element:
    block = disk.path.startswith("/dev/")
    driver = element("driver", name="qemu", type_=disk.format, discard="unmap" if disk.kind == "disk" else None)
    return element(
        "disk",
        driver if qemu else None,
        element("source", dev=disk.path) if block else element("source", file=disk.path),
        element("target", dev=target, bus=bus(disk, machine)),
        element("readonly") if disk.read_only or disk.kind == "cdrom" else None,
        leaf("serial", disk.serial),
        None if disk.boot is None else element("boot", order=str(disk.boot)),
        type_="block" if block else "file",
        device=disk.kind,
    )


def nic_xml(nic: Nic, mac: str) -> Element:
    kind = "network" if nic.network is not None else "bridge" if nic.bridge is not None else "user"
    source = {"network": {"network": nic.network}, "bridge": {"bridge": nic.bridge}}.get(kind)
    return element(
        "interface",
        element("mac", address=mac),
        None if source is None else element("source", **source),
        # without passt, QEMU's own user network, which takes nothing in
        element("backend", type_="passt") if nic.forwards else None,
        *(
            element(
                "portForward",
                element("range", start=str(item.port), to=str(item.to)),
                proto=item.protocol,
                address=item.address,
            )
            for item in nic.forwards
        ),
        None if nic.model is None else element("model", type_=nic.model),
        None if nic.boot is None else element("boot", order=str(nic.boot)),
        type_=kind,
    )


def parse(root: Element) -> tuple[Domain, Placed]:
    """A domain with what it leaves open filled in. ValueError where it has what a `Domain` cannot say."""
    kind = str(root.get("type"))
    top, first = amount(root, "memory", BYTES) or 0, amount(root, "currentMemory", BYTES)
    most = int(root.findtext("vcpu") or 1)
    vcpus = int(attribute(root, "vcpu", "current") or most)
    found = [(disk, name) for item in root.findall("devices/disk") if (disk := _disk(item)) for name in [_target(item)]]
    nics = [nic for item in root.findall("devices/interface") if (nic := _nic(item))]
    memory = _mib(first if first is not None else top)
    uefi = root.find("os").get("firmware") == "efi" or root.find("os/loader") is not None  # type: ignore[union-attr]
    domain = Domain.model_validate(
        {
            "name": root.findtext("name"),
            "description": root.findtext("description"),
            "vcpus": vcpus,
            "max_vcpus": most if most != vcpus else None,
            "memory": memory,
            "max_memory": _mib(top) if _mib(top) != memory else None,
            "arch": attribute(root, "os/type", "arch") or "x86_64",
            "machine": attribute(root, "os/type", "machine"),
            "cpu": _cpu(root),
            "accelerator": {"kvm": "kvm", "qemu": "tcg"}.get(kind, "auto"),
            "firmware": "uefi" if uefi else "bios",
            "secure_boot": _secure(root),
            "kernel": _kernel(root),
            "disks": [disk for disk, _ in found],
            "nics": nics,
            "console_log": attribute(root, "devices/serial/log", "file"),
            "guest_agent": any(
                item.get("name") == AGENT for item in root.findall("devices/channel/target")
            ),
        }
    )  # fmt: skip
    placed = Placed(
        uuid=str(root.findtext("uuid")),
        type=kind,
        targets=[name for _, name in found],
        macs=[str(nic.mac) for nic in nics],
    )
    return domain, placed


def with_spare_ports(root: Element) -> Element:
    """Room to plug into while it runs; only at the first time, as later what is there is kept."""
    if root.get("type") in _EMULATED and is_q35(attribute(root, "os/type", "machine")):
        devices = root.find("devices")
        assert devices is not None
        devices.append(element("controller", type_="pci", index="0", model="pcie-root"))
        devices.extend(element("controller", type_="pci", model="pcie-root-port") for _ in range(SPARE_PORTS))
    return root


def merged(root: Element, there: Element) -> Element:
    """`root` with what libvirt or somebody else has added to the domain that is `there`.

    Addresses of devices that stay (or a guest's cards would be renamed), the machine's version, NVRAM, metadata.
    """
    made = copy.deepcopy(root)
    devices, old = made.find("devices"), there.find("devices")
    assert devices is not None and old is not None
    known = {_key(item): item for item in reversed(list(old))}
    for device in devices:
        before = known.get(_key(device))
        address = None if before is None else before.find("address")
        if address is not None and before is not None and _same_kind(device, before):
            device.append(copy.deepcopy(address))
    ours = {(item.get("type"), item.get("index")) for item in devices.findall("controller")}
    added = [item for item in old if item.tag in _ADDED]
    devices.extend(
        copy.deepcopy(item)
        for item in added
        if item.tag != "controller" or (item.get("type"), item.get("index")) not in ours
    )
    machine, before_machine = made.find("os/type"), there.find("os/type")
    if machine is not None and before_machine is not None and _alias(machine.get("machine"), before_machine):
        machine.set("machine", str(before_machine.get("machine")))
    os, nvram = made.find("os"), there.find("os/nvram")
    if os is not None and nvram is not None and os.get("firmware") == "efi":
        at = next((index for index, item in enumerate(os) if item.tag in ("kernel", "boot")), len(os))
        os.insert(at, copy.deepcopy(nvram))
    metadata = there.find("metadata")
    if metadata is not None:
        made.insert(2, copy.deepcopy(metadata))
    return made


def device(root: Element, disk: str | None = None, mac: str | None = None) -> Element | None:
    """The device of a domain with this source, or with this MAC."""
    for item in root.findall("devices/disk" if disk is not None else "devices/interface"):
        if (disk is not None and _source(item) == disk) or (
            mac is not None and attribute(item, "mac", "address") == mac
        ):
            return item
    return None


# to XML


def _disks(domain: Domain, placed: Placed, qemu: bool) -> list[Element]:
    named = zip(domain.disks, placed.targets, strict=True)
    return [disk_xml(disk, name, domain.machine, qemu) for disk, name in named]


def _os(domain: Domain) -> Element:
    kernel = domain.kernel
    ordered = any(item.boot for item in domain.disks) or any(item.boot for item in domain.nics)
    efi = domain.firmware == "uefi"
    features = element(
        "firmware",
        element("feature", enabled=yes(domain.secure_boot), name="enrolled-keys"),
        element("feature", enabled=yes(domain.secure_boot), name="secure-boot"),
    )
    return element(
        "os",
        element("type", text="hvm", arch=domain.arch, machine=domain.machine),
        features if efi else None,
        None if kernel is None else leaf("kernel", kernel.path),
        None if kernel is None else leaf("initrd", kernel.initrd),
        None if kernel is None else leaf("cmdline", kernel.arguments),
        None if ordered or kernel is not None else element("boot", dev="hd"),
        firmware="efi" if efi else None,
    )


def _controllers(domain: Domain, words: dialect.Dialect) -> list[Element]:
    """QEMU's come by themselves, or with `with_spare_ports`."""
    if words.scsi is None or all(item.bus != "scsi" for item in domain.disks):
        return []
    return [element("controller", type_="scsi", index="0", model=words.scsi)]


def _serial(domain: Domain) -> list[Element]:
    log = None if domain.console_log is None else element("log", file=domain.console_log, append="on")
    return [
        element("serial", log, element("target", port="0"), type_="pty"),
        element("console", copy.deepcopy(log), element("target", type_="serial", port="0"), type_="pty"),
    ]


def _agent() -> Element:
    return element("channel", element("target", type_="virtio", name=AGENT), type_="unix")


# from XML


def _disk(root: Element) -> Disk | None:
    path = _source(root)
    if path is None or root.get("device", "disk") not in ("disk", "cdrom"):
        return None  # an empty drive, a floppy
    kind, order = root.get("device", "disk"), attribute(root, "boot", "order")
    return Disk.model_validate(
        {
            "path": path,
            "format": attribute(root, "driver", "type") or "qcow2",
            "kind": kind,
            "bus": attribute(root, "target", "bus"),
            "read_only": root.find("readonly") is not None and kind != "cdrom",
            "serial": root.findtext("serial"),
            "boot": None if order is None else int(order),
        }
    )


def _nic(root: Element) -> Nic | None:
    kind, order = root.get("type"), attribute(root, "boot", "order")
    if kind not in ("network", "bridge", "user"):
        return None
    return Nic.model_validate(
        {
            "network": attribute(root, "source", "network") if kind == "network" else None,
            "bridge": attribute(root, "source", "bridge") if kind == "bridge" else None,
            "mac": attribute(root, "mac", "address"),
            "model": attribute(root, "model", "type"),
            "forwards": [
                {
                    "port": int(str(span.get("start"))),
                    "to": int(span.get("to") or str(span.get("start"))),
                    "address": item.get("address") or "127.0.0.1",
                    "protocol": item.get("proto") or "tcp",
                }
                for item in root.findall("portForward")
                for span in item.findall("range")
            ],
            "boot": None if order is None else int(order),
        }
    )


def _kernel(root: Element) -> Kernel | None:
    path = root.findtext("os/kernel")
    if path is None:
        return None
    return Kernel(path=path, initrd=root.findtext("os/initrd"), arguments=root.findtext("os/cmdline"))


def _cpu(root: Element) -> str | None:
    mode = attribute(root, "cpu", "mode")
    return mode if mode in ("host-model", "host-passthrough", "maximum") else None


def _secure(root: Element) -> bool:
    asked = any(
        item.get("name") == "secure-boot" and item.get("enabled") == "yes"
        for item in root.findall("os/firmware/feature")
    )
    return asked or attribute(root, "os/loader", "secure") == "yes"


def _mib(size: int) -> int:
    return size // 2**20


def _source(root: Element) -> str | None:
    return attribute(root, "source", "file") or attribute(root, "source", "dev")


def _target(root: Element) -> str:
    return attribute(root, "target", "dev") or ""


# what two descriptions of one device have in common


def _key(root: Element) -> tuple[str, ...]:
    if root.tag == "disk":
        return (root.tag, _source(root) or "")
    if root.tag == "interface":
        return (root.tag, attribute(root, "mac", "address") or "")
    return (root.tag, root.get("type") or "", attribute(root, "target", "name") or "")


def _same_kind(one: Element, other: Element) -> bool:
    """An address is of a bus: it goes on only where that stayed."""
    buses = attribute(one, "target", "bus") == attribute(other, "target", "bus")
    models = attribute(one, "model", "type") == attribute(other, "model", "type")
    names = attribute(one, "target", "dev") == attribute(other, "target", "dev")
    return buses and (models if one.tag == "interface" else names if one.tag == "disk" else True)


def _alias(asked: str | None, there: Element) -> bool:
    """Whether the machine that is there is what this name stands for: `q35` became `pc-q35-7.2`, and stays that."""
    have = str(there.get("machine") or "")
    if not have:
        return False
    return asked is None or (asked == "q35" and is_q35(have)) or (asked == "pc" and is_pc(have))
