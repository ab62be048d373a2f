"""The host runtime: an app as supervised processes, directories and a proxy on machines."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath
from typing import Any

import pulumi
from anytier.render.context import context_hash
from anytier.render.template import Template
from anytier.render.traffic import Traffic, internal_ports, on_hosts
from anytier.render.workload import Release, for_host, secrets_of, update_policy
from anytier.runtimes.base import Runtime
from anytier.runtimes.resources import Resource
from anytier.spec.placeholders import resolve
from anytier.tiers.places import Hosts


class HostRuntime(Runtime[Hosts]):
    """Puts an app on machines; today on the one that `local` names."""

    token = "host"

    @property
    def root(self) -> str:
        return str(PurePosixPath(self.place.state_dir) / self.ns)

    def render_traffic(self) -> Traffic:
        return on_hosts(self.app, self.ns, self.place.port, self.place.tls_port, f"{self.root}/proxy/certificates")

    def prepare(self) -> None:
        self.base = {
            "machine": self.place.machine,
            "root": self.root,
            "supervisor": self.place.supervisor,
            "ns": self.ns,
        }
        self.resolved = resolve(self.app, self.context())

    def context(self) -> dict[str, str]:
        """What placeholders mean here: every workload is on loopback, each of its ports has a number of its own."""
        found = {f"resources.{name}": name for name in self.app.resources}
        found |= {f"workloads.{name}.host": "127.0.0.1" for name in self.app.workloads}
        for (name, port), number in internal_ports(self.app, self.ns).items():
            found[f"workloads.{name}.ports.{port}"] = str(number)
        return found

    def volume(self, name: str) -> Resource:
        props = {
            "machine": self.place.machine,
            "path": f"{self.root}/volumes/{name}",
            "mode": "0700",
            "retain": False,
        }
        return Resource("host:Volume", f"{self.ns}-{name}", props, opts=self.child_options())

    def make_proxy(self) -> Resource:
        props = {
            **self.base,
            "config": self.traffic.config.wire(),
            "certificates": self.certificates(),
            "owner": self.owner,
            "incarnation": self.place.incarnation,
        }
        return Resource("host:Proxy", f"{self.ns}-proxy", props, opts=self.child_options())

    def workload(self, name: str, opts: pulumi.ResourceOptions) -> Resource:
        body = self.resolved.workloads[name]
        release = self.release(body)
        template = for_host(self.resolved, name, body, self.app_dir, release)
        replicas = self.replicas(name)
        props = {
            **self._common(template, release),
            "workload": name,
            "replicas": replicas,
            "update": update_policy(self.resolved, name, replicas).wire(),
            "pools": self.pools_of(template, name),
            "proxy": self.proxy.id if self.proxy else None,
            "rollbackTo": self.rollback.get(name),
            "owner": self.owner,
            "incarnation": self.place.incarnation,
        }
        return Resource("host:Workload", name, props, ("revision",), self.with_base(opts))

    def job(self, name: str, depends: list[Resource]) -> Resource:
        body = self.resolved.jobs[name]
        release = self.release(body)
        template = for_host(self.resolved, name, body, self.app_dir, release)
        props = {
            **self._common(template, release),
            "job": name,
            "timeout": body.timeout,
            "backoffLimit": body.backoff_limit,
            "trigger": self.job_trigger(depends),
            "owner": self.owner,
        }
        return Resource("host:Job", f"job-{name}", props, (), self.with_base(self.child_options(depends)))

    def release(self, body: Any) -> Release | None:
        """The folders that the containers are built from are what the native process runs from, too."""
        builds = [item.build for item in body.containers.values() if item.build]
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
            "template": template.wire(),
            "secrets": self.secret_props(secrets_of(template)),
        }

    def with_base(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Everything that runs needs the volumes and the proxy, and goes before they go."""
        base = [*self.volumes.values(), *([self.proxy] if self.proxy else [])]
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=base))
