"""From what a stack says of a virtual machine to the inputs of the resources that make it. Pure: no call, no file.

The inputs are whole, defaults and all, so that the plugin tells at once that nothing has changed.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from anytier.errors import ConfigError
from anytier.hypervisors import uri as uris
from anytier.hypervisors.drivers import Ability, Driver, lacking
from anytier.hypervisors.uri import Uri
from anytier.tiers.vms import LibvirtArgs, bytes_of

KEY = "anytier:libvirt"
MIB = 2**20
DATA = "anytier-data"  # the serial by which a guest finds its data disk, and the label of what is on it
_DATA_DISK = "20Gi"
# Formatted if there is nothing on it at all, and mounted: at each boot, before anything of ours starts.
MOUNT = """\
set -e
for try in $(seq 100); do [ -e "$1" ] && break; sleep 0.1; done
if [ -z "$(blkid -p -o value -s TYPE "$1" || true)" ]; then mkfs.ext4 -q -L "$3" "$1"; fi
mkdir -p "$2"
line="$1 $2 ext4 defaults,x-systemd.growfs,x-systemd.device-timeout=60 0 2"
grep -qxF "$line" /etc/fstab || printf '%s\\n' "$line" >>/etc/fstab
mountpoint -q "$2" || mount "$2"
"""


@dataclass(frozen=True)
class Net:
    """The machine's card. `ours`: the CIDR of a network that we make; else `name` or `bridge` of one that is there."""

    name: str | None
    bridge: str | None
    ours: str | None
    address: str
    prefix: int
    gateway: str | None
    nameservers: tuple[str, ...]
    mac: str


@dataclass(frozen=True)
class Vm:
    """A machine, decided. `made`: we make its disks and its first boot; else it runs from a disk placed beforehand.

    `ground` names what a stack's machines share: pool and network. `number`: which of them it is, from 1.
    `generation`: what makes it this installation; another one is another machine, with the same data disk.
    """

    args: LibvirtArgs
    driver: Driver
    uri: Uri
    ground: str
    number: int
    name: str
    hostname: str
    net: Net
    made: bool
    image: str
    sha256: str
    generation: str
    console: str | None


def decide(args: LibvirtArgs, stack: str, own_key: str | None = None) -> list[Vm]:
    """The machines of this stack. An ExceptionGroup of ConfigErrors for all that cannot be.

    The first is what it would be without the others, so that a stack can grow. `own_key`: the public half of the user's
    key, which then is no key of ours.
    """
    uri, driver = uris.parse(args.uri), uris.driver(args.uri)
    assert driver is not None  # the args are checked
    made = lacking(driver, "seed") is None
    errors = [*_wrong(args, driver, uri, made), *_too_many(args, stack, driver, made)]
    if errors:
        raise ExceptionGroup("config", errors)
    return [_vm(args, stack, own_key, driver, uri, number) for number in range(1, args.machines + 1)]


def _vm(args: LibvirtArgs, stack: str, own_key: str | None, driver: Driver, uri: Uri, number: int) -> Vm:
    ground = args.name or f"anytier-{_plain(stack)}"[:60]
    name = numbered(ground, number)
    vm = Vm(
        args=args,
        driver=driver,
        uri=uri,
        ground=ground,
        number=number,
        name=name,
        hostname=hostname(name),
        net=_net(args, stack, ground, number),
        made=lacking(driver, "seed") is None,
        image=str(args.image),
        sha256=args.sha256 or "",
        generation="",
        console=_console(args, driver, uri, name, number),
    )
    return replace(vm, generation=_generation(vm, own_key))


def incarnation(vms: Sequence[Vm]) -> str:
    """Which installations these are: another one of any has nothing of ours running yet."""
    if len(vms) == 1:
        return vms[0].generation
    return hashlib.sha256(json.dumps([vm.generation for vm in vms]).encode()).hexdigest()[:12]


def numbered(name: str, number: int) -> str:
    """Of the several things of a kind that a stack has, the first has the plain name."""
    return name if number == 1 else f"{name}-{number}"


def makes_disks(args: LibvirtArgs) -> bool:
    """Whether the machine's disks and its first boot are made, and not placed there beforehand."""
    driver = uris.driver(args.uri)
    return driver is not None and lacking(driver, "seed") is None


def hostname(name: str) -> str:
    """A label of DNS made of a machine's name."""
    made = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-")
    return made or "anytier"


def default_subnet(stack: str) -> str:
    """A range for this stack, always the same; two stacks of one host seldom meet."""
    digest = hashlib.sha256(stack.encode()).digest()
    return f"10.{128 + digest[0] % 64}.{digest[1]}.0/24"


# the resources' inputs


def host(vm: Vm) -> dict[str, Any]:
    """The hypervisor, without its password."""
    account = vm.args.account
    user = {"user": account.user} if account and account.user else {}
    return {"uri": vm.args.uri, "unverified": vm.args.unverified, **user}


def network(vm: Vm) -> dict[str, Any]:
    """No DHCP: a machine knows its address from its seed."""
    return {
        "host": host(vm),
        "name": vm.ground,
        "mode": "nat",
        "subnets": [{"cidr": vm.net.ours, "hosts": []}],
        "autostart": True,
    }


def pool(vm: Vm) -> dict[str, Any]:
    folder = vm.args.folder or f"/var/lib/libvirt/images/{vm.ground}"
    return {"host": host(vm), "name": vm.ground, "path": folder, "autostart": True, "removeFolder": True}


def base(vm: Vm, source: dict[str, str], format: str) -> dict[str, Any]:
    """`source`: {"url": ...} or {"file": ...}."""
    return {
        "host": host(vm),
        "pool": vm.ground,
        "name": f"base-{vm.sha256[:12]}.{format}",
        "format": format,
        "source": {**source, "sha256": vm.sha256},
        "retain": False,
        "adopt": False,
    }


def root(vm: Vm, backing: Any, format: str) -> dict[str, Any]:
    """`backing`: the base volume's path."""
    return {
        "host": host(vm),
        "pool": vm.ground,
        "name": f"root-{vm.generation}.qcow2",
        "format": "qcow2",
        "size": bytes_of(vm.args.disk),
        "backing": {"path": backing, "format": format},
        "retain": False,
        "adopt": False,
    }


def data(vm: Vm) -> dict[str, Any]:
    """One that was kept when the stack was destroyed is found again by the next."""
    return {
        "host": host(vm),
        "pool": vm.ground,
        "name": f"{numbered('data', vm.number)}.qcow2",
        "format": "qcow2",
        "size": bytes_of(vm.args.data_disk or _DATA_DISK),
        "retain": vm.args.retain_data,
        "adopt": vm.args.retain_data,
    }


def seed(vm: Vm, public_key: Any) -> dict[str, Any]:
    user = {"name": vm.args.user, "keys": [public_key], "sudo": True, "groups": [], "shell": "/bin/bash"}
    return {
        "host": host(vm),
        "pool": vm.ground,
        "name": f"{numbered('seed', vm.number)}.iso",
        "hostname": vm.hostname,
        "instanceId": f"{vm.hostname}-{vm.generation}",
        "users": [user],
        "packages": [],
        "files": [],
        "commands": [],
        "ethernets": {"lan": _ethernet(vm.net)},
        "extra": {"bootcmd": [["sh", "-c", MOUNT, "sh", _device(), vm.args.state_dir, DATA]]},
    }


def domain(vm: Vm, disks: list[dict[str, Any]]) -> dict[str, Any]:
    args = vm.args
    kernel = {"kernel": args.kernel.wire()} if args.kernel else {}
    console = {"consoleLog": vm.console} if vm.console else {}
    return {
        "host": host(vm),
        "name": vm.name,
        "generation": vm.generation,
        "vcpus": args.cpus,
        **({"cpu": args.cpu} if args.cpu else {}),
        "memory": bytes_of(args.memory) // MIB,
        "arch": "x86_64",
        "accelerator": args.accelerator,
        "firmware": args.firmware,
        "secureBoot": False,
        **kernel,
        "disks": disks,
        "nics": [_nic(vm)],
        **console,
        "guestAgent": True,
        "autostart": lacking(vm.driver, "autostart") is None,
        "running": True,
        "restart": args.restart,
        "stopTimeout": args.stop_timeout,
        "wait": {"until": "running", "port": 22, "timeout": 300},
    }


def made_disks(root: Any, data: Any, seed: Any) -> list[dict[str, Any]]:
    """By the paths of the volumes. The seed is no CD-ROM: kernels made for clouds have no driver for one."""
    plain = {"kind": "disk", "readOnly": False}
    return [
        {"path": root, "format": "qcow2", **plain},
        {"path": data, "format": "qcow2", **plain, "serial": DATA},
        {"path": seed, "format": "raw", **plain, "readOnly": True},
    ]


def placed_disks(vm: Vm) -> list[dict[str, Any]]:
    """The one that lies there."""
    return [{"path": vm.image, "format": vm.driver.formats[0], "kind": "disk", "readOnly": False}]


def login(vm: Vm, key_file: str | None) -> dict[str, Any]:
    """The way to the machine, without keys that are made or learned. Behind a remote host's NAT it leads through it."""
    key = {"keyFile": key_file} if key_file else {}
    return {
        "kind": "ssh",
        "address": vm.net.address,
        "port": 22,
        "user": vm.args.user,
        **key,
        "sudo": True,
        **({"jump": jump} if (jump := _jump(vm)) else {}),
        "connectTimeout": vm.args.connect_timeout,
    }


def first_boot(vm: Vm) -> dict[str, Any]:
    """What it is waited with; `of` changes with all that may restart it."""
    asked = [vm.args.cpus, vm.args.memory, vm.args.firmware, vm.args.accelerator, vm.generation]
    asked += [vm.args.cpu] if vm.args.cpu else []
    kernel = vm.args.kernel.wire() if vm.args.kernel else None
    of = hashlib.sha256(json.dumps([*asked, kernel], sort_keys=True).encode()).hexdigest()[:12]
    console = {"console": vm.console} if vm.console and vm.uri.local else {}
    heard = lacking(vm.driver, "console") is None
    guest = {"guest": {"host": host(vm), "name": vm.name}} if heard else {}
    return {"timeout": vm.args.boot_timeout, **console, **guest, "of": of}


# what is decided


def _net(args: LibvirtArgs, stack: str, ground: str, number: int) -> Net:
    """The machines after the first have the addresses after its own."""
    digest = hashlib.sha256(f"{stack}\n{numbered(ground, number)}".encode()).hexdigest()
    mac = f"52:54:00:{digest[:2]}:{digest[2:4]}:{digest[4:6]}"
    given = args.network
    if given.address is not None:
        there = ipaddress.IPv4Interface(given.address)
        address = str(there.ip + number - 1)
        servers = tuple(given.nameservers or ([given.gateway] if given.gateway else []))
        return Net(
            given.name, given.bridge, None, address, there.network.prefixlen, given.gateway, servers, mac
        )  # fmt: skip
    net = ipaddress.IPv4Network(given.subnet or default_subnet(stack))
    gateway, address = str(net[1]), str(net[_first(net)] + number - 1)
    return Net(ground, None, str(net), address, net.prefixlen, gateway, tuple(given.nameservers or [gateway]), mac)


def _first(net: ipaddress.IPv4Network) -> int:
    """Which address of a network of ours the first machine has; the host has the one after the network's own."""
    return 10 if net.num_addresses > 16 else 2


def _room(args: LibvirtArgs, stack: str) -> int:
    """How many machines there are addresses for."""
    given = args.network
    if given.address is not None:
        there = ipaddress.IPv4Interface(given.address)
        return int(there.network.broadcast_address) - int(there.ip)
    net = ipaddress.IPv4Network(given.subnet or default_subnet(stack))
    return net.num_addresses - 1 - _first(net)


def _generation(vm: Vm, own_key: str | None) -> str:
    """Of all that only a first boot does."""
    net = vm.net
    said: list[Any] = [vm.sha256 or vm.image, vm.args.user, vm.hostname, vm.args.state_dir, own_key]
    said += [net.address, net.prefix, net.gateway, list(net.nameservers), net.mac]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:12]


def _console(args: LibvirtArgs, driver: Driver, uri: Uri, name: str, number: int) -> str | None:
    if lacking(driver, "console") is not None or (_session(uri) and args.console_log is None):
        return None
    if args.console_log:
        return args.console_log if number == 1 else f"{args.console_log}.{number}"
    return f"/var/log/libvirt/qemu/{name}-console.log"


def _ethernet(net: Net) -> dict[str, Any]:
    # a network and not `default`, which older cloud-inits do not know
    routes = [{"to": "0.0.0.0/0", "via": net.gateway}] if net.gateway else []
    servers = {"nameservers": {"addresses": list(net.nameservers), "search": []}} if net.nameservers else {}
    return {
        "match": {"macaddress": net.mac},
        "dhcp4": False,
        "dhcp6": False,
        "addresses": [f"{net.address}/{net.prefix}"],
        "routes": routes,
        **servers,
    }


def _nic(vm: Vm) -> dict[str, Any]:
    net = vm.net
    # VMware's and Hyper-V's networks are bridges in libvirt's words
    bridged = net.bridge or (net.name if vm.driver.types[0] in ("vmware", "hyperv") else None)
    where = {"bridge": bridged} if bridged else {"network": net.name}
    return {**where, "mac": net.mac, "forwards": []}


def _jump(vm: Vm) -> dict[str, Any] | None:
    if vm.net.ours is None or not vm.uri.ssh:
        return None
    user = {"user": vm.uri.user} if vm.uri.user else {}
    return {"address": vm.uri.host, "port": vm.uri.port or 22, **user}


def _device() -> str:
    return f"/dev/disk/by-id/virtio-{DATA}"


def _plain(stack: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stack).strip("-.") or "stack"


# what cannot be


def _wrong(args: LibvirtArgs, driver: Driver, uri: Uri, made: bool) -> Iterator[ConfigError]:
    if (unable := lacking(driver, "guests")) is not None:
        yield _error("uri", *unable)
        return
    if (found := uris.wrong(args.uri, args.unverified)) is not None:
        yield _error("uri", *found)
    yield from _wrong_image(args, driver, made)
    yield from _wrong_network(args, driver, uri, made)
    if _session(uri):
        yield from _wrong_in_session(args)
    if (bytes_of(args.memory) // MIB) < 128:
        yield _error("memory", f"{args.memory} is too little for a Linux with systemd", "512Mi or more")
    if driver.types == ("vmware",):
        yield from _wrong_on_vmware(args)
    asked: list[tuple[str, Ability, bool]] = [
        ("firmware", "firmware", args.firmware == "uefi"),
        ("consoleLog", "console", args.console_log is not None),
    ]
    for field, ability, said in asked:
        if said and (unable := lacking(driver, ability)) is not None:
            yield _error(field, unable[0], "leave it out")
    if args.accelerator != "auto" and "kvm" not in driver.types:
        yield _error("accelerator", f"{driver.name} has none to choose", "leave it out")
    if args.cpu is not None and "kvm" not in driver.types:
        yield _error("cpu", f"{driver.name} has its own, which libvirt does not choose", "leave it out")
    elif args.cpu == "host-passthrough" and args.accelerator == "tcg":
        yield _error("cpu", "is the host's own, which an emulated machine does not have", "maximum")
    if args.kernel is not None and "kvm" not in driver.types:
        yield _error("kernel", f"{driver.name} loads none by libvirt", "an image with a boot loader")
    if made and args.host_key is not None:
        yield _error("hostKey", "is made here, and so known", "leave it out")


def _too_many(args: LibvirtArgs, stack: str, driver: Driver, made: bool) -> Iterator[ConfigError]:
    if args.machines > 1 and not made:
        what = f"asks for {args.machines}: {driver.name} runs one machine from the disk that image names"
        yield _error("machines", what, "leave it out, or use tier baremetal with machines that are there")
    elif args.machines > (room := _room(args, stack)):
        what = f"asks for {args.machines}, and the network has addresses for {room}"
        where = "a larger network.subnet" if args.network.address is None else "a lower network.address"
        yield _error("machines", what, f"ask for fewer, or give {where}")


def _wrong_image(args: LibvirtArgs, driver: Driver, made: bool) -> Iterator[ConfigError]:
    kind = "a cloud image: a file of this machine, or a URL" if made else "a disk that lies at the hypervisor already"
    if args.image is None:
        yield _error("image", "is not set", f"`pulumi config set --path {KEY}.image ...`: {kind}")
    if not made:
        for field, value in (("sha256", args.sha256), ("dataDisk", args.data_disk), ("folder", args.folder)):
            if value is not None:
                what = f"is of no use: {driver.name} runs from the disk that image names, as it lies there"
                yield _error(field, what, "leave it out")
        if args.retain_data:
            yield _error("retainData", "is of no use: the disk that image names always stays", "leave it out")
        return
    if args.sha256 is None and args.image is not None:
        do = "`sha256sum FILE`, or what the image's publisher says; nothing unknown is booted"
        yield _error("sha256", "is not set", do)
    if args.image is not None and "://" in args.image and not args.image.startswith(("http://", "https://")):
        yield _error("image", f"{args.image[:60]!r} is no URL of http or https", "or give a file")


def _wrong_network(args: LibvirtArgs, driver: Driver, uri: Uri, made: bool) -> Iterator[ConfigError]:
    given = args.network
    if not made and given.address is None:
        do = f"`{KEY}.network: {{bridge: NAME, address: 10.0.0.5/24}}`, as the guest there is set up"
        yield _error("network", f"must be said: {driver.name} tells no guest its address by libvirt", do)
    elif given.address is None and uri.host and not uri.ssh:
        what = f"is NAT behind {uri.host}, to which only SSH would lead through"
        yield _error("network", what, "a qemu+ssh:// URI, or a bridge there with an address that is reached from here")
    if given.bridge is not None and "kvm" in driver.types and not re.fullmatch(r"[^\s/:]{1,15}", given.bridge):
        yield _error("network.bridge", f"{given.bridge!r} is no name of a device", "such as br0")
    if given.name is not None and "kvm" in driver.types and not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", given.name):
        yield _error("network.name", f"{given.name!r} is no name of a network of libvirt", "see `virsh net-list`")


def _session(uri: Uri) -> bool:
    """A user's own libvirt, which has none of the host's rights."""
    return uri.driver == "qemu" and uri.path == "/session"


def _wrong_in_session(args: LibvirtArgs) -> Iterator[ConfigError]:
    if args.network.address is None:
        do = "qemu:///system, or a bridge that the host lets you use, with an address on it"
        yield _error("network", "cannot be made in a user's own session of libvirt", do)
    if args.folder is None:
        do = "a folder of yours on the hypervisor's host, such as /home/me/machines"
        yield _error("folder", "is not set: a user's own session of libvirt has none that is known", do)


def _wrong_on_vmware(args: LibvirtArgs) -> Iterator[ConfigError]:
    if bytes_of(args.memory) // MIB % 4:
        yield _error("memory", f"{args.memory} is no multiple of 4 MiB, which VMware wants", "such as 2Gi")
    if args.cpus > 1 and args.cpus % 2:
        yield _error("cpus", f"{args.cpus} is odd, which VMware does not take", f"{args.cpus + 1}")


def _error(field: str, what: str, do: str) -> ConfigError:
    return ConfigError(f"{KEY}.{field}", what, do)
