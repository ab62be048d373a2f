"""Tier `baremetal`: machines that you own, over SSH. systemd runs the app there, as root or by password-less sudo."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

import pulumi
from anytier import logins
from anytier.errors import AnytierError, ConfigError
from anytier.frozen import Frozen
from anytier.resources import Resource
from anytier.tiers.places import HostMachine, Hosts

_KEY = "anytier:baremetal.machines"
_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class LoginArgs(Frozen):
    """One login. `user` and `keyFile` default to those of your own SSH; `hostKey` to what is learned the first time."""

    address: Annotated[str, AfterValidator(logins.address)]
    port: int = Field(default=22, ge=1, le=65535)
    user: Annotated[str, AfterValidator(logins.user)] | None = None
    key_file: str | None = None
    host_key: Annotated[str, AfterValidator(logins.public_key)] | None = None

    @property
    def way(self) -> dict[str, Any]:
        """In the provider's wire form, without the host key. The key file's path holds in any folder."""
        key = {"keyFile": str(Path(self.key_file).expanduser().absolute())} if self.key_file else {}
        user = {"user": self.user} if self.user else {}
        return {"address": self.address, "port": self.port, **user, **key}


class MachineArgs(LoginArgs):
    """A machine. `sudo`: the login is not root's, and root is had by password-less sudo. `jump`: the host before it.

    `name` is what placement and `anytier status` call it; its address by default. `labels` are for placement.
    `ingress`: it takes requests from outside; all do where none says so. `privateAddress`: where the other machines
    reach it; its address by default.
    """

    name: str | None = Field(default=None, pattern=_LABEL)
    labels: dict[str, str] = Field(default_factory=dict)
    ingress: bool | None = None
    private_address: Annotated[str, AfterValidator(logins.address)] | None = None
    sudo: bool = False
    jump: LoginArgs | None = None
    connect_timeout: float = Field(default=15, gt=0, le=600)

    @property
    def called(self) -> str:
        return self.name or self.address


class BaremetalArgs(Frozen):
    """Stack config `anytier:baremetal`. `stateDir` holds everything of the apps there.

    `inventory` is a YAML file with the list of machines, from the project's folder, in place of `machines`. `address`
    is the name under which users reach the app: by default the first machine that takes their requests. `downgrades`:
    a version of a package that the app asks for may replace a newer one.
    """

    machines: list[MachineArgs] = Field(default_factory=list)
    inventory: str | None = None
    state_dir: str = Field(default="/var/lib/anytier", pattern=r"^/")
    address: str | None = None
    downgrades: bool = False


class BaremetalTier(pulumi.ComponentResource):
    """Machines as a place. Looks at each, learns its host key, and makes nothing there."""

    config_key = "baremetal"
    args_type = BaremetalArgs

    def __init__(
        self, name: str, args: BaremetalArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        listed = machines_of(args)  # first: a wrong list registers nothing
        super().__init__("anytier:tier:Baremetal", name, {}, opts)
        machines = tuple(self._machine(item, takes_requests(item, listed)) for item in listed)
        front = next(item for item, made in zip(listed, machines, strict=True) if made.ingress)
        self.place = Hosts(
            machine=machines[0].machine,
            machines=machines,
            state_dir=args.state_dir.rstrip("/") or "/",
            supervisor="systemd-system",
            port=port,
            tls_port=tls_port,
            address=args.address or front.address,
            tier="baremetal",
            downgrades=args.downgrades,
        )
        self.register_outputs({"address": self.place.address, "stateDir": self.place.state_dir})

    def _machine(self, args: MachineArgs, ingress: bool) -> HostMachine:
        way, found = looked_at(args, self)
        address = args.private_address or args.address
        return HostMachine(args.called, way, address, dict(args.labels), ingress, found.output("memory"))

    @staticmethod
    def mode(args: BaremetalArgs) -> None:
        """There is but one."""


def looked_at(
    args: MachineArgs, parent: pulumi.Resource, node: dict[str, Any] | None = None
) -> tuple[dict[str, Any], Resource]:
    """A machine's own resource, and the way to it with the host keys that it must show, for all that acts there.
    `node`: what it must have as a node of a cluster."""
    given = {
        "machine": wire(args),
        "hostKey": args.host_key,
        "jumpHostKey": args.jump.host_key if args.jump else None,
        "node": node,
    }
    outputs = ("hostKey", "jumpHostKey", "memory")
    found = Resource("host:Machine", args.called, given, outputs, pulumi.ResourceOptions(parent=parent))
    way = wire(args) | {"hostKey": found.output("hostKey")}
    if args.jump:
        way["jump"] = args.jump.way | {"hostKey": found.output("jumpHostKey")}
    return way, found


def machines_of(args: BaremetalArgs) -> list[MachineArgs]:
    """The machines that the stack names, each once. ConfigErrors for none, for two that are one, and for what is wrong
    in an inventory."""
    if args.inventory is not None and args.machines:
        what = "is given beside `inventory`: two lists of machines"
        raise ConfigError(_KEY, what, "keep one of the two")
    listed = list(args.machines)
    if args.inventory is not None:
        from anytier.tiers.inventory import read

        listed = read(args.inventory, MachineArgs)
    if not listed:
        do = "`pulumi config set --path 'anytier:baremetal.machines[0].address' ADDRESS`, or name an `inventory`"
        raise ConfigError(_KEY, "names no machine", do)
    errors = list(alike(listed))
    if not any(takes_requests(item, listed) for item in listed):
        errors.append(ConfigError(_KEY, "no machine takes requests from outside", "set `ingress: true` on one"))
    if errors:
        raise errors[0] if len(errors) == 1 else ExceptionGroup("machines", errors)
    return listed


def takes_requests(machine: MachineArgs, all_machines: Sequence[MachineArgs]) -> bool:
    """Where one says that it does, only those that say so; else all that do not say no."""
    if any(item.ingress for item in all_machines):
        return machine.ingress is True
    return machine.ingress is not False


def alike(listed: Sequence[MachineArgs], key: str = _KEY) -> Iterator[AnytierError]:
    """Machines that are another of the list. `key`: where the list stands."""
    names: dict[str, int] = {}
    ways: dict[tuple[str, int], int] = {}
    for index, item in enumerate(listed):
        first = ways.setdefault((item.address, item.port), index)
        if first != index:
            what = f"{item.address}:{item.port} is machine {first} of the list already"
            yield ConfigError(f"{key}.{index}.address", what, "name each machine once")
            continue
        first = names.setdefault(item.called, index)
        if first != index:
            what = f"{item.called!r} is also the name of machine {first} of the list"
            yield ConfigError(f"{key}.{index}.name", what, "give each a `name` of its own")


def wire(args: MachineArgs) -> dict[str, Any]:
    """The machine in the provider's wire form, without host keys."""
    jump = {"jump": args.jump.way} if args.jump else {}
    return {"kind": "ssh", **args.way, "sudo": args.sudo, **jump, "connectTimeout": args.connect_timeout}


def ref_props(args: MachineArgs) -> dict[str, Any]:
    """The same with the host keys that are pinned; without those, for whoever learns them."""
    jump = {"jump": args.jump.way | {"hostKey": args.jump.host_key}} if args.jump else {}
    return {**wire(args), "hostKey": args.host_key, **jump}
