"""The Docker runtime: an app as images, a network, volumes, a proxy, jobs and workloads on one daemon."""

from __future__ import annotations

from typing import Any

import pulumi
from anytier.render.context import context_hash
from anytier.render.template import Template
from anytier.render.traffic import Traffic, on_docker
from anytier.render.workload import for_docker, secrets_of, update_policy
from anytier.resources import Resource
from anytier.runtimes.base import Runtime
from anytier.spec.model import Container
from anytier.spec.placeholders import resolve
from anytier.tiers.places import DockerEndpoint


class DockerRuntime(Runtime[DockerEndpoint]):
    """Puts an app on a Docker daemon."""

    token = "docker"

    def render_traffic(self) -> Traffic:
        return on_docker(self.app, self.place.port, self.place.tls_port, "/config/certificates")

    def prepare(self) -> None:
        self.base = {"endpoint": self.place.endpoint, "incarnation": self.place.incarnation}
        props = {**self.base, "name": self.ns, "owner": self.owner}
        # All else comes after it: it is the first to find that another deployment has these names.
        self.network = Resource("docker:Network", self.ns, props, opts=self.child_options())
        self.images: dict[str, Resource] = {}
        self.resolved = resolve(self.app, self.context())

    def context(self) -> dict[str, str]:
        """What placeholders mean here: a workload's host is its name on the app's network, ports are the spec's own."""
        found = {f"resources.{name}": name for name in self.app.resources}
        for name, body in self.app.workloads.items():
            found[f"workloads.{name}.host"] = name
            for key, port in (body.service.ports if body.service else {}).items():
                found[f"workloads.{name}.ports.{key}"] = str(port.port)
        return found

    def volume(self, name: str) -> Resource:
        props = {
            **self.base,
            "name": f"{self.ns}-{name}",
            "labels": {},
            "retain": False,
            "ns": self.ns,
            "owner": self.owner,
        }
        return Resource("docker:Volume", f"{self.ns}-{name}", props, opts=self.child_options([self.network]))

    def make_proxy(self) -> Resource:
        props = {
            **self.base,
            "ns": self.ns,
            "owner": self.owner,
            "network": self.ns,
            "config": self.config.wire(),
            "publish": [
                {"address": item.address, "port": item.port, "listenPort": item.listen} for item in self.traffic.publish
            ],
            "aliases": self.traffic.aliases,
            "caddyImage": self.place.caddy_image,
            "certificates": self.certificates(),
        }
        return Resource("docker:Proxy", f"{self.ns}-proxy", props, opts=self.child_options([self.network]))

    def workload(self, name: str, opts: pulumi.ResourceOptions) -> Resource:
        body = self.resolved.workloads[name]
        template = for_docker(self.resolved, name, body, self.app_dir)
        replicas = self.replicas(name)
        props = {
            **self._common(name, body, template),
            "workload": name,
            "replicas": replicas,
            "update": update_policy(self.resolved, name, replicas).wire(),
            "pools": self.pools_of(template, name),
            "proxy": self.proxy.id if self.proxy else None,
            "rollbackTo": self.rollback.get(name),
            "incarnation": self.place.incarnation,
        }
        return Resource("docker:Workload", name, props, ("revision",), self.with_base(opts))

    def job(self, name: str, depends: list[Resource]) -> Resource:
        body = self.resolved.jobs[name]
        template = for_docker(self.resolved, name, body, self.app_dir)
        props = {
            **self._common(name, body, template),
            "job": name,
            "timeout": body.timeout,
            "backoffLimit": body.backoff_limit,
            "trigger": self.job_trigger(depends),
        }
        return Resource("docker:Job", f"job-{name}", props, (), self.with_base(self.child_options(depends)))

    def _common(self, name: str, body: Any, template: Template) -> dict[str, Any]:
        wire = template.wire()
        for item in wire.get("containers", []):
            item["image"] = self.image(name, item["name"], body.containers[item["name"]]).output("ref")
        return {
            "endpoint": self.place.endpoint,
            "ns": self.ns,
            "owner": self.owner,
            "network": self.ns,
            "volumes": {key: f"{self.ns}-{key}" for key in self.volumes},
            "template": wire,
            "secrets": self.secret_props(secrets_of(template)),
        }

    def image(self, workload: str, key: str, container: Container) -> Resource:
        """One image resource a build, or one for all containers that name the same reference."""
        build = container.build
        if build is None:
            return self._image_once(container.image or "", {"name": container.image, "pull": container.image})
        context = (self.app_dir / build.context).resolve()
        digest = context_hash(context, build.dockerfile, build.args, build.target)
        props = {
            "name": f"{self.ns}-{workload}-{key}",
            "build": {
                "context": str(context),
                "dockerfile": build.dockerfile,
                "args": dict(build.args),
                **({"target": build.target} if build.target else {}),
            },
            "contextHash": digest,
        }
        return self._image_once(f"{self.ns}-{workload}-{key}", props)

    def _image_once(self, name: str, props: dict[str, Any]) -> Resource:
        if name not in self.images:
            wire = {**self.base, **props}
            self.images[name] = Resource("docker:Image", name, wire, ("ref",), self.child_options([self.network]))
        return self.images[name]

    def with_base(self, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
        """Everything that runs needs the network, the volumes and the proxy, and goes before they go."""
        base = [self.network, *self.volumes.values(), *([self.proxy] if self.proxy else [])]
        return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=base))
