"""Tier `docker`: one Docker daemon, by its local socket, over SSH, or over TCP with TLS; or a machine that gets one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import InitErrorDetails

import pulumi
from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.resources import Resource
from anytier.tiers.places import DockerEndpoint

# How one machine is reached. Whatever else tier baremetal may say of a machine is about several of them.
_LOGIN = ("address", "port", "user", "key_file", "host_key", "sudo", "jump", "connect_timeout")
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


class DockerArgs(Frozen):
    """Stack config `anytier:docker`. `host` defaults to DOCKER_HOST, else the local socket.

    `machine` is one over SSH, logged in to as root or with sudo, on which Docker is installed where it is missing.
    `caCert`, `cert` and `key` are paths of PEM files, needed for `tcp://`. `address` is the name under which users
    reach the machine; it defaults to the host's. `caddyImage` replaces the proxy's image.
    """

    host: str | None = None
    machine: Annotated[Any, BeforeValidator(_machine_args)] = None
    machine_of: str | None = None
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
        endpoint: dict[str, Any] = {} if args.machine else endpoint_of(args)
        super().__init__("anytier:tier:Docker", name, {}, opts)
        found = args.machine.address if args.machine else urlsplit(endpoint["host"]).hostname
        self.place = DockerEndpoint(
            endpoint=self._on_machine(args.machine) if args.machine else endpoint,
            port=port,
            tls_port=tls_port,
            address=args.address or found or "localhost",
            caddy_image=args.caddy_image,
        )
        self.register_outputs({"host": self.place.endpoint["host"]})

    def _on_machine(self, machine: Any) -> dict[str, Any]:
        """Its socket is an output of the engine's resource, so that all that uses the daemon waits for it."""
        from anytier.tiers.baremetal import looked_at

        way, found = looked_at(machine, self)
        opts = pulumi.ResourceOptions(parent=self, depends_on=[found])
        engine = Resource("host:DockerEngine", f"{machine.called}-docker", {"machine": way}, ["socket"], opts)
        return {"host": pulumi.Output.concat("unix://", engine.output("socket")), "machine": way}

    @staticmethod
    def mode(args: DockerArgs) -> str | None:
        del args
        return None


def refuse_two_ways(args: DockerArgs) -> None:
    """ConfigError where a machine is named and the daemon, too, or one that cannot be had yet."""
    if args.machine_of is not None:
        what = f"a machine that another tier makes ({args.machine_of[:40]!r}) is not built yet"
        raise ConfigError("anytier:docker.machineOf", what, "give `machine` with the address of one over SSH")
    if args.machine is None:
        return
    others = {"host": args.host, "caCert": args.ca_cert, "cert": args.cert, "key": args.key}
    for name, value in others.items():
        if value is not None:
            what = "is another way to a daemon, and `machine` is given"
            raise ConfigError(f"anytier:docker.{name}", what, "take one of the two out")


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
