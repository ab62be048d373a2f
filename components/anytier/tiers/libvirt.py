"""Tier `libvirt`: a virtual machine that is made for the stack, on any hypervisor that libvirt drives.

What the machine is like is decided in `vmplan`, purely; here is what that takes of this machine (files, variables) and
the order of the resources. systemd runs the app in the guest, as on tier `baremetal`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pulumi
from anytier import logins
from anytier.errors import ConfigError
from anytier.resources import Resource
from anytier.tiers import vmplan
from anytier.tiers.places import Hosts
from anytier.tiers.vmplan import KEY
from anytier.tiers.vms import LibvirtArgs

_QCOW2 = b"QFI\xfb"
# Whether the old one goes before the new one comes. One machine has its name, address and data disk at a time; its new
# disk has a name of its own, and comes while the old one is still in use.
_FIRST = {"Domain": True, "Volume": False}


class LibvirtTier(pulumi.ComponentResource):
    """A virtual machine as a place: network, disks, first boot, the machine itself, and its SSH."""

    config_key = "libvirt"
    args_type = LibvirtArgs

    def __init__(
        self, name: str, args: LibvirtArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        here = Here(args)  # first: what is wrong registers nothing
        vm = vmplan.decide(args, pulumi.get_stack(), here.public_key)
        super().__init__("anytier:tier:Libvirt", name, {}, opts)
        self.vm, self.here = vm, here
        self.host = {**vmplan.host(vm), **({"password": here.password} if here.password is not None else {})}
        machine = self._made() if vm.made else self._placed()
        self.place = Hosts(
            machine=self.way | {"hostKey": machine.output("hostKey")} | self._jump(machine),
            state_dir=args.state_dir,
            supervisor="systemd-system",
            port=port,
            tls_port=tls_port,
            address=args.address or vm.net.address,
            tier="libvirt",
            incarnation=vm.generation,
            lives_on=self.domain,
        )
        self.register_outputs({"address": self.place.address, "stateDir": self.place.state_dir, "machine": vm.name})

    @staticmethod
    def mode(args: LibvirtArgs) -> None:
        """There is but one."""

    # the steps

    def _made(self) -> Resource:
        """A machine with a fresh disk of the image, a data disk that outlives it, and a user with a key."""
        vm, here = self.vm, self.here
        ground = [self._new("Pool", "pool", vmplan.pool(vm))]
        nets = [self._new("Network", "network", vmplan.network(vm))] if vm.net.ours else []
        base = self._new("Volume", "image", vmplan.base(vm, here.source, here.format), ["path"], ground)
        root = self._new("Volume", "root", vmplan.root(vm, base.output("path"), here.format), ["path"], ground)
        data = self._new("Volume", "data", vmplan.data(vm), ["path"], ground)
        public: Any = here.public_key
        self.way: dict[str, Any] = vmplan.login(vm, here.key_file)
        if public is None:
            pair = self._new("KeyPair", "key", {"comment": vm.name}, ["publicKey", "privateKey"], module="index")
            public = pair.output("publicKey")
            self.way["privateKey"] = pair.output("privateKey")
        seed = self._new("SeedIso", "seed", vmplan.seed(vm, public), ["path", "hostPublicKey"], ground)
        disks = vmplan.made_disks(root.output("path"), data.output("path"), seed.output("path"))
        self.domain = self._new("Domain", "machine", vmplan.domain(vm, disks), (), nets)
        return self._machine(seed.output("hostPublicKey").apply(logins.public_key))

    def _placed(self) -> Resource:
        """A machine with the disk that lies at the hypervisor already."""
        self.way = vmplan.login(self.vm, self.here.key_file)
        self.domain = self._new("Domain", "machine", vmplan.domain(self.vm, vmplan.placed_disks(self.vm)))
        return self._machine(self.vm.args.host_key)

    def _machine(self, host_key: Any) -> Resource:
        """Its SSH, waited for."""
        given = {"machine": self.way, "firstBoot": vmplan.first_boot(self.vm)}
        known = {"hostKey": host_key} if host_key is not None else {}
        opts = pulumi.ResourceOptions(parent=self, depends_on=[self.domain], deleted_with=self.domain)
        return Resource("host:Machine", self.vm.net.address, {**given, **known}, ["hostKey", "jumpHostKey"], opts)

    def _jump(self, machine: Resource) -> dict[str, Any]:
        jump = self.way.get("jump")
        return {"jump": jump | {"hostKey": machine.output("jumpHostKey")}} if jump else {}

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


class Here:
    """What the config takes of this machine. An ExceptionGroup of ConfigErrors for what is not there."""

    def __init__(self, args: LibvirtArgs) -> None:
        found = [*_wrong_files(args)]
        if found:
            raise ExceptionGroup("config", found)
        self.key_file = str(_path(args.key_file)) if args.key_file else None
        self.public_key = _public_half(args.key_file) if args.key_file else None
        self.password: Any = None
        if args.account and args.account.password_env:
            self.password = pulumi.Output.secret(os.environ[args.account.password_env])
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


def _public_half(key_file: str) -> str | None:
    try:
        return logins.public_key(_path(f"{key_file}.pub").read_text())
    except (OSError, ValueError):
        return None


def _format(image: str) -> str:
    """Of a file by its first bytes; of a URL by its end, as nothing is fetched yet."""
    if "://" in image:
        return "raw" if image.endswith(".raw") else "qcow2"
    try:
        with _path(image).open("rb") as data:
            return "qcow2" if data.read(4) == _QCOW2 else "raw"
    except OSError:
        return "qcow2"


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()
