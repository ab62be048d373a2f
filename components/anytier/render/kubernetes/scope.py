"""What all modules here look at: the app with its placeholders resolved, who refers to whom, and the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anytier.errors import ConfigError, SpecError
from anytier.render.kubernetes.names import ROUTER, app_labels, labels, named, service_name
from anytier.render.kubernetes.names import Kind as Part
from anytier.render.kubernetes.target import Json, Target
from anytier.render.traffic import service_ports
from anytier.spec import App, Workload
from anytier.spec.model import Job
from anytier.spec.placeholders import references, resolve

NAMESPACE = "app/namespace"
_MAX_NAME = 63


@dataclass(frozen=True)
class Scope:
    """`app` is resolved. What refers to what is seen in what was written: `edges` says who calls a workload, `named`
    of which workloads somebody says the host."""

    app: App
    target: Target
    folder: Path
    edges: Mapping[str, frozenset[tuple[Part, str]]]
    named: frozenset[str]

    @property
    def namespace(self) -> str:
        return self.target.namespace

    def part_labels(self, part: Part, name: str) -> dict[str, str]:
        """Labels of what belongs to a workload or job, the user's among them."""
        body = self.body(part, name)
        return labels(self.app.metadata.name, part, name, {**self.app.metadata.labels, **body.metadata.labels})

    def annotations(self, part: Part, name: str) -> dict[str, str]:
        return {**self.app.metadata.annotations, **self.body(part, name).metadata.annotations}

    def body(self, part: Part, name: str) -> Workload | Job:
        return self.app.workloads[name] if part == "workload" else self.app.jobs[name]

    def of_part(self, api: str, kind: str, called: str, part: Part, name: str, **more: Any) -> Json:
        """An object that belongs to a workload or a job."""
        marks = self.part_labels(part, name)
        return named(api, kind, called, self.namespace, marks, annotations=self.annotations(part, name), **more)

    def of_app(self, api: str, kind: str, called: str, **more: Any) -> Json:
        marks = {**self.app.metadata.labels, **app_labels(self.app.metadata.name)}
        return named(api, kind, called, self.namespace, marks, annotations=self.app.metadata.annotations, **more)

    def of_router(self, api: str, kind: str, called: str, **more: Any) -> Json:
        marks = labels(self.app.metadata.name, "router", ROUTER, self.app.metadata.labels)
        return named(api, kind, called, self.namespace, marks, annotations=self.app.metadata.annotations, **more)


def scope_of(app: App, target: Target, folder: Path) -> Scope:
    """ConfigError for a namespace that no cluster takes; SpecError for a workload that is called like the router."""
    if len(target.namespace) > _MAX_NAME:
        what = f"the namespace {target.namespace[:40]}... has {len(target.namespace)} characters"
        raise ConfigError("metadata.name", what, f"shorten the app's or the stack's name: it has at most {_MAX_NAME}")
    if ROUTER in app.workloads or ROUTER in app.jobs:
        path = f"{'workloads' if ROUTER in app.workloads else 'jobs'}.{ROUTER}"
        raise SpecError(path, "is the name of the app's own router", "choose another name")
    hosts = (
        ref.parts[1] for _, ref in references(app) if ref.parts[:1] == ("workloads",) and ref.parts[2:] == ("host",)
    )
    return Scope(resolve(app, context(app, target)), target, folder, edges_of(app), frozenset(hosts))


def context(app: App, target: Target) -> dict[str, str]:
    """What placeholders mean here: a workload's host is its Service, ports are the spec's, a volume is its claim.

    The Service's whole name: who asks the cluster's DNS by itself, as nginx does, knows nothing of search domains.
    """
    inside = f"{target.namespace}.svc.{target.dns_domain}"
    found = {f"resources.{name}": name for name in app.resources}
    for name, body in app.workloads.items():
        found[f"workloads.{name}.host"] = f"{service_name(name)}.{inside}"
        for key, port in service_ports(body).items():
            found[f"workloads.{name}.ports.{key}"] = str(port.port)
    return found


def edges_of(app: App) -> dict[str, frozenset[tuple[Part, str]]]:
    """Workload -> who talks to it: all that depend on it, and all that name its host or a port of it."""
    found: dict[str, set[tuple[Part, str]]] = {name: set() for name in app.workloads}
    for name, body in app.workloads.items():
        for other in body.depends_on:
            found[other].add(("workload", name))
    for name, job in app.jobs.items():
        for other in job.depends_on:
            found[other].add(("job", name))
    for path, ref in references(app):
        if ref.parts[:1] == ("workloads",) and path[0] in ("workloads", "jobs"):
            part: Part = "workload" if path[0] == "workloads" else "job"
            found[ref.parts[1]].add((part, str(path[1])))
    return {name: frozenset(callers) for name, callers in found.items()}
