"""A workload or a job of the spec as a `Template`: for containers and for native processes. Pure.

Images are left as the spec names them; the runtime puts in what its image resources resolved.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anytier.errors import CapabilityError, SpecError
from anytier.render import template as t
from anytier.render.tokens import escape, names
from anytier.render.traffic import is_http, service_ports, target_of
from anytier.spec import App, Workload
from anytier.spec.model import Container, Hook, Probe

Body = Any  # a Workload or a Job: both have containers, host and metadata


def for_docker(app: App, name: str, body: Body, app_dir: Path) -> t.Template:
    """The containers of one instance in start order: init containers, sidecars, then the rest."""
    containers = [
        _container(body, key, item, app_dir, f"{name}.containers.{key}") for key, item in body.containers.items()
    ]
    rank = {"init": 0, "sidecar": 1, "main": 2}
    ordered = sorted(containers, key=lambda item: rank[item.role])
    return t.Template(
        containers=ordered, ports=_ports(app, name), labels={**app.metadata.labels, **body.metadata.labels}
    )


@dataclass(frozen=True)
class Release:
    """A snapshot of sources: its name by content, and folder in the snapshot -> folder on this machine."""

    name: str
    folders: Mapping[str, str]


def for_host(
    app: App, name: str, body: Body, app_dir: Path, release: Release | None = None, fixed_ports: bool = False
) -> t.Template:
    """The native process, or without a `host` section the image. What the container section says of env, files, probes
    and limits holds in both.
    """
    if body.host is None:
        return _for_image(app, name, body, app_dir, fixed_ports)
    key, main = main_container(name, body)
    shared = _process(main, app_dir, f"{name}.containers.{key}") if main else {}
    host = body.host
    files = {item.target: item for item in shared.get("files", [])}
    files |= {item.target: item for item in _files(host.files, app_dir, f"{name}.host")}
    process = t.HostProcess(
        **{
            **shared,
            "env": {**shared.get("env", {}), **host.variables},
            "files": list(files.values()),
            "user": host.user,
            "working_dir": _working_dir(host.working_dir or ".", app_dir, release),
            "release": release.name if release else None,
        },
        command=list(host.command),
        packages=list(host.packages),
    )
    return t.Template(process=process, ports=_ports(app, name), labels={**app.metadata.labels, **body.metadata.labels})


def _for_image(app: App, name: str, body: Body, app_dir: Path, fixed_ports: bool) -> t.Template:
    """`fixed_ports`: it runs once and stops first, so that it can have its target ports as they are."""
    key, main = main_container(name, body)
    if main is None or main.image is None:
        raise CapabilityError(
            f"workloads.{name}.host", "is missing, and nothing is built on machines", "add a host: section, or an image"
        )
    security = main.security_context
    run = t.ImageRun(
        digest=main.image,
        command=main.command,
        args=main.args,
        read_only_root=bool(security and security.read_only_root_filesystem),
        run_as_non_root=bool(security and security.run_as_non_root),
        cap_add=list(security.cap_add) if security else [],
        cap_drop=list(security.cap_drop) if security else [],
    )
    process = t.HostProcess(**_process(main, app_dir, f"{name}.containers.{key}"), image=run)
    ports = _ports(app, name)
    if fixed_ports:
        ports = [port.model_copy(update={"fixed": True}) if port.http else port for port in ports]
    return t.Template(process=process, ports=ports, labels={**app.metadata.labels, **body.metadata.labels})


def has_fixed_ports(app: App, name: str, replicas: int) -> bool:
    """Whether an image listens on its own target ports: only where two copies of it never run at once."""
    policy = update_policy(app, name, replicas)
    once = replicas <= 1 and (policy.strategy == "recreate" or policy.order == "stop-first")
    return app.workloads[name].host is None and once


def _working_dir(folder: str, app_dir: Path, release: Release | None) -> str:
    return os.path.normpath(folder) if release else str((app_dir / folder).resolve())


def main_container(name: str, body: Body) -> tuple[str, Container | None]:
    """The container that stands for the workload: the one of its name, else the first that runs on and on."""
    if name in body.containers:
        return name, body.containers[name]
    mains = [key for key, item in body.containers.items() if role(item) == "main"]
    return (mains[0], body.containers[mains[0]]) if mains else ("", None)


def update_policy(app: App, name: str, replicas: int, single_writer_stops_first: bool = True) -> t.UpdatePolicy:
    """The spec's `update` with its defaults filled in.

    start-first becomes stop-first where two copies cannot coexist: a volume with one writer, or a port that the app
    itself holds on the machine.
    """
    body = app.workloads[name]
    update = body.update
    order = update.order
    if order == "start-first" and single_writer_stops_first and _exclusive(app, name):
        order = "stop-first"
    return t.UpdatePolicy(
        strategy="recreate" if update.strategy == "recreate" else "rolling",
        order=order,
        max_parallel=absolute(update.max_parallel, replicas),
        min_healthy_time=update.min_healthy_time,
        healthy_deadline=update.healthy_deadline,
        progress_deadline=update.progress_deadline,
        auto_rollback=update.auto_rollback,
        drain_timeout=update.drain_timeout,
        retain=update.retain,
    )


def absolute(some: int | str, replicas: int) -> int:
    """A count or percentage as a number: a percentage is of the replicas, rounded up, and never less than one."""
    if isinstance(some, int):
        return max(1, some)
    return max(1, -(-replicas * int(some.rstrip("%")) // 100))


def _exclusive(app: App, name: str) -> bool:
    body = app.workloads[name]
    writes = any(not mount.read_only for item in body.containers.values() for mount in item.volumes.values())
    direct = any(not is_http(app, name, port) for port in service_ports(body))
    return writes or direct


def secrets_of(template: t.Template) -> set[str]:
    """Every secret that a template names, in env or in a string."""
    found: set[str] = set()
    processes: list[t.Process] = [*template.containers, *([template.process] if template.process else [])]
    for process in processes:
        found |= set(process.secret_env.values())
        found |= {name for value in process.env.values() for name in names(value)}
        found |= {name for item in process.files if item.content for name in names(item.content)}
    return found


def _container(body: Body, key: str, item: Container, app_dir: Path, path: str) -> t.Container:
    security = item.security_context
    return t.Container(
        **_process(item, app_dir, path),
        name=key,
        image=item.image or "",
        command=item.command,
        args=item.args,
        read_only_root=bool(security and security.read_only_root_filesystem),
        run_as_non_root=bool(security and security.run_as_non_root),
        cap_add=list(security.cap_add) if security else [],
        cap_drop=list(security.cap_drop) if security else [],
        role=role(item),
        after={other: waits.before[key].ready for other, waits in body.containers.items() if key in waits.before},
    )


def role(item: Container) -> Any:
    """A container that others wait to see complete is an init container, another that stands before some a sidecar."""
    states = {condition.ready for condition in item.before.values()}
    return "init" if "complete" in states else "sidecar" if states else "main"


def _process(item: Container, app_dir: Path, path: str) -> dict[str, Any]:
    lifecycle = item.lifecycle
    return {
        "env": dict(item.variables),
        "secret_env": dict(item.secrets),
        "files": _files(item.files, app_dir, path),
        "mounts": [
            t.Mount(
                target=target,
                volume=volume_name(mount.source),
                sub_path=mount.sub_path,
                read_only=bool(mount.read_only),
            )
            for target, mount in item.volumes.items()
        ],
        "limits": _limits(item),
        "user": item.user,
        "working_dir": item.working_dir,
        "liveness": _probe(item.liveness_probe),
        "readiness": _probe(item.readiness_probe),
        "startup": _probe(item.startup_probe),
        "stop_signal": item.stop_signal,
        "stop_grace": item.stop_grace_period,
        "pre_stop": _command(lifecycle.pre_stop) if lifecycle else None,
        "post_start": _command(lifecycle.post_start) if lifecycle else None,
    }


def _command(hook: Hook | None) -> list[str] | None:
    """A hook's command. A sleep needs none: the proxy drains an instance before it is stopped."""
    return list(hook.exec.command) if hook and hook.exec else None


def _limits(item: Container) -> t.Limits:
    limits, requests = item.resources.limits, item.resources.requests
    return t.Limits(
        cpu=limits.cpu if limits else None,
        memory=limits.memory if limits else None,
        gpus=(limits.gpu if limits else None) or (requests.gpu if requests else None),
        cpu_request=requests.cpu if requests else None,
        memory_request=requests.memory if requests else None,
    )


def _probe(probe: Probe | None) -> t.Probe | None:
    if probe is None:
        return None
    http = probe.http_get
    return t.Probe(
        http_get=t.HttpGet(path=http.path, port=http.port, scheme=http.scheme, headers=http.headers) if http else None,
        exec=probe.exec.command if probe.exec else None,
        tcp_port=probe.tcp_socket.port if probe.tcp_socket else None,
        initial_delay=probe.initial_delay_seconds,
        period=probe.period_seconds,
        timeout=probe.timeout_seconds,
        failure_threshold=probe.failure_threshold,
        success_threshold=probe.success_threshold,
    )


def _files(files: Mapping[str, Any], app_dir: Path, path: str) -> list[t.File]:
    return [_file(target, item, app_dir, f"{path}.files.{target}") for target, item in files.items()]


def _file(target: str, item: Any, app_dir: Path, path: str) -> t.File:
    common = {"target": target, "mode": item.mode or "0644", "owner": item.owner}
    if item.source is None:
        content = escape(item.content) if item.content is not None and item.no_expand else item.content
        return t.File(**common, content=content, binary=item.binary_content)
    source = (app_dir / item.source).resolve()
    try:
        raw = source.read_bytes()
    except OSError as error:
        raise SpecError(path, f"cannot read {item.source}: {error.strerror}", "a path from the spec's folder") from None
    return t.File(**common, binary=base64.b64encode(raw).decode())


def _ports(app: App, name: str) -> list[t.Port]:
    body: Workload | None = app.workloads.get(name)
    if body is None:
        return []
    return [
        t.Port(
            name=key,
            port=port.port,
            target=target_of(port),
            protocol=port.protocol,
            http=is_http(app, name, key),
            expose=port.expose,
        )
        for key, port in service_ports(body).items()
    ]


def volume_name(source: str) -> str:
    """`${resources.data}` or `data` -> `data`."""
    return source.removeprefix("${resources.").removesuffix("}")
