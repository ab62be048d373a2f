"""Tier `aks`: a managed Kubernetes cluster on Azure, Standard with pools of ours or Automatic, and the way to it.

What is decided is in `aksplan`, what the resources are told in `aksinputs`, and the resources in `akscluster`, which
alone imports Azure's SDK: a config is read without it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor, is_dry_run

import pulumi
from anytier.errors import ConfigError
from anytier.tiers import aksinputs, aksplan, managed
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import CREDENTIALS, wrong_login
from anytier.tiers.aksplan import KEY, LOCATION, Plan
from anytier.tiers.places import BALANCER, Cluster


class AksTier(pulumi.ComponentResource):
    """A cluster as a place. `exports` holds its kubeconfig, a secret, though no credentials are in it."""

    config_key = "aks"
    args_type = AksArgs
    ports = (80, 443)  # of the load balancer, unless the stack says otherwise

    def __init__(
        self, name: str, args: AksArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = decided(args, pulumi.get_stack())  # first: what is wrong registers nothing
        super().__init__("anytier:tier:Aks", name, {}, opts)
        if args.ingress == "app-routing":
            what = "is AKS's managed NGINX, which Microsoft supports until November 2026 only"
            pulumi.log.warn(f"{KEY}.ingress: {what}; docs/aks.md says what to take instead", self)
        from anytier.tiers.akscluster import AksCluster

        made = AksCluster(plan, self)
        kubeconfig: pulumi.Output[str] = pulumi.Output.secret(made.kubeconfig)
        self.place = replace(
            aksplan.offered(plan, port, tls_port),
            kubeconfig=kubeconfig,
            ready=made.ready,
            identity=made.cluster.id,
            bind=made.bind,
            called=made.called,
            registry=made.registry,
        )
        if made.address is not None:
            self.place = replace(self.place, address=made.address.ip_address)
        self.exports: dict[str, Any] = {
            "kubeconfig": kubeconfig,
            "console": pulumi.Output.all(made.tenant, made.cluster.id).apply(lambda both: aksinputs.portal(*both)),
            "cluster": made.cluster.name,
            "resourceGroup": made.group.name,
            **({} if self.place.address == BALANCER else {"address": self.place.address}),
            "costs": aksinputs.costs(plan),
            "offers": managed.offers(self.place),
            "protection": managed.protection(KEY, args.protect),
            **({"access": managed.PRIVATE_API.format(key=KEY)} if plan.private else {}),
        }
        self.register_outputs(self.exports)

    @staticmethod
    def mode(args: AksArgs) -> str:
        return args.mode

    @staticmethod
    def offered(args: AksArgs, *, port: int, tls_port: int, stack: str) -> Cluster:
        """The cluster as far as it is known without making it: nobody is asked. Where it is does not matter here."""
        plan = aksplan.decide(args, "westeurope", stack, datetime.date.today())
        return aksplan.offered(plan, port, tls_port)


def decided(args: AksArgs, stack: str) -> Plan:
    """The plan for where the stack says. A group of ConfigErrors for all that is wrong, nobody logged in included."""
    given = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    found: list[Exception] = [*_lacking(given, args.login)]
    try:
        plan = aksplan.decide(args, given.get(LOCATION), stack, datetime.date.today())
    except ExceptionGroup as group:
        raise ExceptionGroup("config", [*group.exceptions, *found]) from None
    if found:
        raise ExceptionGroup("config", found)
    return plan


def _lacking(given: dict[str, str], login: str) -> Iterator[ConfigError]:
    """The SDK, and somebody to be at Azure; whoever only records what would be made needs nobody's credentials, and a
    preview only those of Pulumi's provider."""
    yield from managed.lacking("aks", "pulumi_azure_native")
    if not isinstance(get_monitor(), MockMonitor):
        nobody = CREDENTIALS.missing(os.environ, Path.home(), given, "azure")
        if nobody is None and not is_dry_run():
            nobody = wrong_login(login, os.environ, Path.home(), f"{KEY}.login")
        if nobody:
            yield nobody
