"""The host runtime: an app as supervised processes, directories and a proxy on machines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pulumi
from anytier.render.context import context_hash
from anytier.render.packages import packages_of
from anytier.render.template import Template
from anytier.render.traffic import Traffic, internal_ports, on_hosts
from anytier.render.workload import Release, for_host, has_fixed_ports, secrets_of, update_policy
from anytier.resources import Resource
from anytier.runtimes import machines
from anytier.runtimes.base import Runtime
from anytier.runtimes.images import Images, refuse_taken_ports
from anytier.spec.placeholders import resolve
from anytier.tiers.places import HostMachine, Hosts


class HostRuntime(Runtime[Hosts]):
    """Puts an app on a machine or on several. With one, what it registers says nothing of machines."""

    token = "host"

    @property
    def root(self) -> str:
        return str(PurePosixPath(self.place.state_dir) / self.ns)

    def render_traffic(self) -> Traffic:
        wrong = list(machines.problems(self.app, self.place.machines)) if self.place.machines else []
        wrong += machines.scaled(self.app, self.scale) if self.place.several else []
        if wrong:
            raise wrong[0] if len(wrong) == 1 else ExceptionGroup("placement", wrong)
        return on_hosts(self.app, self.ns, self.place.port, self.place.tls_port, f"{self.root}/proxy/certificates")

    def prepare(self) -> None:
        self.resolved = resolve(self.app, self.context())
        self.refuse_overload()
        self.base: dict[str, Any] = {
            "machine": self.place.machine,
            "root": self.root,
            "supervisor": self.place.supervisor,
            "ns": self.ns,
        }
        if self.place.several:
            self.base |= {"machines": [member(item) for item in self.place.machines]}
        self.images = Images(self.image_base, self.owner, self.child_options())
        replicas = {name: self.replicas(name) for name in self.app.workloads}
        stack = {self.place.port: "the stack's `port`", self.place.tls_port: "the stack's `tlsPort`"}
        refuse_taken_ports(self.resolved, replicas, stack if self.app.routes else {})
        self.installed = list(self.packages())

    def packages(self) -> Iterator[Resource]:
        """One for each machine: all that what may run there needs. None where that is nothing."""
        for item in self.place.machines if self.place.several else [None]:
            needing = machines.may_run_on(self.app, item.name, self.place.machines) if item else None
            wanted = packages_of(self.app, needing)
            props = {
                "machine": item.machine if item else self.place.machine,
                "ns": self.ns,
                "packages": list(wanted),
                "wantedBy": wanted,
                "downgrades": self.place.downgrades,
                "incarnation": self.place.incarnation,
            }
            name = f"{self.ns}-packages" + (f"-{item.name}" if item else "")
            if wanted:
                yield Resource("host:Packages", name, props, opts=self.child_options())

    def image_base(self, reference: str) -> dict[str, Any]:
        """Where an image is needed: on the machines that may run something from it."""
        base = {**self.base, "incarnation": self.place.incarnation}
        if not self.place.several:
            return base
        on = machines.with_image(self.app, reference, self.place.machines)
        return {**base, "machine": on[0].machine, "machines": [member(item) for item in on]}

    def context(self) -> dict[str, str]:
        """What placeholders mean here: every workload is on loopback, each of its ports has a number of its own.

        On several machines that is so for what a proxy stands before; the rest is on one machine, at its address.
        """
        found = {f"resources.{name}": name for name in self.app.resources}
        found |= {f"workloads.{name}.host": "127.0.0.1" for name in self.app.workloads}
        if self.place.several:
            direct = machines.hosts(self.app, self.place.machines)
            found |= {f"workloads.{name}.host": address for name, address in direct.items()}
        for (name, port), number in internal_ports(self.app, self.ns).items():
            found[f"workloads.{name}.ports.{port}"] = str(number)
        return found

    def volume(self, name: str) -> Resource:
        on = machines.on_which(self.app, name, self.place.machines) if self.place.several else []
        props = {
            "machine": on[0].machine if on else self.place.machine,
            "machines": [member(item) for item in on] or None,
            "path": f"{self.root}/volumes/{name}",
            "mode": "0700",
            "retain": False,
            "corner": {"supervisor": self.base["supervisor"], "ns": self.ns, "owner": self.owner},
        }
        return Resource("host:Volume", f"{self.ns}-{name}", props, opts=self.child_options())

    def make_proxy(self) -> Resource:
        props = {
            **self.base,
            "config": self.config.wire(),
            "certificates": self.certificates(),
            "owner": self.owner,
            "incarnation": self.place.incarnation,
        }
        return Resource("host:Proxy", f"{self.ns}-proxy", props, opts=self.child_options())

    def workload(self, name: str, opts: pulumi.ResourceOptions) -> Resource:
        body = self.resolved.workloads[name]
        release = self.release(body)
        replicas = self.replicas(name)
        fixed = has_fixed_ports(self.resolved, name, replicas)
        template = self.template(name, body, release, fixed)
        props = {
            **self._common(template, release),
            "workload": name,
            "replicas": replicas,
            "update": update_policy(self.resolved, name, replicas).wire(),
            "pools": self.pools_of(template, name),
            "proxy": self.proxy.id if self.proxy else None,
            "rollbackTo": self.rollback.get(name),
            "placement": self.placement(name),
            "owner": self.owner,
            "incarnation": self.place.incarnation,
        }
        return Resource("host:Workload", name, props, ("revision",), self.with_base(opts))

    def job(self, name: str, depends: list[Resource]) -> Resource:
        body, several = self.resolved.jobs[name], self.place.several
        release = self.release(body)
        template = for_host(self.resolved, name, body, self.app_dir, release)
        props = {
            **self._common(template, release),
            **({"machine": machines.job_machine(self.app, name, self.place.machines).machine} if several else {}),
            "job": name,
            "timeout": body.timeout,
            "backoffLimit": body.backoff_limit,
            "trigger": self.job_trigger(depends),
            "owner": self.owner,
        }
        return Resource("host:Job", f"job-{name}", props, (), self.with_base(self.child_options(depends)))

    def template(self, name: str, body: Any, release: Release | None, fixed: bool) -> Template:
        """Where other machines must reach it, HOST says on which addresses to listen: on all."""
        template = for_host(self.resolved, name, body, self.app_dir, release, fixed)
        process = template.process
        if not self.place.several or not template.ports or process is None:
            return template
        host = "::" if any(":" in item.address for item in self.place.machines) else "0.0.0.0"
        listening = process.model_copy(update={"env": {"HOST": host, **process.env}})
        return template.model_copy(update={"process": listening})

    def placement(self, name: str) -> dict[str, Any] | None:
        return machines.placement_of(self.app, name, self.place.machines).wire() if self.place.several else None

    def replicas(self, name: str) -> int:
        if self.place.several and self.app.workloads[name].scale.mode == "global":
            return len(machines.fits(self.app, name, self.place.machines))
        return super().replicas(name)

    def refuse_overload(self) -> None:
        """As soon as a machine's memory is known: at once where the stack says it, else when the machine was looked at,
        for which all that is to be put there waits."""
        if not self.place.machines:
            return
        bodies = self.resolved.workloads
        templates = {name: for_host(self.resolved, name, body, self.app_dir) for name, body in bodies.items()}
        replicas = {name: self.replicas(name) for name in bodies}
        wanted = machines.demands(self.app, templates, replicas, self.place.machines)
        judged = tuple(carries(item, wanted[item.name]) for item in self.place.machines)
        self.place = replace(self.place, machine=judged[0].machine, machines=judged)

    def release(self, body: Any) -> Release | None:
        """The folders that the containers are built from are what the native process runs from, too."""
        builds = [item.build for item in body.containers.values() if item.build and body.host is not None]
        folders = {os.path.normpath(build.context): str((self.app_dir / build.context).resolve()) for build in builds}
        if not folders:
            return None
        digests = [context_hash(Path(path), "", {}, None) for _, path in sorted(folders.items())]
        names = sorted(folders)
        return Release(hashlib.sha256("\n".join([*names, *digests]).encode()).hexdigest()[:16], folders)

    def _common(self, template: Template, release: Release | None) -> dict[str, Any]:
        return {
            **self.base,
            "release": {"entries": dict(release.folders)} if release else None,
            "volumes": {key: f"{self.root}/volumes/{key}" for key in self.volumes},
            "template": self.images.wire(template),
            "secrets": self.secret_props(secrets_of(template)),
        }

    def with_base(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Everything that runs needs the packages, the volumes and the proxy, and goes before they go."""
        base = [*self.installed, *self.volumes.values(), *([self.proxy] if self.proxy else [])]
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=base))


def member(item: HostMachine) -> dict[str, Any]:
    """A machine in the provider's wire form."""
    return {
        "name": item.name,
        "machine": item.machine,
        "address": item.address,
        "labels": dict(item.labels),
        "ingress": item.ingress,
    }


def carries(item: HostMachine, demand: Mapping[str, int]) -> HostMachine:
    """The machine, of which nobody learns the way before it is known that its memory suffices. A SpecError, or a
    RunError later on, where it does not."""
    if isinstance(item.memory, pulumi.Output):
        judged = item.memory.apply(partial(refuse, item.name, demand))
        return replace(item, machine=item.machine | {"hostKey": after(judged, item.machine["hostKey"])})
    if item.memory is not None and (wrong := machines.overload(item.name, item.memory, demand)):
        raise wrong
    return item


def refuse(machine: str, demand: Mapping[str, int], memory: float | None) -> None:
    wrong = machines.overload(machine, memory, demand, "; `--refresh` looks at one that has grown") if memory else None
    if wrong is not None:
        raise pulumi.RunError(str(wrong))


def after(first: pulumi.Output[Any], value: pulumi.Output[Any]) -> pulumi.Output[Any]:
    """The value once the first is there. Known or not as it is by itself: `Output.all` would not know it in a preview
    that does not know the first."""

    async def waited(found: Any) -> Any:
        await first.future(with_unknowns=True)
        return found

    return value.apply(waited)
