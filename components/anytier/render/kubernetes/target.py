"""What rendering needs to know of a cluster, and what it yields: plain values that name no runtime and no tier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from anytier.acme import Acme
from anytier.render.template import UpdatePolicy

Json = dict[str, Any]
Offer = Literal["gateway", "ingress", "load-balancer", "metrics", "network-policy", "storage"]  # as in tiers.places

Cloud = Literal["aws", "gcp", "azure"]  # as in tiers.places

CADDY_IMAGE = "caddy:2.11.2"


@dataclass(frozen=True)
class Target:
    """A namespace of a cluster.

    `version` is the minor, such as `1.34`. `port` and `tls_port` are where users reach the app's routes, `addresses`
    the machines' own addresses on which the cluster takes such requests, and `reserved` the TCP ports on which the
    machines themselves are called there. `entrance`: annotations of the router's Service. `gateway` is `namespace/name`
    of one that is there, of the class `gateway_class`; without, the app has one of its own of that class, with the
    address that is called `gateway_address`. `images` holds, by `workload/container` (or `job/container`), what an
    image is called where it is not called as in the spec: every built one has to be there. `scale` overrides replicas
    by workload. `cloud` is the one whose roles workloads can have; `tolerations` are what its pods bear with on some of
    its nodes. `balancer`: annotations of a Service that wants a load balancer, and `balancer_class` its class, where
    that is not the cluster's own. `dns_domain`: of the cluster. `acme`: who issues the certificates that the app's own
    router fetches. `processors`: those of the cluster's machines (`amd64`), the first ones first; empty where nobody
    knows.

    Addresses and images that nobody knows yet are tokens, `${addresses.0}` and `${images.web/web}`: `finish` puts their
    values in.
    """

    namespace: str
    version: str = "1.34"
    port: int = 8080
    tls_port: int = 8443
    offers: frozenset[Offer] = frozenset()
    addresses: tuple[str, ...] = ()
    reserved: frozenset[int] = frozenset()
    entrance: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    ingress_class: str | None = None
    gateway: str | None = None
    gateway_class: str | None = None
    gateway_address: str | None = None
    caddy_image: str = CADDY_IMAGE
    router_replicas: int = 2
    images: Mapping[str, str] = field(default_factory=dict)
    scale: Mapping[str, int] = field(default_factory=dict)
    cloud: Cloud | None = None
    tolerations: tuple[Mapping[str, str], ...] = ()
    balancer: Mapping[str, str] = field(default_factory=dict)
    balancer_class: str | None = None
    processors: tuple[str, ...] = ()
    dns_domain: str = "cluster.local"
    acme: Acme | None = None


@dataclass(frozen=True)
class Rendered:
    """One object. `key` is its logical name, unique in the app and the same in every run.

    A workload's own object has the workload's name as its key; what belongs to it is `web.service`, `web.config` and
    so on. All else has a kind before it: `app/namespace`, `volume/data`, `job/migrate`, `policy/default`,
    `router/service`, `object/ConfigMap.more`. No two can be alike: the spec's names hold neither `.` nor `/`.

    `object` is final but for its tokens (`finish`). `after`: keys of what must be there first; of those that wait, what
    they wait for must have come. `waits` says what being there means: a rollout that ended well, a job that did, or
    nothing more than that the object exists. `update` comes with `rollout`. `kept`: the object stays when nothing names
    it any more, since a kept revision may; whoever prunes revisions removes it. `role`: of a workload, who it is to
    the cluster's cloud. `on`: the key of the object that it is about, which must be there, while what that one waits
    for need not have come. `writers`: of a claim with one writer, the workloads that have it -> what keeps each
    running.
    """

    key: str
    object: Json
    after: tuple[str, ...] = ()
    waits: Literal["rollout", "job"] | None = None
    update: UpdatePolicy | None = None
    kept: bool = False
    role: str | None = None
    on: str | None = None
    writers: Mapping[str, str] = field(default_factory=dict)
