"""The Kubernetes runtime: an app as objects on a cluster, each workload behind the wait for its rollout.

What the objects are is `render.kubernetes`' business. pulumi-kubernetes puts them there by server-side apply and waits
for nothing but a namespace's end; the plugin's `Rollout` and `Run` wait, and say why something fails.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pulumi
from anytier.clusterobjects import SKIP_AWAIT, KubernetesObject, cluster_provider
from anytier.errors import ConfigError
from anytier.render.context import context_hash
from anytier.render.kubernetes import Rendered, Target, finish, render, tokens_in
from anytier.render.kubernetes.processors import processor_of
from anytier.resources import Resource
from anytier.runtimes.base import AppOnPlace
from anytier.runtimes.secrets import secret_inputs
from anytier.runtimes.target import target_of
from anytier.spec.model import Container
from anytier.tiers.places import BALANCER, Binding, Cluster

# As the plugin knows them: provider/kubernetes/{client,kinds,workload}.py. A test holds the two together.
MANAGER = "anytier"
HASH = "anytier.dev/revision-hash"
KEPT_FOR = "anytier.dev/kept-for"
OWNER = "anytier.dev/owner"
PARTS = ("anytier.dev/workload", "anytier.dev/job", "anytier.dev/router")

NAMESPACE = "app/namespace"
GATEWAY = "app/gateway"
PASSED = "object/"  # such keys has what the spec passes through
VOLUME = "volume/"  # ... and the claims of volumes
_WAITED_FOR = ("Namespace", "CustomResourceDefinition")  # these are there only once the server says so
_PATIENCE = 3600.0  # seconds for a job that has no time limit
_SLACK = 60.0  # ... and beyond the limit of one that has


class KubernetesRuntime(AppOnPlace[Cluster]):
    """Puts an app on a cluster, into a namespace of its own."""

    token = "kubernetes"

    def put(self) -> None:
        rendered = render(self.app, self.target(), self.app_dir)
        self.refuse_builds()
        self.secrets = secret_inputs(self.app, self.app_dir, self.secret_config, self.child_options())
        self.values = self.known()
        self.config = pulumi.Output.secret(self.place.kubeconfig)
        known = self.place.identity
        self.cluster = pulumi.Output.unsecret(self.config.apply(fingerprint)) if known is None else known
        # First the claim, which waits until the cluster lets us in: one that refuses pulumi-kubernetes once counts as
        # one that does not answer, the whole run long.
        base = {**self.place_props(), "owner": self.owner}
        first = [*self.place.ready, *([self.place.provider] if self.place.provider else [])]
        self.claim = Resource("kubernetes:Claim", self.ns, base, opts=self.child_options(first))
        forget = self.place.lives_on is not None  # then the cluster itself may be let go
        opts = self.child_options([*self.place.ready, self.claim])
        self.provider = self.place.provider or cluster_provider(
            f"{self.ns}-cluster",
            self.place.kubeconfig,
            forget=forget,
            identity=self.cluster,
            answer=self.place.answer,
            opts=opts,
        )
        self.there: dict[str, pulumi.Resource] = {}  # by key: what others wait for
        self.objects: dict[str, pulumi.Resource] = {}  # ... and what is there before it has come
        self.bound = {item.key: self.bind(item) for item in rendered if item.role}
        self.namespace: pulumi.Resource | None = None
        for item in rendered:
            self.register(item)
        self.balancer = self.balanced(rendered)
        self.opened(rendered)

    def balanced(self, rendered: Iterable[Rendered]) -> Resource | None:
        """Waits for the load balancer of the app's router, where that is the app's address; or for its own Gateway."""
        names = {item.key: item.object["metadata"]["name"] for item in rendered}
        if GATEWAY in names:
            return self.address(GATEWAY, "gateway", names[GATEWAY])
        if "router/service" in names and self.place.address == BALANCER:
            return self.address("router/service", "service", names["router/service"])
        return None

    def address(self, key: str, kind: str, name: str) -> Resource:
        props, after = {**self.place_props(), kind: name}, self.waiting(self.there[key])
        return Resource("kubernetes:Address", f"{key.partition('/')[0]}/address", props, ("address",), after)

    def opened(self, rendered: Iterable[Rendered]) -> None:
        """Waits, when all else is there, for what the cluster's own machines take requests by."""
        ports = entrances(item.object for item in rendered if not item.key.startswith(PASSED))
        if not ports:
            return
        props = {"ns": self.ns, "addresses": list(self.place.addresses), "ports": sorted(ports)}
        opts = pulumi.ResourceOptions(parent=self, depends_on=[*self.there.values()])
        Resource("kubernetes:Entrance", "entrance", props, (), opts)

    def urls(self) -> list[Any]:
        """With the load balancer's address, which is known after a run."""
        found: list[Any] = super().urls()
        if self.place.address != BALANCER:
            return found
        if self.balancer is None:
            return [text for text in found if BALANCER not in text]
        address = self.balancer.output("address")
        return [self.at(address, text) if BALANCER in text else text for text in found]

    @staticmethod
    def at(address: pulumi.Output[Any], text: str) -> pulumi.Output[str]:
        return address.apply(lambda here: text.replace(BALANCER, here))

    # what rendering is told, and what it is told later

    def target(self) -> Target:
        return target_of(
            self.place,
            self.ns,
            [f"${{addresses.{number}}}" for number in range(len(self.place.addresses))],
            images={key: f"${{images.{key}}}" for key, *_ in self.builds()},
            scale=self.scale,
            acme=self.acme,
        )

    def known(self) -> dict[str, Any]:
        """Token -> its value, an output in most cases."""
        return {
            **{f"secrets.{name}": value for name, value in self.secrets.items()},
            **{f"addresses.{number}": value for number, value in enumerate(self.place.addresses)},
            **{f"images.{key}": self.image(name, item, body) for key, name, item, body in self.builds()},
        }

    # images that are built

    def builds(self) -> Iterator[tuple[str, str, Container, Any]]:
        """(`workload/container`, a name for the image, the container, the workload or job) of what has a build."""
        for kind, bodies in (("workloads", self.app.workloads), ("jobs", self.app.jobs)):
            for name, body in bodies.items():
                for key, item in body.containers.items():
                    if item.build is not None:
                        job = "job-" if kind == "jobs" else ""
                        yield f"{name}/{key}", f"{self.ns}-{job}{name}-{key}", item, body

    def refuse_builds(self) -> None:
        for key, *_ in self.builds():
            if self.place.builder is None or not (self.place.nodes or self.place.registry or self.place.push):
                what = f"{key} is built, and this cluster has nobody who builds images and sends them to it"
                do = "name a Docker daemon in the stack's config, or use an image of a registry"
                raise ConfigError("workloads", what, do)

    def image(self, name: str, item: Container, body: Any) -> pulumi.Output[Any]:
        """Built by the place's Docker daemon, then sent to the place's registry, or to every node."""
        build = item.build
        assert build is not None and self.place.builder is not None  # `builds` and `refuse_builds`
        context = (self.app_dir / build.context).resolve()
        target = {"target": build.target} if build.target else {}
        how = {"context": str(context), "dockerfile": build.dockerfile, "args": dict(build.args), **target}
        if processor := processor_of(body, self.place.processors):
            how["platform"] = f"linux/{processor}"
        endpoint = dict(self.place.builder)
        digest = context_hash(context, build.dockerfile, build.args, build.target)
        props = {"endpoint": endpoint, "name": name, "build": how, "contextHash": digest}
        made = Resource("docker:Image", name, props, ("ref",), self.child_options())
        own = {"stopSignal": item.stop_signal} if item.stop_signal else {}
        if self.place.push is not None:
            repository, password = self.place.push(name, self.child_options())
            sent = {"endpoint": endpoint, "image": made.output("ref"), "repository": repository, **own}
            sent["password"] = pulumi.Output.secret(password)
            opts = self.child_options([made])
            return Resource("docker:Push", f"{name}-pushed", sent, ("ref",), opts).output("ref")
        if (registry := self.place.registry) is not None:
            login = {"user": registry.user, "command": list(registry.command)}
            repository = pulumi.Output.concat(registry.prefix, "/", name)
            sent = {"endpoint": endpoint, "image": made.output("ref"), "repository": repository, **own}
            opts = self.child_options([made, *registry.ready])
            return Resource("docker:Push", f"{name}-pushed", {**sent, "login": login}, ("ref",), opts).output("ref")
        sent = {
            "machines": [node.machine for node in self.place.nodes],
            "builder": endpoint,
            "image": made.output("ref"),
            "name": name,
            "stopSignal": item.stop_signal,
        }
        # A node's runtime is configured, and restarted, before it is a node.
        opts = self.child_options([made, *self.place.ready])
        return Resource("kubeadm:Image", f"{name}-on-nodes", sent, ("ref",), opts).output("ref")

    # who they are to the cloud

    def bind(self, item: Rendered) -> pulumi.Resource:
        """Before its pods: whoever starts without it is nobody until it starts again."""
        account = item.object["spec"]["template"]["spec"]["serviceAccountName"]
        assert self.place.bind is not None and item.role is not None  # a tier with a cloud has it
        binding = Binding(item.key, self.ns, account, item.role)
        made: pulumi.Resource = self.place.bind(binding, self.child_options(self.place.ready))
        if self.place.called is not None:
            self.values[f"identities.{item.key}"] = self.place.called(binding)
        return made

    # objects

    def register(self, item: Rendered) -> None:
        given = marked(item)
        hash = self.stamp(given) if item.waits == "rollout" else None
        needed = [self.there[key] for key in item.after] + ([self.objects[item.on]] if item.on else [])
        needed += [self.bound[item.key]] if item.key in self.bound else []
        if item.object["kind"] == "Service" and "loadBalancerClass" in item.object["spec"]:
            # By itself, though the namespace comes after all of that, too: what stays between the two orders nothing
            # where both go in one run, and whoever takes a load balancer down has to be there for it.
            needed += self.place.ready
        if item.object["kind"] == "PersistentVolumeClaim" and not item.key.startswith(PASSED):
            needed.append(self.volume(item))
        if item.waits == "rollout" and item.object["kind"] != "DaemonSet" and "replicas" not in item.object["spec"]:
            needed.append(self.handover(item))
        object = self.filled(given)
        if item.key == NAMESPACE:
            object["metadata"]["annotations"][OWNER] = self.owner
        made = KubernetesObject(item.key, object, self.options(item, needed), wait=True)
        if item.key == NAMESPACE:
            self.namespace = made
        self.there[item.key] = self.objects[item.key] = made
        if item.waits == "rollout":
            self.there[item.key] = self.rollout(item, hash, made)
        elif item.waits == "job":
            self.there[item.key] = self.run(item, made)

    def volume(self, item: Rendered) -> Resource:
        """Before a claim: what would delete it for another one of its name is refused."""
        spec = item.object["spec"]
        said = {
            "at": f"resources.{item.key.removeprefix(VOLUME)}" if item.key.startswith(VOLUME) else item.key,
            "name": item.object["metadata"]["name"],
            "access": spec["accessModes"],
            "storageClass": spec.get("storageClassName"),
            "size": spec["resources"]["requests"]["storage"],
            "writers": dict(item.writers),
        }
        props = {**self.place_props(), **self.filled(said)}
        return Resource("kubernetes:Volume", item.key, props, (), self.waiting(self.claim))

    def handover(self, item: Rendered) -> Resource:
        """Before a workload that no longer says its number: the one that it has stays."""
        props = {**self.place_props(), "kind": item.object["kind"], "name": item.object["metadata"]["name"]}
        return Resource("kubernetes:Handover", item.key, props, (), self.waiting(self.claim))

    def options(self, item: Rendered, needed: list[pulumi.Resource]) -> pulumi.ResourceOptions:
        """All that is in the namespace goes with it, and need not be taken down piece by piece."""
        inside = item.object.get("metadata", {}).get("namespace") is not None and self.namespace is not None
        # A Job that a failed run has put aside may be the wanted one again, by the same name: its Run prunes.
        left = item.kept or item.waits == "job"
        return pulumi.ResourceOptions(
            parent=self,
            provider=self.provider,
            depends_on=[*needed, self.namespace if self.namespace is not None else self.claim],
            deleted_with=self.namespace if inside else None,
            retain_on_delete=True if left else None,
            # The template stays as it is while a revision is pinned: see Rollout.
            ignore_changes=["spec.template"] if item.key in self.rollback else None,
        )

    def stamp(self, object: dict[str, Any]) -> Any:
        """The template's hash, on the template itself and so on its pods."""
        template = object["spec"]["template"]
        bare = copy.deepcopy(template)
        hash = self.later(tokens_in(bare), lambda values: template_hash(finish(bare, {}, values)), False)
        notes = template.setdefault("metadata", {}).setdefault("annotations", {})
        notes[HASH] = hash
        return hash

    def filled(self, value: Any) -> Any:
        """With tokens' values in their places: what is unknown or secret is so by itself, and nothing around it."""
        if isinstance(value, dict):
            if value.get("kind") == "Secret" and value.get("apiVersion") == "v1" and "stringData" in value:
                return self.sealed(value)
            return {key: self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        return self.text(value) if isinstance(value, str) else value

    def sealed(self, secret: dict[str, Any]) -> dict[str, Any]:
        """A Secret as the API server keeps it; the whole of its data is secret, also what is no secret by itself."""
        texts, rest = secret["stringData"], {key: item for key, item in secret.items() if key != "stringData"}
        whole = {"apiVersion": "v1", "kind": "Secret", "stringData": texts}
        data = self.later(tokens_in(texts), lambda values: finish(whole, {}, values)["data"], True)
        return {**self.filled(rest), "data": pulumi.Output.secret(data)}

    def text(self, text: str) -> Any:
        names = tokens_in(text)
        return (
            self.later(names, lambda values: finish({"": text}, {}, values)[""], reveals(text))
            if names
            else (finish({"": text}, {})[""])
        )

    def later(self, names: set[str], make: Any, secret: bool) -> Any:
        """`make` of the tokens' values. What only holds a hash of secrets is none."""
        if not names:
            return make({})
        made = pulumi.Output.all(**{name: self.values[name] for name in sorted(names)}).apply(make)
        return made if secret else pulumi.Output.unsecret(made)

    # waits

    def place_props(self) -> dict[str, Any]:
        return {"kubeconfig": self.config, "cluster": self.cluster, "ns": self.ns}

    def rollout(self, item: Rendered, hash: Any, made: pulumi.Resource) -> Resource:
        spec, kind = item.object["spec"], item.object["kind"]
        assert item.update is not None  # it comes with `rollout`
        props = {
            **self.place_props(),
            "kind": kind,
            "name": item.object["metadata"]["name"],
            "hash": hash,
            "replicas": None if kind == "DaemonSet" else spec.get("replicas"),
            "update": item.update.wire(),
            "rollbackTo": self.rollback.get(item.key),
        }
        watched = Resource("kubernetes:Rollout", item.key, props, ("revision", "replicas"), self.waiting(made))
        if item.key in self.app.workloads:
            self.made[item.key] = watched
        return watched

    def run(self, item: Rendered, made: pulumi.Resource) -> Resource:
        limit = item.object["spec"].get("activeDeadlineSeconds")
        props = {
            **self.place_props(),
            "job": item.key.removeprefix("job/"),
            "name": self.filled(item.object["metadata"]["name"]),
            "deadline": _PATIENCE if limit is None else limit + _SLACK,
        }
        return Resource("kubernetes:Run", item.key, props, (), self.waiting(made))

    def waiting(self, made: pulumi.Resource) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self, depends_on=[made], deleted_with=self.namespace)


# pure


def marked(item: Rendered) -> dict[str, Any]:
    """A copy of the object with what pulumi-kubernetes and the plugin are told by annotations and labels."""
    made: dict[str, Any] = json.loads(json.dumps(item.object))
    head = made["metadata"]
    notes = head.setdefault("annotations", {})
    notes |= {"pulumi.com/patchFieldManager": MANAGER, "pulumi.com/patchForce": "true"}
    if made["kind"] not in _WAITED_FOR:
        notes[SKIP_AWAIT] = "true"
    if item.kept:
        head["labels"][KEPT_FOR] = kept_for(head["labels"])
    return made


def entrances(objects: Iterable[Mapping[str, Any]]) -> set[int]:
    """The TCP ports that Services open on machines' own addresses."""
    opened = [each["spec"] for each in objects if each["kind"] == "Service" and each["spec"].get("externalIPs")]
    return {port["port"] for spec in opened for port in spec["ports"] if port.get("protocol", "TCP") == "TCP"}


def kept_for(labels: Mapping[str, str]) -> str:
    """The workload, job or router that something belongs to. Who prunes finds it by that very label."""
    return next(labels[part] for part in PARTS if part in labels)


def template_hash(template: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def reveals(text: str) -> bool:
    """Whether a secret's value itself gets into a text, and not just a hash of it."""
    mark = "\x00secret\x00"
    given = {name: mark if name.startswith("secrets.") else "" for name in tokens_in(text)}
    return mark in str(finish({"": text}, {}, given)[""])


def fingerprint(kubeconfig: str) -> str:
    """Which cluster it leads to: its authority, which no other has, else its address."""
    import yaml

    try:
        config = yaml.safe_load(kubeconfig)
        contexts = {each["name"]: each["context"] for each in config["contexts"]}
        clusters = {each["name"]: each["cluster"] for each in config["clusters"]}
        cluster = clusters[contexts[config["current-context"]]["cluster"]]
        text = str(cluster.get("certificate-authority-data") or cluster["server"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        raise ConfigError("kubeconfig", "names no cluster", "give one with a current-context") from None
    return hashlib.sha256(text.encode()).hexdigest()[:16]
