"""All objects of an app in their order: the namespace, what is needed, workloads by what they wait for, the router."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from anytier.errors import ConfigError, SpecError
from anytier.render.kubernetes.config import kept
from anytier.render.kubernetes.finish import sealed
from anytier.render.kubernetes.identity import role_of
from anytier.render.kubernetes.jobs import job
from anytier.render.kubernetes.names import app_labels, named, unique
from anytier.render.kubernetes.passed import passed
from anytier.render.kubernetes.pod import Pod
from anytier.render.kubernetes.policy import DEFAULT, OUTWARD, policies
from anytier.render.kubernetes.router import PROXY, router
from anytier.render.kubernetes.routes import by_the_cluster, way_of
from anytier.render.kubernetes.scope import NAMESPACE, Scope, scope_of
from anytier.render.kubernetes.security import level
from anytier.render.kubernetes.service import inside, instances, outside
from anytier.render.kubernetes.storage import claim
from anytier.render.kubernetes.target import Json, Rendered, Target
from anytier.render.kubernetes.workload import account, autoscaler, budget, numbered, running, writers
from anytier.render.order import before_jobs, jobs_with, workload_order
from anytier.spec import App


def objects(app: App, target: Target, folder: Path) -> list[Rendered]:
    scope = scope_of(app, target, folder)
    for name in target.scale:
        if name not in app.workloads:
            raise ConfigError(
                f"anytier:scale.{name}", "there is no such workload", f"one of {', '.join(app.workloads)}"
            )
    made = list(_Whole(scope).all())
    unique(item.key for item in made)
    _told_apart(made)
    return [_sealed(item) for item in made]


def _told_apart(made: Iterable[Rendered]) -> None:
    """SpecError where a workload's Service is called as another one: what is reached from outside has a longer name."""
    seen: dict[str, str] = {}
    for item in made:
        if item.object["kind"] == "Service" and not item.key.startswith("object/"):
            name, whose = item.object["metadata"]["name"], item.key.partition(".")[0]
            other = seen.setdefault(name, whose)
            if other != whose:
                mine, theirs = (other, whose) if item.key == "router/service" else (whose, other)
                what = f"its Service would be called {name}, and so is that of {theirs.removesuffix('/service')}"
                raise SpecError(f"workloads.{mine}", what, "choose another name")


def _sealed(item: Rendered) -> Rendered:
    return replace(item, object=sealed(item.object))


class _Whole:
    """`before`: what everything that runs waits for. `revisions`: workload -> the hash of its template."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.way = way_of(scope)
        self.revisions: dict[str, str] = {}

    def all(self) -> Iterator[Rendered]:
        app = self.scope.app
        raw = passed(self.scope)
        yield from (item for item in raw if not item.after)
        yield Rendered(NAMESPACE, _namespace(self.scope))
        yield from (item for item in raw if item.after)
        rules = policies(self.scope, self.way)
        yield from rules
        self.rules = {item.key for item in rules}
        self.base = (NAMESPACE, DEFAULT, OUTWARD, *(item.key for item in raw))
        held = writers(self.scope)
        for name in (name for name, item in app.resources.items() if item.type == "volume"):
            yield Rendered(f"volume/{name}", claim(self.scope, name), (NAMESPACE,), writers=held.get(name, {}))
        order, needs = workload_order(app), before_jobs(app)
        early = set().union(*needs.values())
        for name in (name for name in order if name in early):
            yield from self.workload(name, ())
        for name, wanted in needs.items():
            yield from self.job(name, sorted(wanted))
        jobs = [f"job/{name}" for name in needs]
        for name in (name for name in order if name not in early):
            yield from self.workload(name, jobs)
        yield from by_the_cluster(self.scope, self.way)
        last = list(order)
        if app.routes and self.way == "router":
            routed = list(dict.fromkeys(route.workload for route in app.routes))
            yield from router(self.scope, [*routed, "router/policy"])
            last.append(PROXY)
        for name in app.jobs:
            if name not in needs:
                late = last if app.jobs[name].trigger == "postDeploy" else jobs
                yield from self.job(name, late)
        assert set(jobs_with(app, "preDeploy")) == set(needs)

    def workload(self, name: str, jobs: Iterable[str]) -> Iterator[Rendered]:
        scope, start = self.scope, (NAMESPACE,)
        made = running(scope, name)
        self.revisions[name] = made.hash
        yield Rendered(f"{name}.account", account(scope, "workload", name), start)
        parts = [f"{name}.account", *(f"{name}{end}" for end, _ in made.pod.config)]
        for end, item in made.pod.config:
            yield Rendered(f"{name}{end}", item, start, kept=True)
        services = {
            "service": inside(scope, name),
            "instances": instances(scope, name) if numbered(scope, name) else None,
            "exposed": outside(scope, name, self.taken()),
        }
        for end, found in services.items():
            if found is not None:
                yield Rendered(f"{name}.{end}", found, start)
                parts.append(f"{name}.{end}")
        waits = [*self.needs(name, f"{name}.policy", parts, made.pod), *jobs]
        waits += sorted(scope.app.workloads[name].depends_on)
        role = role_of(scope, "workload", name)
        yield Rendered(name, made.object, tuple(dict.fromkeys(waits)), "rollout", made.update, role=role)
        if (scaler := autoscaler(scope, name)) is not None:
            # Not after the rollout, which may fail: nobody else decides how many there are.
            yield Rendered(f"{name}.scaler", scaler, start, on=name)
        if (least := budget(scope, name)) is not None:
            yield Rendered(f"{name}.budget", least, start)

    def job(self, name: str, after: Iterable[str]) -> Iterator[Rendered]:
        scope, start = self.scope, (NAMESPACE,)
        trigger = scope.app.jobs[name].trigger
        runs = kept(scope, "job", name)
        item, pod = job(scope, name, self.revisions.values() if trigger == "postDeploy" else ())
        yield Rendered(f"job/{name}.account", account(scope, "job", name), start)
        for end, held in pod.config:
            yield Rendered(f"job/{name}{end}", held, start, kept=runs)
        parts = [f"job/{name}.account", *(f"job/{name}{end}" for end, _ in pod.config)]
        waits = [*self.needs(name, f"job/{name}.policy", parts, pod), *after]
        yield Rendered(f"job/{name}", item, tuple(dict.fromkeys(waits)), "job" if runs else None)

    def needs(self, name: str, policy: str, parts: list[str], pod: Pod) -> list[str]:
        rule = [policy] if policy in self.rules else []
        return [*self.base, *rule, *parts, *(f"volume/{key}" for key in pod.claims)]

    def taken(self) -> frozenset[int]:
        """The numbers on which the routes are reached."""
        target = self.scope.target
        # A controller has them on the same addresses, whether this app has routes or not.
        entered = self.way == "ingress" and target.addresses and "load-balancer" not in target.offers
        routed = self.scope.app.routes and self.way == "router"
        return frozenset((target.port, target.tls_port)) if entered or routed else frozenset()


def _namespace(scope: Scope) -> Json:
    enforced = level(scope.app)
    security = {
        f"pod-security.kubernetes.io/{mode}{end}": value
        for mode in ("enforce", "warn", "audit")
        for end, value in (("", enforced), ("-version", f"v{scope.target.version}"))
    }
    marks = {**scope.app.metadata.labels, **app_labels(scope.app.metadata.name), **security}
    return named("v1", "Namespace", scope.namespace, None, marks, annotations=scope.app.metadata.annotations)
