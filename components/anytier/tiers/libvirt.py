"""Tier `libvirt`: virtual machines that are made for the stack, on any hypervisor that libvirt drives.

What they are like is decided in `vmplan`, purely; here is what that takes of this machine (files, variables) and
the order of the resources. systemd runs the app in the guest, as on tier `baremetal`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from anytier import logins, planning
from anytier.errors import AnytierError, ConfigError, leaves
from anytier.resources import Resource
from anytier.tiers import vmplan
from anytier.tiers.places import HostMachine, Hosts
from anytier.tiers.vmplan import KEY, Vm
from anytier.tiers.vms import LibvirtArgs, bytes_of

_QCOW2 = b"QFI\xfb"
# Whether the old one goes before the new one comes. One machine has its name, address and data disk at a time; its new
# disk has a name of its own, and comes while the old one is still in use.
_FIRST = {"Domain": True, "Volume": False}


@dataclass(frozen=True)
class Made:
    """A machine that is registered, and what the runtime needs to know of it."""

    domain: Resource
    host: HostMachine


class LibvirtTier(pulumi.ComponentResource):
    """Virtual machines as a place: a network and a pool for all; for each its disks, first boot, itself and its SSH."""

    config_key = "libvirt"
    args_type = LibvirtArgs

    def __init__(
        self, name: str, args: LibvirtArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        self.here = Here(args)  # first: what is wrong registers nothing
        vms = vmplan.decide(args, pulumi.get_stack(), self.here.public_key)
        super().__init__("anytier:tier:Libvirt", name, {}, opts)
        first, password = vms[0], self.here.password
        self.host = {**vmplan.host(first), **({"password": password} if password is not None else {})}
        made = self._made(vms) if first.made else [self._placed(first)]
        self.place = Hosts(
            machine=made[0].host.machine,
            machines=tuple(item.host for item in made),
            state_dir=args.state_dir,
            supervisor="systemd-system",
            port=port,
            tls_port=tls_port,
            address=args.address or first.net.address,
            tier="libvirt",
            incarnation=vmplan.incarnation(vms),
            lives_on=made[0].domain if len(made) == 1 else None,
        )
        self.register_outputs({"address": self.place.address, "stateDir": self.place.state_dir, "machine": first.name})

    @staticmethod
    def mode(args: LibvirtArgs) -> None:
        """There is but one."""

    # the steps

    def _made(self, vms: Sequence[Vm]) -> list[Made]:
        """Machines with fresh disks of the image, data disks that outlive them, and a user with a key."""
        first, here = vms[0], self.here
        ground = [self._new("Pool", "pool", vmplan.pool(first))]
        nets = [self._new("Network", "network", vmplan.network(first))] if first.net.ours else []
        base = self._new("Volume", "image", vmplan.base(first, here.source, here.format), ["path"], ground)
        public: Any = here.public_key
        own: dict[str, Any] = {}
        if public is None:
            pair = self._new("KeyPair", "key", {"comment": first.ground}, ["publicKey", "privateKey"], module="index")
            public = pair.output("publicKey")
            own = {"privateKey": pair.output("privateKey")}
        return [self._one(vm, base, public, own, ground, nets) for vm in vms]

    def _one(
        self,
        vm: Vm,
        base: Resource,
        public: Any,
        own: Mapping[str, Any],
        ground: list[Resource],
        nets: list[Resource],
    ) -> Made:
        """`own`: the login's key, if it is one of ours."""

        def new(kind: str, name: str, props: dict[str, Any], *outputs: str) -> Resource:
            return self._new(kind, vmplan.numbered(name, vm.number), props, outputs, ground)

        root = new("Volume", "root", vmplan.root(vm, base.output("path"), self.here.format), "path")
        data = new("Volume", "data", vmplan.data(vm), "path")
        seed = new("SeedIso", "seed", vmplan.seed(vm, public), "path", "hostPublicKey")
        disks = vmplan.made_disks(root.output("path"), data.output("path"), seed.output("path"))
        domain = self._new("Domain", vmplan.numbered("machine", vm.number), vmplan.domain(vm, disks), (), nets)
        way = {**vmplan.login(vm, self.here.key_file), **own}
        return self._machine(vm, domain, way, seed.output("hostPublicKey").apply(logins.public_key))

    def _placed(self, vm: Vm) -> Made:
        """A machine with the disk that lies at the hypervisor already."""
        domain = self._new("Domain", "machine", vmplan.domain(vm, vmplan.placed_disks(vm)))
        return self._machine(vm, domain, vmplan.login(vm, self.here.key_file), vm.args.host_key)

    def _machine(self, vm: Vm, domain: Resource, way: dict[str, Any], host_key: Any) -> Made:
        """Its SSH, waited for."""
        given = {"machine": way, "firstBoot": vmplan.first_boot(vm), "hostKey": host_key}
        opts = pulumi.ResourceOptions(parent=self, depends_on=[domain], deleted_with=domain)
        found = Resource("host:Machine", vm.net.address, given, ["hostKey", "jumpHostKey"], opts)
        jump = way.get("jump")
        known = way | {"hostKey": found.output("hostKey")}
        known |= {"jump": jump | {"hostKey": found.output("jumpHostKey")}} if jump else {}
        return Made(domain, HostMachine(vm.hostname, known, vm.net.address, memory=bytes_of(vm.args.memory)))

    def _new(
        self,
        kind: str,
        name: str,
        props: dict[str, Any],
        outputs: Iterable[str] = (),
        after: Iterable[Resource] = (),
        module: str = "libvirt",
    ) -> Resource:
        """`after`: must be there before it, and goes after it."""
        where = {"host": self.host} if "host" in props else {}
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(after), delete_before_replace=_FIRST.get(kind))
        return Resource(f"{module}:{kind}", name, props | where, outputs, opts)


def decided_below(key: str, args: LibvirtArgs, stack: str) -> list[Vm]:
    """The machines of another tier's stack, whose config stands below `key`. An ExceptionGroup for what cannot be."""
    try:
        return vmplan.decide(args, stack, Here(args).public_key)
    except ExceptionGroup as group:
        raise ExceptionGroup("config", [_below(key, error) for error in leaves(group)]) from None


def _below(key: str, error: BaseException) -> Exception:
    assert isinstance(error, Exception)
    if not isinstance(error, AnytierError):
        return error
    return ConfigError(error.path.replace(KEY, key), error.what, error.do)


class Here:
    """What the config takes of this machine. An ExceptionGroup of ConfigErrors for what is not there.

    A plan takes nothing: it goes by what files and variables are called.
    """

    def __init__(self, args: LibvirtArgs) -> None:
        found = [] if planning.active() else [*_wrong_files(args)]
        if found:
            raise ExceptionGroup("config", found)
        self.key_file = str(_path(args.key_file)) if args.key_file else None
        self.public_key = _public_half(args.key_file) if args.key_file else None
        self.password: Any = None
        if args.account and args.account.password_env:
            self.password = pulumi.Output.secret(_variable(args.account.password_env))
        image = args.image or ""
        self.source = {"url": image} if "://" in image else {"file": str(_path(image))}
        self.format = _format(image)


def _wrong_files(args: LibvirtArgs) -> list[ConfigError]:
    found = []
    made = vmplan.makes_disks(args)
    if made and args.image and "://" not in args.image and not _path(args.image).is_file():
        found.append(ConfigError(f"{KEY}.image", f"there is no file {args.image}", "a cloud image's path, or its URL"))
    if args.key_file and made and _public_half(args.key_file) is None:
        what = f"there is no public key in {args.key_file}.pub"
        found.append(ConfigError(f"{KEY}.keyFile", what, f"`ssh-keygen -y -f {args.key_file} >{args.key_file}.pub`"))
    account = args.account
    if account and account.password_env and not os.environ.get(account.password_env):
        do = f"`export {account.password_env}=...`"
        found.append(ConfigError(f"{KEY}.account.passwordEnv", f"{account.password_env} is not set", do))
    return found


def _variable(name: str) -> str:
    return planning.stand_in("variable", name) if planning.active() else os.environ[name]


def _public_half(key_file: str) -> str | None:
    if planning.active():
        return planning.stand_in(key_file, "pub")
    try:
        return logins.public_key(_path(f"{key_file}.pub").read_text())
    except (OSError, ValueError):
        return None


def _format(image: str) -> str:
    """Of a file by its first bytes; of a URL by its end, as nothing is fetched yet. So in a plan, too."""
    if "://" in image or planning.active():
        return "raw" if image.endswith(".raw") else "qcow2"
    try:
        with _path(image).open("rb") as data:
            return "qcow2" if data.read(4) == _QCOW2 else "raw"
    except OSError:
        return "qcow2"


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()
