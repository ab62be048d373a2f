"""Tier `docker`: one Docker daemon, by its local socket, over SSH, or over TCP with TLS."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pulumi
from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.tiers.places import DockerEndpoint

_DO = "use unix:///path, ssh://user@host, or tcp://host:2376 with caCert, cert and key"


class DockerArgs(Frozen):
    """Stack config `anytier:docker`. `host` defaults to DOCKER_HOST, else the local socket.

    `caCert`, `cert` and `key` are paths of PEM files, needed for `tcp://`. `address` is the name under which users
    reach the machine; it defaults to the host's. `caddyImage` replaces the proxy's image.
    """

    host: str | None = None
    ca_cert: str | None = None
    cert: str | None = None
    key: str | None = None
    address: str | None = None
    caddy_image: str | None = None


class DockerTier(pulumi.ComponentResource):
    """A Docker daemon as a place. Makes nothing by itself and does not talk to the daemon."""

    config_key = "docker"
    args_type = DockerArgs

    def __init__(
        self, name: str, args: DockerArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        endpoint = endpoint_of(args)  # first: a wrong address registers nothing
        super().__init__("anytier:tier:Docker", name, {}, opts)
        self.place = DockerEndpoint(
            endpoint=endpoint,
            port=port,
            tls_port=tls_port,
            address=args.address or urlsplit(endpoint["host"]).hostname or "localhost",
            caddy_image=args.caddy_image,
        )
        self.register_outputs({"host": endpoint["host"]})

    @staticmethod
    def mode(args: DockerArgs) -> str | None:
        del args
        return None


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
