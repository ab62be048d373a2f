"""Tier `eks`: a cluster of Amazon's managed Kubernetes, with its network, and the app on it.

What is decided is in `eksplan`, what is registered at AWS in `ekscluster`, which alone loads AWS' SDK: who only asks
what the tier offers does not pay for it.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor, is_dry_run

import pulumi
from anytier.clusterobjects import cluster_provider, register
from anytier.render.kubernetes.addons import aws_balancers
from anytier.resources import Resource
from anytier.tiers import eksplan, managed
from anytier.tiers.eksargs import CREDENTIALS, KEY, EksArgs, assumed, wrong_login
from anytier.tiers.eksplan import Plan
from anytier.tiers.gateways import offering
from anytier.tiers.managed import Exec
from anytier.tiers.places import BALANCER, Cluster

_HINT = "the AWS CLI gets the token: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html"


class EksTier(pulumi.ComponentResource):
    """A cluster as a place. `exports`: its kubeconfig (a secret without credentials), its console, what is paid for."""

    config_key = "eks"
    args_type = EksArgs
    ports = (80, 443)  # a load balancer of its own: nobody else is there

    def __init__(
        self, name: str, args: EksArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = self._planned(args)  # first: what is wrong registers nothing
        super().__init__("anytier:tier:Eks", name, {}, opts)
        for text in plan.warnings:
            pulumi.log.warn(text)
        from anytier.tiers.ekscluster import EksCluster

        made = EksCluster(plan, pulumi.ResourceOptions(parent=self))
        told = pulumi.Output.all(name=made.cluster.name, server=made.endpoint, authority=made.authority)
        plain: Any = told.apply(lambda held: kubeconfig_of(plan.region, **held))
        kubeconfig = pulumi.Output.secret(plain)
        # Its address may change and its name come again, its authority not.
        identity = made.authority.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
        # AWS lets in who has just been given access some time later, and a cluster that refuses the plugin once counts
        # as one that does not answer, the whole run long. Machines and add-ons take minutes, so it comes after those.
        late = pulumi.ResourceOptions(parent=self, depends_on=made.ready)
        provider = cluster_provider("cluster", kubeconfig, identity=identity, opts=late)
        objects = self._objects(plan, provider, made)
        self.place = _place(
            args,
            port,
            tls_port,
            kubeconfig=kubeconfig,
            identity=identity,
            provider=provider,
            ready=(*made.ready, *objects),
            bind=made.bind,
            push=made.push,
        )
        console = made.cluster.name.apply(lambda called: eksplan.console(plan.region, called))
        self.exports: dict[str, Any] = {
            "kubeconfig": kubeconfig,
            "cluster": made.cluster.name,
            "console": console,
            "costs": eksplan.facts(plan),
            "offers": managed.offers(self.place),
            "protection": managed.protection(KEY, args.protect),
        }
        self.register_outputs({"kubeconfig": kubeconfig, "version": args.version})

    @staticmethod
    def mode(args: EksArgs) -> str:
        return args.mode

    @staticmethod
    def offered(args: EksArgs, *, port: int, tls_port: int, stack: str) -> Cluster:
        """The cluster as far as it is known without making it: nobody is asked."""
        return _place(args, port, tls_port)

    @staticmethod
    def _planned(args: EksArgs) -> Plan:
        found: list[Exception] = []
        plan = None
        try:
            region = pulumi.Config("aws").get("region")
            plan = eksplan.decide(args, region, pulumi.get_stack(), datetime.date.today())
        except ExceptionGroup as group:
            found += group.exceptions
        found += managed.lacking("eks", "pulumi_aws")
        found += _nobody()
        if found or plan is None:
            raise ExceptionGroup("config", found)
        return plan

    def _objects(self, plan: Plan, provider: pulumi.ProviderResource, made: Any) -> list[pulumi.Resource]:
        """What the tier has on the cluster; it goes with it."""
        wanted = {"storage-class": eksplan.storage_class(plan.args)}
        if plan.auto:
            wanted["network-policies"] = eksplan.network_policies()
        objects: list[tuple[str, Any, tuple[str, ...]]] = [(key, item, ()) for key, item in wanted.items()]
        if plan.controller:
            found = aws_balancers.render(self._controller(plan, made))
            objects += [(item.key, item.object, item.after) for item in found]
        gone = pulumi.ResourceOptions(deleted_with=made.cluster)
        # Who has just been given a role is known to be it some seconds later; the definitions take as long.
        wait = aws_balancers.DEFINITIONS if plan.controller else ()
        return list(register(objects, provider, self, after=made.ready, opts=gone, wait=wait).values())

    def _controller(self, plan: Plan, made: Any) -> aws_balancers.Choice:
        """What the controller of load balancers is told. Nobody has to trust its certificate: nobody calls it."""
        own = pulumi.ResourceOptions(parent=self)
        names = {"names": [aws_balancers.SERVER]}
        held = Resource("index:Certificate", "load-balancers", names, ("certificate", "privateKey"), own)
        return aws_balancers.Choice(
            cluster=made.cluster.name,
            region=plan.region,
            vpc=made.network.vpc.id,
            certificate=held.output("certificate").apply(lambda text: _base64(text)),
            key=pulumi.Output.secret(held.output("privateKey")).apply(lambda text: _base64(text)),
            tags=plan.tags,
            image=plan.args.load_balancer_image or aws_balancers.IMAGE,
        )


def _base64(text: Any) -> str:
    return base64.b64encode(text.encode()).decode()


def _place(args: EksArgs, port: int, tls_port: int, *, kubeconfig: Any = "", **made: Any) -> Cluster:
    cluster = Cluster(
        kubeconfig=kubeconfig,
        version=args.version,
        port=port,
        tls_port=tls_port,
        address=BALANCER,
        offers=eksplan.OFFERS,
        storage_class=eksplan.STORAGE_CLASS,
        builder=managed.builder(args.builder, os.environ),
        caddy_image=args.caddy_image,
        cloud="aws",
        balancer=eksplan.balancer_notes(args),
        balancer_class=eksplan.balancer_class(args),
        processors=eksplan.processors(args),
        mode=args.mode,
        tier="eks",
        **made,
    )
    return offering(cluster, args.gateway)


def kubeconfig_of(region: str, name: str, server: str, authority: str) -> str:
    config = pulumi.Config("aws")
    profile, role = config.get("profile"), assumed(config.get("assumeRoles"))
    args = ["eks", "get-token", "--region", region, "--cluster-name", name, "--output", "json"]
    args += ["--role-arn", role] if role else []
    login = Exec("aws", args, {"AWS_PROFILE": profile} if profile else {}, _HINT)
    return managed.kubeconfig(name, server, authority, login)


def _nobody() -> Iterator[Exception]:
    """Where no provider will be asked, as for a plan, nobody need be logged in. A preview asks the provider alone."""
    if not isinstance(get_monitor(), MockMonitor):
        given = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
        if nobody := CREDENTIALS.missing(os.environ, Path.home(), given, "aws"):
            yield nobody
        if not is_dry_run():
            yield from wrong_login(given)
