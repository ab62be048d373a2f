"""A container of a template as the body of Docker's `POST /containers/create`. Pure; the provider sends it.

A container gets three things from us, each only where it needs it: `/.anytier`, a read-only volume with a static
busybox and three scripts; `/.anytier-files`, a read-only volume with this container's own files and secrets; and a
tmpfs at `/run/secrets`, which the entry script fills at every start.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from anytier.render.template import Container, File, Port, Probe, Template
from anytier.render.tokens import names, substitute

TOOLS = "/.anytier"
FILES = "/.anytier-files"
SECRETS = "/run/secrets"
_SH = [f"{TOOLS}/busybox", "sh"]
_PIDS = 4096  # a fork bomb ends here; no honest app of one container gets there
_NANO = 1_000_000_000
# A first process of these names is an init already, and insists on being number 1.
_INITS = {"init", "tini", "tini-static", "dumb-init", "docker-init", "catatonit", "s6-svscan", "systemd"}
_MARGIN = 5  # seconds by which Docker waits longer for a health check than the check itself waits


@dataclass(frozen=True)
class Image:
    """What an image says of itself."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    user: str = ""


@dataclass(frozen=True)
class Setting:
    """Where a container goes. `volumes`: name in the spec -> real name. `share` names the container whose network it
    joins; without one it is on `network` under `aliases`, with `publish` ports."""

    labels: Mapping[str, str]
    env: Mapping[str, str]
    hostname: str
    network: str
    tools: str
    volumes: Mapping[str, str]
    files_volume: str | None = None
    files_path: str | None = None  # where the daemon keeps that volume
    user: tuple[int, int] = (0, 0)  # who the container runs as
    aliases: Sequence[str] = ()
    publish: Sequence[Port] = ()
    share: str | None = None
    restart: bool = True


@dataclass(frozen=True)
class Kept:
    """What lies in a container's files volume: path in it -> (content, mode, uid, gid)."""

    files: Mapping[str, tuple[bytes, int, int, int]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.files)


def needs_tools(item: Container) -> bool:
    return bool(item.liveness or item.startup or _hidden(item) or _probed(item))


def needs_files(item: Container) -> bool:
    return bool(item.files or _hidden(item))


def needs_entry(item: Container) -> bool:
    """Whether the entry script brings something in, also for a command beside the app."""
    return _hidden(item)


def body(item: Container, image: Image, where: Setting) -> dict[str, Any]:
    """The request's JSON."""
    argv = argv_of(item, image)
    hidden = _hidden(item)
    out: dict[str, Any] = {
        "Image": item.image,
        "Env": [f"{key}={substitute(value, {})}" for key, value in sorted(_plain_env(item, where).items())],
        "Labels": dict(where.labels),
        "StopTimeout": max(1, math.ceil(item.stop_grace)),
        "HostConfig": _host_config(item, image, where),
    }
    if hidden:
        out["Entrypoint"], out["Cmd"] = [*_SH, f"{TOOLS}/entry", *argv], []
    elif item.command is not None:
        out["Entrypoint"], out["Cmd"] = _plain(item.command), _plain(item.args or [])
    elif item.args is not None:
        out["Cmd"] = _plain(item.args)
    if item.user:
        out["User"] = item.user
    if item.working_dir:
        out["WorkingDir"] = item.working_dir
    if item.stop_signal:
        out["StopSignal"] = item.stop_signal
    if item.liveness or item.startup:
        out["Healthcheck"] = healthcheck(item)
    if where.share is None:
        out["Hostname"] = where.hostname[:63].rstrip("-")
        out["NetworkingConfig"] = {"EndpointsConfig": {where.network: {"Aliases": list(where.aliases)}}}
        out["ExposedPorts"] = {f"{port.target}/{port.protocol.lower()}": {} for port in where.publish}
    return out


def pause(where: Setting, image: str) -> dict[str, Any]:
    """The container that holds the network which the containers of one instance share."""
    item = Container(name="network", image=image, command=[f"{TOOLS}/busybox", "sleep", "2147483647"], user="65534")
    out = body(item, Image(), where)
    out["HostConfig"]["Memory"] = out["HostConfig"]["MemorySwap"] = 16 * 1024 * 1024
    out["HostConfig"]["PidsLimit"] = 8
    return out


def argv_of(item: Container, image: Image) -> list[str]:
    """As Kubernetes: a command replaces the entrypoint and drops the image's arguments."""
    if item.command is not None:
        return _plain([*item.command, *(item.args or [])])
    return [*image.entrypoint, *(_plain(item.args) if item.args is not None else image.command)]


def kept_files(item: Container, secrets: Mapping[str, str], user: tuple[int, int] = (0, 0)) -> Kept:
    """The content of the container's files volume, owned by `user`, who the app runs as, where nothing else is said.

    Files with secrets in them go to the private part, which the entry script copies to tmpfs. A root folder that
    cannot be written takes no link to there: such a file is bound where it belongs, with its own mode and owner.
    """
    found: dict[str, tuple[bytes, int, int, int]] = {}
    for number, file in enumerate(item.files):
        data, mode = content(file, secrets), int(file.mode, 8)
        uid, gid = ids(file.owner) if file.owner else user
        if is_private(file) and not item.read_only_root:
            found[f"private/files/{number}"] = (data, 0o444, 0, 0)
            owner = file.owner if file.owner else "-"
            found[f"private/modes/{number}"] = (f"{file.mode} {owner}\n".encode(), 0o444, 0, 0)
        else:
            found[f"plain/{number}"] = (data, mode, uid, gid)
    for name, value in _secret_env(item, secrets).items():
        found[f"private/env/{name}"] = (value.encode(), 0o444, 0, 0)
    for name in sorted(set(item.secret_env.values())):
        found[f"private/secrets/{name}"] = (_value(name, secrets).encode(), 0o444, 0, 0)
    return Kept(found)


def links(item: Container) -> dict[str, str]:
    """Where a file with secrets in it belongs -> where it will be, on tmpfs."""
    if item.read_only_root:
        return {}
    return {file.target: f"{SECRETS}/.files/{number}" for number, file in enumerate(item.files) if is_private(file)}


def is_private(file: File) -> bool:
    return file.content is not None and bool(names(file.content))


def content(file: File, secrets: Mapping[str, str]) -> bytes:
    if file.binary is not None:
        return base64.b64decode(file.binary)
    return substitute(file.content or "", secrets).encode()


def ids(owner: str | None) -> tuple[int, int]:
    """`1000:1000` or `1000`, which is the group's number as well. Names are refused before: they are the image's."""
    if not owner:
        return 0, 0
    user, _, group = owner.partition(":")
    return int(user), int(group or user)


def wanted_secrets(template: Template) -> set[str]:
    """The secrets that a template names anywhere."""
    found: set[str] = set()
    for item in template.containers:
        found |= set(item.secret_env.values())
        for text in [*item.env.values(), *(file.content or "" for file in item.files)]:
            found |= names(text)
    return found


# probes


def healthcheck(item: Container) -> dict[str, Any]:
    """Docker runs it; it counts, and ends the process when the probe's limit is reached."""
    startup, live = item.startup, item.liveness
    periods = [probe.period for probe in (startup, live) if probe]
    timeouts = [probe.timeout for probe in (startup, live) if probe]
    grace = math.ceil(min(item.stop_grace, 30))
    words = argv(startup) if startup else []
    numbers = [
        grace,
        math.ceil((live or startup or Probe()).initial_delay),
        *_pace(startup),
        *_pace(live),
        len(words),
    ]
    return {
        "Test": ["CMD", *_SH, f"{TOOLS}/check", *map(str, numbers), *words, *(argv(live) if live else [])],
        "Interval": int(max(1.0, min(periods)) * _NANO),
        "Timeout": int((math.ceil(max(timeouts)) + grace + _MARGIN) * _NANO),
        "Retries": (live or startup or Probe()).failure_threshold,
        "StartPeriod": int((startup.failure_threshold * startup.period if startup else 0) * _NANO),
    }


def argv(probe: Probe) -> list[str]:
    """A probe as a command inside the container."""
    seconds = str(max(1, math.ceil(probe.timeout)))
    if probe.http_get:
        headers = [word for key, value in probe.http_get.headers.items() for word in ("--header", f"{key}: {value}")]
        kind = probe.http_get.scheme.lower()
        return [*_SH, f"{TOOLS}/probe", kind, seconds, str(probe.http_get.port), probe.http_get.path, *headers]
    if probe.tcp_port is not None:
        return [*_SH, f"{TOOLS}/probe", "tcp", seconds, str(probe.tcp_port)]
    return [f"{TOOLS}/busybox", "timeout", seconds, *(probe.exec or [])]


def gates(item: Container) -> list[Probe]:
    """What must answer before an instance counts: startup and readiness; liveness where there is nothing else."""
    found = [probe for probe in (item.startup, item.readiness) if probe is not None]
    return found or [probe for probe in (item.liveness,) if probe is not None]


def _pace(probe: Probe | None) -> tuple[int, int]:
    return (max(1, math.ceil(probe.period)), probe.failure_threshold) if probe else (0, 0)


# parts


def _plain(words: Sequence[str]) -> list[str]:
    """A command line as it is run. It holds no secret: `check` refuses one, since everybody can see it."""
    return [substitute(word, {}) for word in words]


def _hidden(item: Container) -> bool:
    """Whether anything of it is secret, so that the entry script must bring it in."""
    return bool(item.secret_env) or any(names(v) for v in item.env.values()) or any(map(is_private, item.files))


def _probed(item: Container) -> bool:
    """Also by a command: it runs under our `timeout`."""
    return bool(gates(item))


def _plain_env(item: Container, where: Setting) -> dict[str, str]:
    own = {key: value for key, value in item.env.items() if not names(value)}
    return {**own, **where.env}


def _secret_env(item: Container, secrets: Mapping[str, str]) -> dict[str, str]:
    mixed = {key: substitute(value, secrets) for key, value in item.env.items() if names(value)}
    return mixed | {key: _value(name, secrets) for key, name in item.secret_env.items()}


def _value(name: str, secrets: Mapping[str, str]) -> str:
    """SpecError names a secret that has none."""
    return substitute(f"${{secrets.{name}}}", secrets)


def _host_config(item: Container, image: Image, where: Setting) -> dict[str, Any]:
    out: dict[str, Any] = {
        "Init": _wants_init(item, image),
        "RestartPolicy": {"Name": "unless-stopped" if where.restart else "no"},
        "SecurityOpt": ["no-new-privileges:true"],
        "PidsLimit": item.limits.pids or _PIDS,
        "CapAdd": list(item.cap_add),
        "CapDrop": list(item.cap_drop),
        "ReadonlyRootfs": item.read_only_root,
        "NetworkMode": f"container:{where.share}" if where.share else where.network,
        "Mounts": _mounts(item, where),
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
        "PortBindings": {}
        if where.share
        else {
            f"{port.target}/{port.protocol.lower()}": [{"HostIp": _bind(port), "HostPort": str(port.port)}]
            for port in where.publish
        },
    }
    if item.limits.memory:
        out["Memory"] = out["MemorySwap"] = item.limits.memory
    if item.limits.memory_request and item.limits.memory_request < (item.limits.memory or math.inf):
        out["MemoryReservation"] = item.limits.memory_request
    if item.limits.cpu:
        out["NanoCpus"] = int(item.limits.cpu * _NANO)
    if item.limits.gpus:
        out["DeviceRequests"] = [{"Count": item.limits.gpus, "Capabilities": [["gpu"]]}]
    if _hidden(item):
        # Not mode=1777: at a restart runc gives the mount the mode of the folder that it made below it, 0755.
        uid, gid = where.user
        out["Tmpfs"] = {SECRETS: f"rw,noexec,nosuid,nodev,size=16m,mode=0755,uid={uid},gid={gid}"}
    return out


def _wants_init(item: Container, image: Image) -> bool:
    words = argv_of(item, image)
    return not words or PurePosixPath(words[0]).name not in _INITS


def _bind(port: Port) -> str:
    return "0.0.0.0" if port.expose == "public" else "127.0.0.1"


def _mounts(item: Container, where: Setting) -> list[dict[str, Any]]:
    found = [
        {"Type": "volume", "Source": where.volumes[mount.volume], "Target": mount.target, "ReadOnly": mount.read_only}
        for mount in item.mounts
    ]
    if needs_tools(item) or item.name == "network":
        found.append({"Type": "volume", "Source": where.tools, "Target": TOOLS, "ReadOnly": True})
    if where.files_volume:
        if _hidden(item):
            volume = {"Type": "volume", "Source": where.files_volume, "Target": FILES, "ReadOnly": True}
            found.append(volume | {"VolumeOptions": {"NoCopy": True}})
        for number, file in enumerate(item.files):
            if file.target not in links(item):
                source = f"{where.files_path}/plain/{number}"
                found.append({"Type": "bind", "Source": source, "Target": file.target, "ReadOnly": True})
    return found
