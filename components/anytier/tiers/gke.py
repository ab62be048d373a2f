"""Tier `gke`: a Kubernetes cluster at Google Cloud, in a network of its own, with node pools or in mode Autopilot.

What is decided is in `gkeplan`; here are what is looked at on this machine, and the order of the resources. The cloud's
SDK is imported with the first resource (`gkenetwork`, `gkecluster`), so that reading a stack's config needs none of it.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi.runtime.config import get_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor, is_dry_run

import pulumi
from anytier.clusterobjects import cluster_provider, register
from anytier.errors import AnytierError, ConfigError, SpecError
from anytier.tiers import gkeplan, managed
from anytier.tiers.gateways import offering
from anytier.tiers.gkeargs import KEY, GkeArgs, versions_of
from anytier.tiers.gkeplan import CREDENTIALS, HYPERDISK, LOGIN, PLUGIN, STANDARD, TOKEN_USER, Plan
from anytier.tiers.managed import protection
from anytier.tiers.places import BALANCER, Binding, Cluster, Registry

_ROLE = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}@([a-z][a-z0-9-]{4,28}[a-z0-9])\.iam\.gserviceaccount\.com")
_PRODUCT = Path("/sys/class/dmi/id/product_name")


class GkeTier(pulumi.ComponentResource):
    """A cluster as a place. `exports` holds its kubeconfig, a secret, and what people want to know of it."""

    config_key = "gke"
    args_type = GkeArgs
    ports = (80, 443)  # an address of its own: nobody else is there

    def __init__(
        self, name: str, args: GkeArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        today = datetime.date.today()
        plan = decided(args, today)  # first: what is wrong registers nothing
        super().__init__("anytier:tier:Gke", name, {}, opts)
        if args.minor and (said := versions_of(args.channel).warning(args.minor, today)):
            pulumi.log.warn(said, self)
        self.plan = plan
        ready = self._made()
        kubeconfig: pulumi.Output[str] = pulumi.Output.secret(self._kubeconfig())
        identity = self.cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint
        provider = self._storage(kubeconfig, identity, ready) if plan.hyperdisk else None
        self.place = replace(
            offered(args, plan.minor, port, tls_port, plan.hyperdisk),
            kubeconfig=kubeconfig,
            ready=tuple(ready),
            address=BALANCER if self.address is None else self.address.address,
            entrance=gkeplan.entrance(plan),
            gateway_address=plan.name if plan.own_gateway else None,
            identity=identity,
            bind=self._bind,
            registry=self.registry,
            provider=provider,
        )
        self.exports: dict[str, Any] = {
            "kubeconfig": kubeconfig,
            "console": plan.console,
            "login": plan.login,
            "cluster": {"name": plan.name, "version": self.cluster.master_version, "mode": args.mode},
            **({} if self.address is None else {"address": self.address.address}),
            "costs": gkeplan.costs(plan),
            "offers": managed.offers(self.place),
            "protection": protection(KEY, args.protect),
        }
        self.register_outputs(self.exports)

    @staticmethod
    def mode(args: GkeArgs) -> str:
        """Autopilot cannot do all that Standard can."""
        return args.mode

    @staticmethod
    def offered(args: GkeArgs, *, port: int, tls_port: int, stack: str) -> Cluster:
        """The cluster as far as it is known without making it: nobody is asked."""
        hyper = args.mode == "standard" and gkeplan.needs_hyperdisk(args)
        return offered(args, args.minor or versions_of(args.channel).default, port, tls_port, hyper)

    # the steps

    def _made(self) -> list[pulumi.Resource]:
        """What must stand before an app is put there, and outlives it when both go: its load balancers and disks are
        taken down by the cluster, and what they are attached to is not left before."""
        from anytier.tiers import gkecluster, gkenetwork

        plan = self.plan
        apis = gkecluster.apis(plan, self)
        nets = gkenetwork.make(plan, self, apis)
        crypto = gkecluster.key(plan, self, apis)
        nodes = gkecluster.account(plan, self, apis)
        self.cluster = gkecluster.cluster(plan, self, nets, crypto, nodes)
        pools = gkecluster.pools(plan, self, self.cluster, nodes[0])
        self.address = nets.address
        self.registry = Registry(plan.registry, TOKEN_USER, LOGIN, (gkecluster.registry(plan, self, apis),))
        return [self.cluster, *pools, nets.nat, *([self.address] if self.address else [])]

    def _kubeconfig(self) -> pulumi.Output[str]:
        made = self.cluster
        known = pulumi.Output.all(
            dns=made.control_plane_endpoints_config.dns_endpoint_config.endpoint,
            address=made.endpoint,
            private=made.private_cluster_config.private_endpoint,
            authority=made.master_auth.cluster_ca_certificate,
        )
        return known.apply(lambda said: gkeplan.kubeconfig(self.plan, **{key: str(said[key]) for key in said}))

    def _storage(self, kubeconfig: Any, identity: Any, ready: list[pulumi.Resource]) -> pulumi.ProviderResource:
        """Machines that take Hyperdisks only have no storage class of GKE's own. The app uses this provider, too."""
        own = pulumi.ResourceOptions(parent=self, depends_on=list(ready))
        provider = cluster_provider("cluster", kubeconfig, identity=identity, opts=own)
        gone = pulumi.ResourceOptions(deleted_with=self.cluster)
        made = register([("storage", gkeplan.STORAGE, ())], provider, self, after=[self.cluster], opts=gone)
        ready += made.values()
        return provider

    def _bind(self, binding: Binding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        from anytier.tiers import gkecluster

        found = _ROLE.fullmatch(binding.role)
        if found is None:
            path = f"workloads.{binding.workload}.identity.cloudRoles.gcp"
            what = f"{binding.role[:80]!r} is no service account of Google Cloud"
            raise SpecError(path, what, "give its address, such as app@my-project-123.iam.gserviceaccount.com")
        return gkecluster.bind(self.plan, binding, found[1], self.cluster, opts)


def offered(args: GkeArgs, minor: str, port: int, tls_port: int, hyperdisk: bool) -> Cluster:
    """What the app may count on."""
    cluster = Cluster(
        kubeconfig="",
        version=minor,
        port=port,
        tls_port=tls_port,
        offers=frozenset({"load-balancer", "metrics", "network-policy", "storage"}),
        storage_class=HYPERDISK if hyperdisk else STANDARD,
        builder={"host": args.builder or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"},
        balancer=gkeplan.BALANCER,
        processors=gkeplan.processors(args),
        cloud="gcp",
        mode=args.mode,
        tier="gke",
    )
    if args.gateway is None:
        return cluster
    # Whose class nobody says is taken for one of Google's: what these are told others do not mind.
    return offering(cluster, args.gateway.model_copy(update={"class_name": args.gateway.class_name or gkeplan.GATEWAY}))


# this machine and this stack


def decided(args: GkeArgs, today: datetime.date) -> Plan:
    """The plan for this stack. An ExceptionGroup for all that is wrong in it, or missing on this machine.

    A run that only writes down what it would register, or a test, needs nobody to be logged in.
    """
    given = {key: get_config(key) for key in ("gcp:project", "gcp:region", *CREDENTIALS.provider)}
    found: list[Exception] = []
    plan: Plan | None = None
    try:
        where = (given["gcp:project"], given["gcp:region"])
        plan = gkeplan.decide(args, *where, pulumi.get_stack(), pulumi.get_project(), today)
    except ExceptionGroup as group:
        found += group.exceptions
    found += managed.lacking("gke", "pulumi_gcp")
    if not isinstance(get_monitor(), MockMonitor):
        found += missing(os.environ, Path.home(), {key for key, value in given.items() if value}, is_dry_run())
    if found or plan is None:
        raise ExceptionGroup("config", found)
    return plan


def missing(environment: Mapping[str, str], home: Path, config: set[str], preview: bool = False) -> list[AnytierError]:
    """What this side needs and has not. On a machine of Google's the machine itself is somebody.

    A preview is Pulumi's provider's business: whoever only that one knows will do.
    """
    found: list[AnytierError] = []
    nobody = CREDENTIALS.missing(environment, home, config, KEY)
    if nobody is None and not preview:
        nobody = CREDENTIALS.halfway(environment, home, config, KEY)
    if nobody is not None and not _of_google():
        found.append(nobody)
    if shutil.which(PLUGIN, path=environment.get("PATH")) is None:
        do = f"`gcloud components install {PLUGIN}`, or apt-get install google-cloud-cli-{PLUGIN}"
        found.append(ConfigError(KEY, f"{PLUGIN} is not on PATH, which logs in to the cluster", do))
    return found


def _of_google() -> bool:
    try:
        return _PRODUCT.read_text().startswith("Google")
    except OSError:
        return False
