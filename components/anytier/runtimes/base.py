"""What every runtime does alike: secrets, order, jobs before and after, and what a stack exports.

A runtime is the table of contents below; the two kinds of place differ only in the methods that are abstract here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import pulumi
from anytier.acme import Acme
from anytier.render.template import Template
from anytier.render.traffic import Traffic, certificate_pairs
from anytier.resources import Resource
from anytier.runtimes.order import before_jobs, jobs_with, workload_order
from anytier.runtimes.secrets import secret_inputs
from anytier.spec import App

PlaceT = TypeVar("PlaceT")


class AppOnPlace(pulumi.ComponentResource, Generic[PlaceT]):
    """Puts `app` on `place`: `put` registers all of it; what it leaves in `made`, by workload, is exported."""

    token: str  # the provider's module, `docker` or `host` or `kubernetes`

    def __init__(
        self,
        name: str,
        *,
        app: App,
        place: PlaceT,
        ns: str,
        app_dir: Path,
        owner: pulumi.Input[str],
        scale: Mapping[str, int],
        rollback: Mapping[str, int],
        secret_config: Callable[[str], str | None],
        acme: Acme | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"anytier:runtime:{type(self).__name__.removesuffix('Runtime')}", name, {}, opts)
        self.place, self.ns, self.app_dir, self.owner = place, ns, app_dir, owner
        self.scale, self.rollback, self.secret_config = scale, rollback, secret_config
        self.app, self.acme = app, acme
        self.made: dict[str, Resource] = {}
        self.put()
        self.exports = self.make_exports()
        self.register_outputs(self.exports)

    @abstractmethod
    def put(self) -> None: ...

    def child_options(self, depends: Iterable[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=list(depends))

    def make_exports(self) -> dict[str, Any]:
        exports: dict[str, Any] = {
            "workloads": {
                name: {"revision": made.output("revision"), "replicas": made.output("replicas")}
                for name, made in self.made.items()
            }
        }
        urls = self.urls()
        if urls:
            exports["url"] = urls[0]
        if len(urls) > 1:
            exports["urls"] = urls
        return exports

    def urls(self) -> list[Any]:
        """The addresses of the app's routes, most general first, as a person would type them; outputs where the place's
        own address is one."""
        place: Any = self.place
        found: dict[tuple[str, ...], Any] = {}
        for route in sorted(self.app.routes, key=lambda item: (item.path, item.host or "")):
            scheme, port, usual = ("https", place.tls_port, 443) if route.tls else ("http", place.port, 80)
            host = route.host or place.address
            parts = (f"{scheme}://", host, f"{'' if port == usual else f':{port}'}{route.path}")
            known = isinstance(host, str)
            found[parts[0], route.host or "", parts[2]] = "".join(parts) if known else pulumi.Output.concat(*parts)
        return list(found.values())


class Runtime(AppOnPlace[PlaceT]):
    """An app behind a proxy of ours: volumes, the proxy, preDeploy jobs, workloads in order, postDeploy jobs."""

    def put(self) -> None:
        self.traffic = self.render_traffic()
        self.config = self.traffic.config.model_copy(update={"acme": self.acme})
        self.secrets = secret_inputs(self.app, self.app_dir, self.secret_config, self.child_options())
        self.prepare()
        self.volumes = {key: self.volume(key) for key, item in self.app.resources.items() if item.type == "volume"}
        self.proxy = self.make_proxy() if self.traffic.config.listeners else None
        self.deploy()

    # the order of things

    def deploy(self) -> None:
        order, needs = workload_order(self.app), before_jobs(self.app)
        early = set().union(*needs.values())
        for name in (name for name in order if name in early):
            self.made[name] = self.workload(name, self._after(name, []))
        jobs = [self.job(job, [self.made[name] for name in sorted(wanted)]) for job, wanted in needs.items()]
        for name in (name for name in order if name not in early):
            self.made[name] = self.workload(name, self._after(name, jobs))
        for job in jobs_with(self.app, "postDeploy"):
            self.job(job, list(self.made.values()))

    def _after(self, name: str, jobs: list[Resource]) -> pulumi.ResourceOptions:
        return self.child_options([*jobs, *(self.made[other] for other in sorted(self.app.workloads[name].depends_on))])

    # what the kinds of place do in their own ways

    @abstractmethod
    def render_traffic(self) -> Traffic: ...

    @abstractmethod
    def prepare(self) -> None: ...

    @abstractmethod
    def volume(self, name: str) -> Resource: ...

    @abstractmethod
    def make_proxy(self) -> Resource: ...

    @abstractmethod
    def workload(self, name: str, opts: pulumi.ResourceOptions) -> Resource: ...

    @abstractmethod
    def job(self, name: str, depends: list[Resource]) -> Resource: ...

    # shared pieces

    def pools_of(self, template: Template, workload: str) -> dict[str, str]:
        return {port.name: f"{workload}/{port.name}" for port in template.ports if port.http}

    def secret_props(self, wanted: Iterable[str]) -> pulumi.Output[Any]:
        """Only the secrets that a workload names: another one's change must not roll it."""
        return pulumi.Output.secret({name: self.secrets[name] for name in sorted(wanted)})

    def certificates(self) -> pulumi.Output[Any] | dict[str, Any]:
        pairs = certificate_pairs(self.app)
        if not pairs:
            return {}
        given = {name: {"certificate": self.secrets[c], "key": self.secrets[k]} for name, (c, k) in pairs.items()}
        return pulumi.Output.secret(given)

    def job_trigger(self, depends: Iterable[Resource]) -> Any:
        """A postDeploy job runs again when a workload before it got a new revision; a preDeploy one when it changes."""
        revisions = [made.output("revision") for made in depends if made in self.made.values()]
        return pulumi.Output.all(*revisions) if revisions else []

    def replicas(self, name: str) -> int:
        scale = self.app.workloads[name].scale
        return self.scale.get(name, 1 if scale.mode == "global" else scale.replicas)
