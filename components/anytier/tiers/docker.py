"""Tier `docker`: one Docker daemon, by its local socket, over SSH, or over TCP with TLS; or a machine that gets one,
which is there already or is made for the stack.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails

import pulumi
from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.resources import Resource
from anytier.tiers.places import DockerEndpoint

if TYPE_CHECKING:
    from anytier.tiers.vms import LibvirtArgs

# How one machine is reached. Whatever else tier baremetal may say of a machine is about several of them.
_LOGIN = ("address", "port", "user", "key_file", "host_key", "sudo", "jump", "connect_timeout")
_VM = "anytier:docker.libvirt"
_DATA = "/var/lib/docker"  # where Docker has all that it has: so there is the data disk, which outlives the machine
_DO = "use unix:///path, ssh://user@host, or tcp://host:2376 with caCert, cert and key"


def _machine_args(given: object) -> object:
    """As in `anytier:baremetal.machines[]`, and imported only by a stack that names one."""
    from anytier.tiers.baremetal import MachineArgs

    if isinstance(given, dict):
        known = {*_LOGIN, *map(to_camel, _LOGIN)}
        extra = [InitErrorDetails(type="extra_forbidden", loc=(k,), input=given[k]) for k in given if k not in known]
        if extra:
            raise ValidationError.from_exception_data("machine", extra)
    return given if given is None else MachineArgs.model_validate(given)


def _vm_args(given: object) -> object:
    """As in `anytier:libvirt`, and imported only by a stack that asks for one."""
    from anytier.tiers.vms import LibvirtArgs

    return given if given is None else LibvirtArgs.model_validate(given)


class DockerArgs(Frozen):
    """Stack config `anytier:docker`. `host` defaults to DOCKER_HOST, else the local socket.

    `machine` is one over SSH, logged in to as root or with sudo, on which Docker is installed where it is missing;
    `libvirt` one that is made. `caCert`, `cert` and `key` are paths of PEM files, needed for `tcp://`. `address` is the
    name under which users reach the machine; it defaults to the host's. `caddyImage` replaces the proxy's image.
    """

    host: str | None = None
    machine: Annotated[Any, BeforeValidator(_machine_args)] = None
    libvirt: Annotated[Any, BeforeValidator(_vm_args)] = None
    ca_cert: str | None = None
    cert: str | None = None
    key: str | None = None
    address: str | None = None
    caddy_image: str | None = None


class DockerTier(pulumi.ComponentResource):
    """A Docker daemon as a place. Makes nothing by itself; on a machine it sees to it that there is one."""

    config_key = "docker"
    args_type = DockerArgs

    def __init__(
        self, name: str, args: DockerArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        refuse_two_ways(args)  # first: a wrong address registers nothing
        vm = None if args.libvirt is None else vm_of(args.libvirt, pulumi.get_stack())
        plain: dict[str, Any] = {} if vm or args.machine else endpoint_of(args)
        super().__init__("anytier:tier:Docker", name, {}, opts)
        given: dict[str, Any] = {"port": port, "tls_port": tls_port, "caddy_image": args.caddy_image}
        if vm is not None:
            self.place = self._made(vm, args.address, given)
        elif args.machine is not None:
            self.place = self._there(args.machine, args.address, given)
        else:
            address = args.address or urlsplit(plain["host"]).hostname or "localhost"
            self.place = DockerEndpoint(plain, address=address, **given)
        self.register_outputs({"host": self.place.endpoint["host"]})

    def _there(self, machine: Any, address: str | None, given: dict[str, Any]) -> DockerEndpoint:
        """On a machine of the user's."""
        from anytier.tiers.baremetal import looked_at

        way, found = looked_at(machine, self)
        endpoint = self._engine(machine.called, {"machine": way}, depends_on=[found])
        return DockerEndpoint(endpoint, address=address or machine.address, **given)

    def _made(self, vm: LibvirtArgs, address: str | None, given: dict[str, Any]) -> DockerEndpoint:
        """On a machine that is made, and with which all that is there goes."""
        from anytier.tiers.libvirt import LibvirtTier

        own = pulumi.ResourceOptions(parent=self)
        hosts = LibvirtTier("vm", vm, port=given["port"], tls_port=given["tls_port"], opts=own).place
        (machine,) = hosts.machines
        props = {"machine": machine.machine, "incarnation": hosts.incarnation}
        return DockerEndpoint(
            self._engine(machine.name, props, deleted_with=hosts.lives_on),
            address=address or hosts.address,
            incarnation=hosts.incarnation,
            lives_on=hosts.lives_on,
            **given,
        )

    def _engine(self, machine: str, props: dict[str, Any], **opts: Any) -> dict[str, Any]:
        """Its socket is an output of the engine's resource, so that all that uses the daemon waits for it."""
        options = pulumi.ResourceOptions(parent=self, **opts)
        engine = Resource("host:DockerEngine", f"{machine}-docker", props, ["socket"], options)
        return {"host": pulumi.Output.concat("unix://", engine.output("socket")), "machine": props["machine"]}

    @staticmethod
    def mode(args: DockerArgs) -> str | None:
        del args
        return None


def refuse_two_ways(args: DockerArgs) -> None:
    """ConfigError where a machine is named or asked for, and the daemon, too."""
    machines = {"machine": args.machine, "libvirt": args.libvirt}
    first = next((name for name, value in machines.items() if value is not None), None)
    ways = {**machines, "host": args.host, "caCert": args.ca_cert, "cert": args.cert, "key": args.key}
    for name, value in ways.items():
        if first is not None and name != first and value is not None:
            what = f"is another way to a daemon, and `{first}` is given"
            raise ConfigError(f"anytier:docker.{name}", what, "take one of the two out")


def vm_of(args: LibvirtArgs, stack: str) -> LibvirtArgs:
    """The machine that is made, with its data disk where Docker wants it. ConfigErrors for one that cannot be."""
    from anytier.tiers.libvirt import decided_below

    if args.machines > 1:
        raise ConfigError(f"{_VM}.machines", f"asks for {args.machines}: a daemon is on one machine", "leave it out")
    if "state_dir" in args.model_fields_set:
        raise ConfigError(f"{_VM}.stateDir", f"is of no use: all that Docker has is in {_DATA}", "leave it out")
    if args.retain_data:
        what = "would have the next daemon start what no stack knows any more"
        raise ConfigError(f"{_VM}.retainData", what, "leave it out")
    vm = args.model_copy(update={"state_dir": _DATA})
    decided_below(_VM, vm, stack)
    return vm


def endpoint_of(args: DockerArgs) -> dict[str, str]:
    """The endpoint in the provider's wire form. ConfigError for an unknown scheme, or TCP without TLS."""
    host = args.host or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    scheme = urlsplit(host).scheme
    if scheme not in ("unix", "ssh", "tcp"):
        raise ConfigError("anytier:docker.host", f"{host!r} is not a Docker address", _DO)
    tls = {"caCert": args.ca_cert, "cert": args.cert, "key": args.key}
    missing = [name for name, path in tls.items() if not path]
    if scheme == "tcp" and missing:
        raise ConfigError("anytier:docker.host", f"plain TCP gives everybody root; {', '.join(missing)} not set", _DO)
    for name, path in tls.items():
        if path and not Path(path).expanduser().is_file():
            raise ConfigError(f"anytier:docker.{name}", f"no file {path}", "give the path of a PEM file")
    return {"host": host} | {name: str(Path(path).expanduser().absolute()) for name, path in tls.items() if path}
