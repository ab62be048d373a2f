"""The three kinds of place that a tier yields and a runtime accepts. Plain values; runtimes never see a tier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Supervisor = Literal["systemd-system", "systemd-user", "supervisord"]
Offer = Literal["gateway", "ingress", "load-balancer", "metrics", "network-policy", "storage"]
Cloud = Literal["aws", "gcp", "azure"]  # as in the spec's `identity.cloudRoles`


@dataclass(frozen=True)
class HostMachine:
    """A machine of a stack. `machine` is the way to it, `address` where the other machines reach it; `ingress`: whether
    it takes requests from outside; `memory` in bytes, an output where it is looked for, None where nobody knows."""

    name: str
    machine: dict[str, Any]
    address: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ingress: bool = True
    memory: Any = None


@dataclass(frozen=True)
class Hosts:
    """Machines on which systemd or supervisord runs the app. `root` is the folder that holds the app's state.

    `machine` is the transport in the provider's wire form (`{"kind": "local"}`); `port` and `tls_port` are where the
    proxy listens for the app's routes. `tier` is the column of the capability table. `machines` names the machines
    where they have names; `machine` is the first of them. Without, there is `machine` alone, and nothing is placed.
    `downgrades`: a version of a package that the app asks for may replace a newer one. `incarnation`: which
    installation of the machine it is; another one has nothing of ours yet. `lives_on`: with it all that is there goes.
    """

    machine: dict[str, Any]
    state_dir: str
    supervisor: Supervisor
    port: int
    tls_port: int
    address: str = "localhost"
    tier: str = "local"
    machines: tuple[HostMachine, ...] = ()
    downgrades: bool = False
    incarnation: str | None = None
    lives_on: Any = None

    kind: Literal["hosts"] = "hosts"

    @property
    def several(self) -> bool:
        return len(self.machines) > 1

    @property
    def mode(self) -> str | None:
        """The capability table's mode; a tier that has but one has no name for it."""
        if self.tier != "local":
            return None
        return {"systemd-system": "systemd", "systemd-user": "user"}.get(self.supervisor, "supervisord")


@dataclass(frozen=True)
class DockerEndpoint:
    """A Docker daemon. `endpoint` is the provider's wire form: `{"host": "unix://..."}`, with TLS file paths or not, or
    with the `machine` that the socket is on. Values may be outputs. `incarnation` and `lives_on`: as of `Hosts`.
    """

    endpoint: dict[str, Any]
    port: int
    tls_port: int
    address: str = "localhost"
    caddy_image: str | None = None
    incarnation: str | None = None
    lives_on: Any = None

    kind: Literal["docker"] = "docker"
    mode: str | None = None
    tier: str = "docker"


# In the place of an address that only the app's own load balancer will have.
BALANCER = "${balancer}"


@dataclass(frozen=True)
class Binding:
    """A workload that is somebody to the cloud: `role` as the spec has it, its ServiceAccount `account`."""

    workload: str
    namespace: str
    account: str
    role: str


@dataclass(frozen=True)
class Registry:
    """Where images that are built here go, for a cluster's machines to pull. `prefix`: what stands before their names.
    `user` and `command` log in: the command prints a token as a kubeconfig's does. `ready`: what must stand first.
    The prefix, and parts of the command, may be outputs."""

    prefix: Any
    user: str
    command: tuple[Any, ...]
    ready: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """A Kubernetes cluster and what it offers. What may be an output is said so.

    `kubeconfig` is its text (secret, output). `version` is the minor, such as `1.34`. `address`, `port` and `tls_port`
    are where users reach the app's routes (`address` may be an output, or BALANCER); `addresses` the machines' own ones
    on which the cluster takes such requests (outputs; none where it has load balancers), and `reserved` the TCP ports
    there that the machines need themselves. `entrance`: annotations by which the Service of the app's own router gets
    `address`. `ingress_class`, `gateway` (`namespace/name`) and `gateway_class` name what takes routes where the
    cluster offers it: without `gateway` the app has one of its own of that class, at the address that is called
    `gateway_address` there. Images are built by the Docker daemon `builder` (the provider's wire form) and sent to
    `nodes`, or to the `registry`, or where `push` says: it registers a repository for an image of that name by the
    `ResourceOptions` that it is given, and returns its address and a login (`user:password`, secret). `ready`:
    resources that must stand before an app is put there. `lives_on`: with it all that is there goes. `identity` tells
    one cluster from another (an output), by more than its address; without, that is its certificate authority in the
    kubeconfig, which a preview may not know. `cloud`: whose roles its workloads can have; `bind` registers, under the
    `ResourceOptions` that it is given, what lets a workload have its role, and returns the resource that the workload
    waits for; SpecError for a role that is none. `called`: what a workload with a role is called there (an output),
    where that is not the role itself. `tolerations`: what the app's pods have to bear with on some of the nodes.
    `balancer`: annotations by which a Service gets a load balancer of the kind that the stack wants, `balancer_class`
    its class, where a controller of the tier's makes it. `provider`: pulumi-kubernetes on this cluster, where the tier
    itself has objects there, and `answer` the seconds that the API server may take for one answer, where that is more
    than usual. `dns_domain`: below which Services have their names. `processors`: what images are built
    for, those of the machines (`amd64`), the first ones first; empty is the builder's own.
    """

    kubeconfig: Any
    version: str
    port: int
    tls_port: int
    address: Any = "localhost"
    addresses: tuple[Any, ...] = ()
    reserved: frozenset[int] = frozenset()
    entrance: Mapping[str, str] = field(default_factory=dict)
    offers: frozenset[Offer] = field(default_factory=frozenset)
    storage_class: str | None = None
    ingress_class: str | None = None
    gateway: str | None = None
    gateway_class: str | None = None
    gateway_address: str | None = None
    builder: Mapping[str, Any] | None = None
    nodes: tuple[HostMachine, ...] = ()
    registry: Registry | None = None
    caddy_image: str | None = None
    ready: tuple[Any, ...] = ()
    lives_on: Any = None
    identity: Any = None
    cloud: Cloud | None = None
    bind: Callable[[Binding, Any], Any] | None = None
    balancer: Mapping[str, str] = field(default_factory=dict)
    balancer_class: str | None = None
    processors: tuple[str, ...] = ()
    push: Callable[[str, Any], tuple[Any, Any]] | None = None
    provider: Any = None
    answer: float | None = None
    dns_domain: str = "cluster.local"
    called: Callable[[Binding], Any] | None = None
    tolerations: tuple[Mapping[str, str], ...] = ()

    kind: Literal["cluster"] = "cluster"
    mode: str | None = None
    tier: str = "kubeadm"


Place = Hosts | DockerEndpoint | Cluster
