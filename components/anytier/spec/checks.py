"""What must be true across fields of one app: references, cycles, sizes that contradict each other. Pure.

Each check is a small generator of findings (path, what, do); `CHECKS` is their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anytier.spec.diagnostic import Path
from anytier.spec.model import App, Container, Job, Workload
from anytier.suggest import did_you_mean

Finding = tuple[Path, str, str]
Body = Workload | Job


def findings(app: App) -> list[Finding]:
    """Everything that is wrong, in the order of the checks."""
    return [found for check in CHECKS for found in check(app)]


def bodies(app: App) -> Iterator[tuple[Path, Body]]:
    for name, workload in app.workloads.items():
        yield ("workloads", name), workload
    for name, job in app.jobs.items():
        yield ("jobs", name), job


def containers(app: App) -> Iterator[tuple[Path, Container]]:
    for path, body in bodies(app):
        for name, container in body.containers.items():
            yield (*path, "containers", name), container


def _nothing_to_run(app: App) -> Iterator[Finding]:
    if not app.workloads:
        yield ("workloads",), "there is none", "add at least one workload"
    for path, body in bodies(app):
        if not body.containers and body.host is None:
            yield path, "has neither containers nor host", "say what runs"
    both = set(app.workloads) & set(app.jobs)
    for name in sorted(both):
        yield ("jobs", name), "a workload has this name too", "rename one of the two"


def _image_or_build(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        if item.image is None and item.build is None:
            yield path, "has neither image nor build", "give one of the two"
        if item.image not in (None, ".") and item.build is not None:
            yield (*path, "build"), "stands beside image", "keep one of the two"


def _one_of(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for name in ("liveness_probe", "readiness_probe", "startup_probe"):
            probe = getattr(item, name)
            if probe is None:
                continue
            kinds = [k for k in ("http_get", "exec", "tcp_socket", "grpc") if getattr(probe, k) is not None]
            where = (*path, _camel(name))
            if len(kinds) != 1:
                yield where, f"has {len(kinds)} ways to probe", "give exactly one of httpGet, exec, tcpSocket, grpc"
            if probe.timeout_seconds > probe.period_seconds:
                yield (*where, "timeoutSeconds"), "is longer than periodSeconds", "probe less often, or wait less long"
    for path, files in _file_maps(app):
        for target, item in files.items():
            given = [v for v in (item.content, item.source, item.binary_content) if v is not None]
            if len(given) != 1:
                yield (*path, target), f"has {len(given)} sources", "give exactly one of content, source, binaryContent"
            if item.binary_content is not None and not _is_base64(item.binary_content):
                yield (*path, target, "binaryContent"), "is not base64", "encode the bytes with base64"


def _file_maps(app: App) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for path, item in containers(app):
        yield (*path, "files"), item.files
    for path, body in bodies(app):
        if body.host:
            yield (*path, "host", "files"), body.host.files


def _is_base64(text: str) -> bool:
    import base64
    import binascii

    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _sizes(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        limits, requests = item.resources.limits, item.resources.requests
        for kind in ("cpu", "memory", "ephemeral_storage"):
            most, least = getattr(limits, kind, None), getattr(requests, kind, None)
            if most is not None and least is not None and most < least:
                yield (*path, "resources", "limits", _camel(kind)), "is below the request", "raise the limit"
    for name, body in app.workloads.items():
        scale, where = body.scale, ("workloads", name, "scale")
        if scale.min is not None and scale.max is not None and scale.min > scale.max:
            yield (*where, "min"), "is above max", "swap the two"
        if scale.min is not None and "replicas" in scale.model_fields_set and scale.replicas < scale.min:
            yield (*where, "replicas"), "is below min", "leave replicas out where metrics scale"
        if scale.max is not None and scale.replicas > scale.max:
            yield (*where, "replicas"), "is above max", "leave replicas out where metrics scale"
        if scale.mode == "global" and "replicas" in scale.model_fields_set:
            yield (*where, "replicas"), "has no meaning with mode global", "leave one of the two out"
        update = body.update
        if update.canary is not None and update.strategy != "canary":
            yield ("workloads", name, "update", "canary"), "needs strategy canary", "set update.strategy to canary"


def _paths_twice(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for target in item.volumes:
            if target.rstrip("/") in {other.rstrip("/") for other in item.files}:
                yield (*path, "files", target), "is a volume's path too", "choose another path"


def _references(app: App) -> Iterator[Finding]:
    for name, body in app.workloads.items():
        yield from _known(("workloads", name, "dependsOn"), body.depends_on, app.workloads, "workload")
    for name, job in app.jobs.items():
        yield from _known(("jobs", name, "dependsOn"), job.depends_on, app.workloads, "workload")
        if job.depends_on and job.trigger != "preDeploy":
            yield ("jobs", name, "dependsOn"), "only a preDeploy job can wait", "leave it out"
        if job.trigger == "schedule" and not job.schedule:
            yield ("jobs", name, "schedule"), "is missing", "give a cron expression"
        if job.schedule and job.trigger != "schedule":
            yield ("jobs", name, "schedule"), f"has no meaning with trigger {job.trigger}", "set trigger to schedule"
        if job.schedule and len(job.schedule.split()) != 5 and not job.schedule.startswith("@"):
            yield ("jobs", name, "schedule"), "is not a cron expression", "write five fields, such as 0 3 * * *"
    for path, body in bodies(app):
        for key, item in body.containers.items():
            others = [other for other in body.containers if other != key]
            yield from _known((*path, "containers", key, "before"), item.before, others, "container")
    for path, item in containers(app):
        for env, secret in item.secrets.items():
            yield from _known((*path, "secrets", env), [secret], app.secrets, "secret", at_value=True)
            if env in item.variables:
                yield (*path, "secrets", env), "is a variable too", "keep one of the two"
        for target, mount in item.volumes.items():
            yield from _volume((*path, "volumes", target, "source"), volume_name(mount.source), app)
    for index, route in enumerate(app.routes):
        yield from _route(("routes", index), route, app)


def volume_name(source: str) -> str:
    """`${resources.data}` or `data` -> `data`."""
    if source.startswith("${resources.") and source.endswith("}"):
        return source[len("${resources.") : -1]
    return source


def _volume(path: Path, name: str, app: App) -> Iterator[Finding]:
    if name not in app.resources:
        yield (
            path,
            f"there is no resource {name!r}{did_you_mean(name, app.resources)}",
            f"add resources.{name}: {{type: volume}}",
        )
    elif app.resources[name].type != "volume":
        yield path, f"resource {name!r} is a {app.resources[name].type}", "name one of type volume"


def _route(path: Path, route: Any, app: App) -> Iterator[Finding]:
    if route.workload not in app.workloads:
        yield from _known((*path, "workload"), [route.workload], app.workloads, "workload", at_value=True)
    else:
        service = app.workloads[route.workload].service
        ports = service.ports if service else {}
        known = [*ports, *(str(port.port) for port in ports.values())]
        yield from _known((*path, "port"), [route.port], known, "port", at_value=True)
        found = ports.get(route.port)
        if found and found.protocol == "UDP":
            yield (*path, "port"), "is UDP", "a route needs an HTTP port"
    if route.tls and route.tls.secret_ref:
        yield from _known((*path, "tls", "secretRef"), [route.tls.secret_ref], app.secrets, "secret", at_value=True)
    if route.tls and route.tls.auto and not route.host and not route.tls.secret_ref:
        yield (*path, "tls"), "needs a host name for its certificate", "set host"


def _known(
    path: Path, names: Iterable[str], known: Iterable[str], kind: str, at_value: bool = False
) -> Iterator[Finding]:
    there = list(known)
    for name in names:
        if name not in there:
            where = path if at_value else (*path, name)
            do = f"one of {', '.join(there)}" if there else f"add the {kind}"
            yield where, f"there is no {kind} {name!r}{did_you_mean(name, there)}", do


def _routes_twice(app: App) -> Iterator[Finding]:
    seen: dict[tuple[str | None, str], int] = {}
    for index, route in enumerate(app.routes):
        first = seen.setdefault((route.host, route.path), index)
        if first != index:
            yield ("routes", index), f"has the same host and path as routes[{first}]", "keep one of the two"


def _ports_twice(app: App) -> Iterator[Finding]:
    for name, body in app.workloads.items():
        seen: dict[tuple[int, str], str] = {}
        for key, port in (body.service.ports if body.service else {}).items():
            first = seen.setdefault((port.port, port.protocol), key)
            if first != key:
                yield (
                    ("workloads", name, "service", "ports", key, "port"),
                    f"is port {first}'s number too",
                    "choose another",
                )


def _cycles(app: App) -> Iterator[Finding]:
    graph = {name: list(body.depends_on) for name, body in app.workloads.items()}
    for cycle in find_cycles(graph):
        yield ("workloads", cycle[0], "dependsOn"), f"goes in a circle: {' -> '.join([*cycle, cycle[0]])}", "break it"
    for path, body in bodies(app):
        for cycle in find_cycles({name: list(item.before) for name, item in body.containers.items()}):
            where = (*path, "containers", cycle[0], "before")
            yield where, f"goes in a circle: {' -> '.join([*cycle, cycle[0]])}", "break it"


def find_cycles(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """One cycle for each knot, found without recursion: a thousand workloads in a row are fine."""
    state: dict[str, int] = {}
    cycles: list[list[str]] = []
    for root in graph:
        stack: list[tuple[str, Iterator[str]]] = [(root, iter(graph[root]))] if root not in state else []
        if stack:
            state[root] = 1
        while stack:
            name, below = stack[-1]
            step = next((item for item in below if item in graph and state.get(item) != 2), None)
            if step is None:
                state[name] = 2
                stack.pop()
            elif state.get(step) == 1:
                trail = [item for item, _ in stack]
                cycles.append(trail[trail.index(step) :])
            else:
                state[step] = 1
                stack.append((step, iter(graph[step])))
    return cycles


def _secrets(app: App) -> Iterator[Finding]:
    needs = {"file": ("path", "path"), "command": ("command", "command")}
    for name, secret in app.secrets.items():
        if secret.from_ in needs:
            attribute, key = needs[secret.from_]
            if not getattr(secret, attribute):
                yield ("secrets", name, key), f"is missing for from: {secret.from_}", f"give {key}"


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.title() for part in tail)


CHECKS = (
    _nothing_to_run,
    _image_or_build,
    _one_of,
    _sizes,
    _paths_twice,
    _references,
    _routes_twice,
    _ports_twice,
    _cycles,
    _secrets,
)
