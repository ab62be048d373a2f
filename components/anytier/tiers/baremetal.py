"""Tier `baremetal`: a machine that you own, over SSH. systemd runs the app there, as root or by password-less sudo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

import pulumi
from anytier import logins
from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.tiers.places import Hosts

_KEY = "anytier:baremetal.machines"


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
    """A machine. `sudo`: the login is not root's, and root is had by password-less sudo. `jump`: the host before it."""

    sudo: bool = False
    jump: LoginArgs | None = None
    connect_timeout: float = Field(default=15, gt=0, le=600)


class BaremetalArgs(Frozen):
    """Stack config `anytier:baremetal`. `stateDir` holds everything of the apps there.

    `address` is the name under which users reach the machine; it defaults to the machine's own. `downgrades`: a version
    of a package that the app asks for may replace a newer one.
    """

    machines: list[MachineArgs] = Field(default_factory=list)
    state_dir: str = Field(default="/var/lib/anytier", pattern=r"^/")
    address: str | None = None
    downgrades: bool = False


class Machine(pulumi.CustomResource):
    """`anytier:host:Machine` on the program's side."""

    host_key: pulumi.Output[str]

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions) -> None:
        given = {
            "machine": wire(args),
            "hostKey": args.host_key,
            "jumpHostKey": args.jump.host_key if args.jump else None,
        }
        known = {key: value for key, value in given.items() if value is not None}
        super().__init__("anytier:host:Machine", name, {"hostKey": None, "jumpHostKey": None, **known}, opts)

    def key(self, name: str) -> pulumi.Output[Any]:
        found: pulumi.Output[Any] = pulumi.get(self, name)
        return found


class BaremetalTier(pulumi.ComponentResource):
    """A machine as a place. Looks at it, learns its host key, and makes nothing there."""

    config_key = "baremetal"
    args_type = BaremetalArgs

    def __init__(
        self, name: str, args: BaremetalArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        machine = only(args)  # first: a wrong list registers nothing
        super().__init__("anytier:tier:Baremetal", name, {}, opts)
        found = Machine(machine.address, machine, pulumi.ResourceOptions(parent=self))
        way = wire(machine) | {"hostKey": found.key("hostKey")}
        if machine.jump:
            way["jump"] = machine.jump.way | {"hostKey": found.key("jumpHostKey")}
        self.place = Hosts(
            machine=way,
            state_dir=args.state_dir.rstrip("/") or "/",
            supervisor="systemd-system",
            port=port,
            tls_port=tls_port,
            address=args.address or machine.address,
            tier="baremetal",
            downgrades=args.downgrades,
        )
        self.register_outputs({"address": self.place.address, "stateDir": self.place.state_dir})

    @staticmethod
    def mode(args: BaremetalArgs) -> None:
        """There is but one."""


def only(args: BaremetalArgs) -> MachineArgs:
    """The machine. ConfigError for none, and for several."""
    if not args.machines:
        do = "`pulumi config set --path 'anytier:baremetal.machines[0].address' ADDRESS`"
        raise ConfigError(_KEY, "names no machine", do)
    if len(args.machines) > 1:
        what = f"names {len(args.machines)} machines, and an app on several is not built yet"
        raise ConfigError(_KEY, what, "name one; a stack for each machine works")
    return args.machines[0]


def wire(args: MachineArgs) -> dict[str, Any]:
    """The machine in the provider's wire form, without host keys."""
    jump = {"jump": args.jump.way} if args.jump else {}
    return {"kind": "ssh", **args.way, "sudo": args.sudo, **jump, "connectTimeout": args.connect_timeout}


def ref_props(args: MachineArgs) -> dict[str, Any]:
    """The same with the host keys that are pinned; without those, for whoever learns them."""
    jump = {"jump": args.jump.way | {"hostKey": args.jump.host_key}} if args.jump else {}
    return {**wire(args), "hostKey": args.host_key, **jump}
