"""What must be true across fields of one app: references, cycles, sizes that contradict each other. Pure.

Each check is a small generator of findings (path, what, do); `CHECKS` is their order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from anytier.packages import parse
from anytier.spec.container import FileSpec, Hook, Node
from anytier.spec.diagnostic import Finding, Path, dotted
from anytier.spec.model import App, Container, Job, Route, Workload
from anytier.spec.values import MAX_VALUE
from anytier.suggest import did_you_mean

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


# one thing at a time


def _something_runs(app: App) -> Iterator[Finding]:
    if not app.workloads and not app.jobs:
        yield ("workloads",), "there is none", "add at least one workload"
    for path, body in bodies(app):
        if not body.containers and body.host is None:
            yield path, "has neither containers nor host", "say what runs"
    for name in sorted(set(app.workloads) & set(app.jobs)):
        yield ("jobs", name), "a workload has this name too", "rename one of the two"


def _image_or_build(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        yield from _exactly_one(path, item)


def _one_way_each(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for name, probe in (
            ("livenessProbe", item.liveness_probe),
            ("readinessProbe", item.readiness_probe),
            ("startupProbe", item.startup_probe),
        ):
            if probe is not None:
                where = (*path, name)
                yield from _exactly_one(where, probe)
                if probe.timeout_seconds > probe.period_seconds:
                    what = f"{probe.timeout_seconds:g} is longer than periodSeconds ({probe.period_seconds:g})"
                    yield (*where, "timeoutSeconds"), what, "probe less often, or wait less long"
        for name, hook in _hooks(item):
            yield from _exactly_one((*path, "lifecycle", name), hook)
        for index, source in enumerate(item.env_from):
            yield from _exactly_one((*path, "envFrom", index), source)
    for path, file in files(app):
        yield from _exactly_one(path, file)
        if file.no_expand and file.content is None:
            yield (*path, "noExpand"), "has no meaning without content", "leave it out: other files stay as they are"


def _hooks(item: Container) -> Iterator[tuple[str, Hook]]:
    if item.lifecycle is not None:
        for name, hook in (("postStart", item.lifecycle.post_start), ("preStop", item.lifecycle.pre_stop)):
            if hook is not None:
                yield name, hook


def files(app: App) -> Iterator[tuple[Path, FileSpec]]:
    for path, container in containers(app):
        for target, item in container.files.items():
            yield (*path, "files", target), item
    for path, body in bodies(app):
        for target, item in (body.host.files if body.host else {}).items():
            yield (*path, "host", "files", target), item


def _exactly_one(path: Path, item: Node) -> Iterator[Finding]:
    names = item.exactly_one
    given = [name for name in names if getattr(item, _snake(name)) is not None]
    if not given:
        yield path, f"has none of {', '.join(names)}", "give exactly one of them"
    if len(given) > 1:
        yield (*path, given[1]), f"stands beside {given[0]}", f"keep one of {', '.join(given)}"


def _snake(name: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in name)


def _runnable(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        if item.command and not item.command[0]:
            yield (*path, "command", 0), "is empty", "name the program to run"
        security = item.security_context
        if security is not None and security.run_as_non_root and (item.user or "").split(":")[0] in ("0", "root"):
            yield (*path, "user"), "is root, beside runAsNonRoot", "name another user, or drop runAsNonRoot"
        if item.build is not None and _leaves(item.build.dockerfile):
            yield (*path, "build", "dockerfile"), "leaves the context", "a path below the context"
    for path, body in bodies(app):
        if body.host is not None and not body.host.command[0]:
            yield (*path, "host", "command", 0), "is empty", "name the program to run"


def _leaves(path: str) -> bool:
    return path.startswith("/") or ".." in path.split("/")


def _twice(app: App) -> Iterator[Finding]:
    lists: list[tuple[Path, list[str]]] = []
    for path, item in containers(app):
        if item.security_context is not None:
            lists.append(((*path, "securityContext", "capAdd"), item.security_context.cap_add))
            lists.append(((*path, "securityContext", "capDrop"), item.security_context.cap_drop))
        if item.build is not None:
            lists.append(((*path, "build", "platforms"), item.build.platforms))
    for name, body in app.workloads.items():
        if body.placement is not None:
            lists.append((("workloads", name, "placement", "hosts"), body.placement.hosts))
    for where, words in lists:
        for index, word in enumerate(words):
            if word in words[:index]:
                yield (*where, index), "stands here twice", "keep one of the two"


def _packages(app: App) -> Iterator[Finding]:
    """All that an app needs is installed together, and a machine has one version of a package."""
    first: dict[str, tuple[Path, str]] = {}
    for path, body in bodies(app):
        seen: set[str] = set()
        for index, text in enumerate(body.host.packages if body.host else ()):
            asked, where = parse(text), (*path, "host", "packages", index)
            if asked.name in seen:
                yield where, f"{asked.name} stands here twice", "keep one of the two"
            seen.add(asked.name)
            if asked.version is None:
                continue
            other, version = first.setdefault(asked.name, (where, asked.version))
            if version != asked.version and other[:-1] != where[:-1]:
                what = f"asks for {asked}, and {dotted(other)} for {asked.name}={version}"
                yield where, what, "ask for the same version: a machine has one of a package"


# sizes


def _limits(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        limits, requests = item.resources.limits, item.resources.requests
        if limits is None or requests is None:
            continue
        for name in ("cpu", "memory", "gpu", "ephemeralStorage"):
            most, least = getattr(limits, _snake(name)), getattr(requests, _snake(name))
            if most is not None and least is not None and most < least:
                where = (*path, "resources", "limits", name)
                yield where, "is below the request", "raise the limit, or lower the request"


def _environment(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for env in item.secrets.keys() & item.variables.keys():
            yield (*path, "secrets", env), "is a variable too", "keep one of the two"
        yield from _too_long((*path, "variables"), item.variables)
    for path, body in bodies(app):
        if body.host is not None:
            yield from _too_long((*path, "host", "variables"), body.host.variables)


def _too_long(path: Path, variables: Mapping[str, str]) -> Iterator[Finding]:
    """The kernel counts `KEY=value` and the NUL behind it."""
    for key, value in variables.items():
        if len(value) > MAX_VALUE // 8 and len(f"{key}={value}".encode()) + 1 > MAX_VALUE:
            yield (*path, key), "is longer than 128 KiB together with its name", "put it into a file (`files`)"


def _scale(app: App) -> Iterator[Finding]:
    for name, body in app.workloads.items():
        scale, where = body.scale, ("workloads", name, "scale")
        low, high = scale.min, scale.max
        if low is not None and high is not None and low > high:
            yield (*where, "min"), f"{low} is above max ({high})", "swap the two"
        elif "replicas" in scale.model_fields_set:
            if low is not None and scale.replicas < low:
                yield (*where, "replicas"), f"{scale.replicas} is below min ({low})", "leave it out, or lower min"
            if high is not None and scale.replicas > high:
                yield (*where, "replicas"), f"{scale.replicas} is above max ({high})", "leave it out, or raise max"
        if scale.metrics and high is None:
            yield (*where, "metrics"), "has no max to scale to", "add max (and min)"
        if scale.mode == "global" and scale.model_fields_set & {"replicas", "min", "max", "metrics"}:
            yield (*where, "mode"), "global is one on every machine, so a number has no meaning", "keep one of the two"
        for index, metric in enumerate(scale.metrics):
            yield from _exactly_one((*where, "metrics", index), metric)


def _update(app: App) -> Iterator[Finding]:
    for name, body in app.workloads.items():
        update, where = body.update, ("workloads", name, "update")
        if update.canary is not None and update.strategy != "canary":
            yield (*where, "canary"), "needs strategy canary", "set `strategy: canary`, or leave it out"
        if update.strategy == "canary" and update.canary is None:
            yield (*where, "strategy"), "canary does not say how many come first", "add canary: 1"
        if update.auto_promote and update.strategy not in ("canary", "bluegreen"):
            yield (*where, "autoPromote"), "needs strategy canary or bluegreen", "leave it out"
        if update.healthy_deadline > update.progress_deadline:
            what = f"{update.healthy_deadline:g} s is longer than progressDeadline ({update.progress_deadline:g} s)"
            yield (*where, "healthyDeadline"), what, "raise progressDeadline above it"
        if update.min_healthy_time >= update.healthy_deadline:
            what = f"{update.min_healthy_time:g} s cannot pass within healthyDeadline ({update.healthy_deadline:g} s)"
            yield (*where, "minHealthyTime"), what, "lower it, or raise healthyDeadline"


def _jobs(app: App) -> Iterator[Finding]:
    for name, job in app.jobs.items():
        where = ("jobs", name)
        if job.trigger == "schedule" and job.schedule is None:
            yield (*where, "trigger"), "schedule has no schedule", 'add schedule: "0 3 * * *"'
        if job.trigger != "schedule" and job.schedule is not None:
            yield (*where, "schedule"), f"has no meaning with trigger {job.trigger}", "set `trigger: schedule`"
        if job.trigger != "schedule":
            for field in ("timeZone", "concurrencyPolicy"):
                if _snake(field) in job.model_fields_set:
                    yield (*where, field), "has no meaning without a schedule", "leave it out"
        if job.depends_on and job.trigger != "preDeploy":
            yield (*where, "dependsOn"), "only a preDeploy job can wait for workloads", "leave it out"
        if job.timeout <= 0:
            yield (*where, "timeout"), "is no time at all", "give it some, such as 10m"


def _targets(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        seen: dict[str, str] = {}
        for kind, targets in (("volumes", item.volumes), ("files", item.files)):
            for target in targets:
                plain = "/" + "/".join(step for step in target.split("/") if step)
                first = seen.setdefault(plain, f"{kind}.{target}")
                if first != f"{kind}.{target}":
                    yield (*path, kind, target), f"is the same place as {first}", "choose another path"


# references


def _dependencies(app: App) -> Iterator[Finding]:
    for path, body in bodies(app):
        for other in body.depends_on:
            if path == ("workloads", other):
                yield (*path, "dependsOn", other), "is the workload itself", "leave it out"
            else:
                yield from _known((*path, "dependsOn", other), other, app.workloads, "workload")
        for name, container in body.containers.items():
            others = [other for other in body.containers if other != name]
            for other in container.before:
                yield from _known((*path, "containers", name, "before", other), other, others, "other container")


def _secret_references(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for env, secret in item.secrets.items():
            yield from _known_secret((*path, "secrets", env), secret, app)


def _known_secret(path: Path, name: str, app: App) -> Iterator[Finding]:
    """A name that is not there is not repeated: it may be the secret itself."""
    if name not in app.secrets:
        near = did_you_mean(name, app.secrets)
        yield path, f"names no secret of this app{near}", "add it to `secrets`, by name"


def _volumes(app: App) -> Iterator[Finding]:
    for path, item in containers(app):
        for target, mount in item.volumes.items():
            name, where = volume_name(mount.source), (*path, "volumes", target, "source")
            if name not in app.resources and mount.source == f"${{resources.{name}}}":
                continue  # told as a placeholder
            if name not in app.resources:
                near = did_you_mean(name, app.resources)
                yield where, f"names no resource{near}", f"add `resources: {{{name[:63]}: {{type: volume}}}}`"
            elif app.resources[name].type != "volume":
                yield where, f"resource {name} is of type {app.resources[name].type}", "name one of type volume"


def volume_name(source: str) -> str:
    """`${resources.data}` or `data` -> `data`."""
    return source.removeprefix("${resources.").removesuffix("}")


def _routes(app: App) -> Iterator[Finding]:
    seen: dict[tuple[str | None, str], int] = {}
    for index, route in enumerate(app.routes):
        where = ("routes", index)
        first = seen.setdefault((route.host, route.path.rstrip("/")), index)
        if first != index:
            yield where, f"has the same host and path as routes[{first}]", "keep one of the two"
        yield from _route(where, route, app)


def _route(path: Path, route: Route, app: App) -> Iterator[Finding]:
    body = app.workloads.get(route.workload)
    if body is None:
        yield from _known((*path, "workload"), route.workload, app.workloads, "workload")
    else:
        ports = body.service.ports if body.service else {}
        found = ports.get(str(route.port)) or next((p for p in ports.values() if p.port == route.port), None)
        if found is None:
            known = [*ports, *(str(port.port) for port in ports.values())]
            yield from _known((*path, "port"), str(route.port), known, f"port of {route.workload}")
        elif found.protocol == "UDP":
            yield (*path, "port"), "is UDP", "a route needs an HTTP port"
    if route.strip_prefix and route.path == "/":
        yield (*path, "stripPrefix"), "there is no prefix to take off", "leave it out, or set path"
    if route.tls is not None:
        yield from _tls((*path, "tls"), route, app)


def _tls(path: Path, route: Route, app: App) -> Iterator[Finding]:
    tls = route.tls
    if tls is None:
        return
    if tls.secret_ref is not None:
        for field, name in (("certificate", tls.secret_ref.certificate), ("key", tls.secret_ref.key)):
            yield from _known_secret((*path, "secretRef", field), name, app)
        if tls.auto:
            yield (*path, "auto"), "stands beside secretRef", "keep one of the two"
    elif tls.auto is False:
        yield (*path, "auto"), "leaves no certificate", "set auto: true, or add secretRef"
    elif tls.auto and route.host is None:
        yield (*path, "auto"), "needs a host name for its certificate", "set the route's host"


def _known(path: Path, name: str, known: Collection[str], kind: str) -> Iterator[Finding]:
    if name not in known:
        there = list(dict.fromkeys(known))
        do = f"one of {', '.join(there[:20])}" if there else f"there is no {kind} yet: add it"
        yield path, f"there is no {kind} {name!r}{did_you_mean(name, there)}", do


# clashes


def _ports(app: App) -> Iterator[Finding]:
    on_machine: dict[tuple[int, str], str] = {}
    for name, body in app.workloads.items():
        own: dict[tuple[int, str], str] = {}
        for key, port in (body.service.ports if body.service else {}).items():
            where = ("workloads", name, "service", "ports", key, "port")
            number = (port.port, port.protocol)
            first = own.setdefault(number, key)
            if first != key:
                yield where, f"{port.port} is the number of port {first} too", "choose another"
            elif port.expose != "internal":
                holder = on_machine.setdefault(number, f"{name}.{key}")
                if holder != f"{name}.{key}":
                    what = f"{port.port} is exposed by {holder} too, and a machine has it once"
                    yield where, what, "choose another number, or use routes"


def _cycles(app: App) -> Iterator[Finding]:
    for cycle in find_cycles({name: list(body.depends_on) for name, body in app.workloads.items()}):
        path: Path = ("workloads", cycle[0], "dependsOn", cycle[1])
        yield path, f"goes in a circle: {' -> '.join([*cycle, cycle[0]])}", "take one of these dependencies out"
    for path, body in bodies(app):
        for cycle in find_cycles({name: list(item.before) for name, item in body.containers.items()}):
            where = (*path, "containers", cycle[0], "before", cycle[1 % len(cycle)])
            yield where, f"goes in a circle: {' -> '.join([*cycle, cycle[0]])}", "take one of these out"


def find_cycles(graph: Mapping[str, list[str]]) -> list[list[str]]:
    """One cycle for each knot, found without recursion: a thousand workloads in a row are fine."""
    done: set[str] = set()
    cycles: list[list[str]] = []
    for root in graph:
        if root not in done:
            _visit(graph, root, done, cycles)
    return [cycle for cycle in cycles if len(cycle) > 1]  # a workload that names itself is told elsewhere


def _visit(graph: Mapping[str, list[str]], root: str, done: set[str], cycles: list[list[str]]) -> None:
    trail: dict[str, Iterator[str]] = {root: iter(graph[root])}
    while trail:
        name = next(reversed(trail))
        step = next((other for other in trail[name] if other in graph and other not in done), None)
        if step is None:
            done.add(name)
            del trail[name]
        elif step in trail:
            names = list(trail)
            cycles.append(names[names.index(step) :])
        else:
            trail[step] = iter(graph[step])


def _secrets(app: App) -> Iterator[Finding]:
    for name, secret in app.secrets.items():
        where, takes = ("secrets", name), _TAKES[secret.from_]
        for field in sorted(secret.model_fields_set - {"from_"} - set(takes)):
            yield (*where, field), f"has no meaning with from: {secret.from_}", "leave it out"
        for field in _NEEDS.get(secret.from_, ()):
            if getattr(secret, field) is None:
                yield where, f"has no {field}, which from: {secret.from_} needs", f"add {field}"


_TAKES: dict[str, tuple[str, ...]] = {
    "config": ("key",),
    "env": ("key",),
    "file": ("path",),
    "command": ("command", "timeout"),
    "generate": ("length", "charset"),
    "aws-sm": ("id", "key", "region"),
    "gcp-sm": ("id", "version", "project"),
    "azure-kv": ("id", "version", "vault"),
}
_NEEDS: dict[str, tuple[str, ...]] = {
    "file": ("path",),
    "command": ("command",),
    "aws-sm": ("id",),
    "gcp-sm": ("id",),
    "azure-kv": ("id", "vault"),
}


_OBJECT = "a Kubernetes object has apiVersion, kind and metadata.name"


def _objects(app: App) -> Iterator[Finding]:
    for index, item in enumerate(app.objects):
        for field in ("apiVersion", "kind"):
            if not isinstance(item.get(field), str):
                yield ("objects", index), f"has no {field}", _OBJECT
        metadata = item.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
            yield ("objects", index), "has no metadata.name", _OBJECT


CHECKS = (
    _something_runs,
    _image_or_build,
    _one_way_each,
    _runnable,
    _twice,
    _packages,
    _limits,
    _environment,
    _scale,
    _update,
    _jobs,
    _targets,
    _dependencies,
    _secret_references,
    _volumes,
    _routes,
    _ports,
    _cycles,
    _secrets,
    _objects,
)
