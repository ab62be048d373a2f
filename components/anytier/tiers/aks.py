"""Tier `aks`: a managed Kubernetes cluster on Azure, Standard with pools of ours or Automatic, and the way to it.

What is decided is in `aksplan`; here is the order of the resources, by the SDK's own constructors.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pulumi.runtime import config as runtime_config
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.settings import get_monitor
from pulumi_azure_native import (
    authorization,
    containerservice,
    keyvault,
    managedidentity,
    monitor,
    network,
    operationalinsights,
    resources,
)

import pulumi
from anytier.tiers import aksplan, managed
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import ACR_PULL, CLUSTER_ADMIN, CREDENTIALS, CRYPTO_USER, NETWORK_CONTRIBUTOR
from anytier.tiers.aksplan import KEY, LOCATION, Made, Plan
from anytier.tiers.places import Binding, Cluster


class AksTier(pulumi.ComponentResource):
    """A cluster as a place. `exports` holds its kubeconfig, a secret; it has no credentials in it."""

    config_key = "aks"
    args_type = AksArgs

    def __init__(
        self, name: str, args: AksArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        plan = decided(args, pulumi.get_stack())  # first: what is wrong registers nothing
        super().__init__("anytier:tier:Aks", name, {}, opts)
        self.plan = plan
        who = authorization.get_client_config_output()
        self.tenant, self.subscription = who.tenant_id, who.subscription_id
        self.group = resources.ResourceGroup(plan.name, location=plan.location, tags=plan.tags, opts=self._kept())
        identity = self._new(managedidentity.UserAssignedIdentity, "cluster", {"location": plan.location})
        made, before = self._around(identity)
        self.cluster = containerservice.ManagedCluster(
            plan.name, opts=self._kept(depends_on=before), **aksplan.cluster(plan, made)
        )
        self._logs()
        self._windows()
        pools = [self._pool(item, made) for item in plan.pools]
        admins = self._admins(who.object_id)
        kubeconfig = pulumi.Output.secret(self._kubeconfig())
        self.place = replace(
            aksplan.offered(plan, port, tls_port),
            kubeconfig=kubeconfig,
            ready=(self.cluster, *pools, *admins, *self._pulls()),
            identity=self.cluster.id,
            bind=self.bind,
        )
        self.exports: dict[str, Any] = {
            "kubeconfig": kubeconfig,
            "console": pulumi.Output.all(self.tenant, self.cluster.id).apply(lambda both: aksplan.portal(*both)),
            "cluster": self.cluster.name,
            "resourceGroup": self.group.name,
            "costs": aksplan.costs(plan),
            "deletion": managed.protection(KEY, args.protect),
        }
        if plan.private:
            self.exports["access"] = managed.PRIVATE_API.format(key=KEY)
        self.register_outputs(self.exports)

    @staticmethod
    def mode(args: AksArgs) -> str:
        return args.mode

    @staticmethod
    def offered(args: AksArgs, *, port: int, tls_port: int, stack: str) -> Cluster:
        """The cluster as far as it is known without making it: nobody is asked. Where it is does not matter here."""
        plan = aksplan.decide(args, "westeurope", stack, datetime.date.today())
        return aksplan.offered(plan, port, tls_port)

    # what the cluster stands on

    def _around(self, identity: managedidentity.UserAssignedIdentity) -> tuple[Made, list[pulumi.Resource]]:
        """(what the cluster is told of it, what has to be there before): network, key, and the rights of its identity."""
        vault = self._new(keyvault.Vault, "anytier-kms", aksplan.vault(self.plan, self.tenant), kept=True)
        key = self._new(keyvault.Key, "etcd", {"vault_name": vault.name, **aksplan.key(self.plan)}, kept=True)
        before: list[pulumi.Resource] = [self._role("kms", CRYPTO_USER, vault.id, identity.principal_id, True)]
        nodes, api = None, None
        if not self.plan.automatic:
            net = self._new(network.VirtualNetwork, self.plan.name, aksplan.network(self.plan))
            before.append(self._role("network", NETWORK_CONTRIBUTOR, net.id, identity.principal_id, True))
            nodes, api = (pulumi.Output.concat(net.id, "/subnets/", name) for name in ("nodes", "api-server"))
        made = Made(self.group.name, identity.id, self.tenant, key.key_uri_with_version, nodes, api)
        return made, before

    def _role(self, name: str, role: str, scope: Any, principal: Any, service: bool) -> authorization.RoleAssignment:
        """A role for an identity of ours (`service`, which Entra may not know everywhere yet), or for a person or group.

        Who has it is decided when it is given: another deployer takes nothing from the first one."""
        keep = [] if service else ["principalId"]
        return authorization.RoleAssignment(
            name,
            scope=scope,
            principal_id=principal,
            principal_type="ServicePrincipal" if service else None,
            role_definition_id=self.subscription.apply(lambda id: aksplan.role(id, role)),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=keep),
        )

    # the cluster's own

    def _pool(self, item: aksplan.Pool, made: Made) -> containerservice.AgentPool:
        """Its name has the hash of what cannot change: the new pool is there before the old one is drained and goes."""
        return containerservice.AgentPool(
            item.name,
            agent_pool_name=item.name,
            resource_group_name=self.group.name,
            resource_name_=self.cluster.name,
            opts=pulumi.ResourceOptions(parent=self),
            **aksplan.pool(self.plan, item, made.nodes_subnet),
        )

    def _logs(self) -> None:
        workspace = self._new(operationalinsights.Workspace, "audit", aksplan.workspace(self.plan))
        monitor.DiagnosticSetting(
            "audit",
            resource_uri=self.cluster.id,
            workspace_id=workspace.id,
            opts=pulumi.ResourceOptions(parent=self),
            **aksplan.diagnostics(self.plan),
        )

    def _windows(self) -> None:
        for name, window in aksplan.maintenance(self.plan).items():
            containerservice.MaintenanceConfiguration(
                name,
                resource_group_name=self.group.name,
                resource_name_=self.cluster.name,
                opts=pulumi.ResourceOptions(parent=self),
                **window,
            )

    def _admins(self, deployer: Any) -> list[authorization.RoleAssignment]:
        """Who may do all in the cluster: those that the config names, else who made it."""
        named: Mapping[str, Any] = {f"admin-{id}": id for id in self.plan.args.admins} or {"admin": deployer}
        return [self._role(name, CLUSTER_ADMIN, self.cluster.id, id, False) for name, id in named.items()]

    def _pulls(self) -> list[authorization.RoleAssignment]:
        """The nodes may pull from the registry that the config names."""
        if self.plan.args.registry is None:
            return []
        kubelet = self.cluster.identity_profile.apply(lambda known: known["kubeletidentity"].object_id if known else "")
        return [self._role("registry", ACR_PULL, self.plan.args.registry, kubelet, True)]

    def _kubeconfig(self) -> pulumi.Output[str]:
        """Of Azure's own only the address and its authority are taken."""
        handed = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=self.group.name,
            resource_name=self.cluster.name,
            server_fqdn="public" if self.plan.private else None,
        )

        def made(known: list[Any]) -> str:
            tenant, name, kubeconfigs = known
            server, authority = aksplan.reach(kubeconfigs[0].value)
            return managed.kubeconfig(name, server, authority, aksplan.login(self.plan.args, tenant))

        return pulumi.Output.all(self.tenant, self.cluster.name, handed.kubeconfigs).apply(made)

    # workloads

    def bind(self, binding: Binding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """A workload's account may take tokens of the identity that its role names. SpecError for one that is none."""
        identity = aksplan.identity(binding.workload, binding.role)
        issuer = self.cluster.oidc_issuer_profile.apply(lambda known: known.issuer_url if known else "")
        return managedidentity.FederatedIdentityCredential(
            f"{binding.namespace}-{binding.workload}",
            resource_group_name=identity.group,
            resource_name_=identity.name,
            issuer=issuer,
            subject=f"system:serviceaccount:{binding.namespace}:{binding.account}",
            audiences=[aksplan.AUDIENCE],
            opts=opts,
        )

    # how

    def _new(self, kind: Any, name: str, props: Mapping[str, Any], kept: bool = False) -> Any:
        opts = self._kept() if kept else pulumi.ResourceOptions(parent=self)
        return kind(name, resource_group_name=self.group.name, opts=opts, **props)

    def _kept(self, depends_on: Iterable[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """What is lost for good with a slip of the pen, and what is protected where the config says so."""
        return pulumi.ResourceOptions(
            parent=self, depends_on=list(depends_on), protect=True if self.plan.args.protect else None
        )


def decided(args: AksArgs, stack: str) -> Plan:
    """The plan for where the stack says, and a group of ConfigErrors with what is wrong: nobody logged in included."""
    given = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    found: list[Exception] = []
    if not isinstance(get_monitor(), MockMonitor):  # a plan is made without anybody's credentials
        nobody = CREDENTIALS.missing(os.environ, Path.home(), given, "azure")
        found += [nobody] if nobody else []
    try:
        plan = aksplan.decide(args, given.get(LOCATION), stack, datetime.date.today())
    except ExceptionGroup as group:
        raise ExceptionGroup("config", [*group.exceptions, *found]) from None
    if found:
        raise ExceptionGroup("config", found)
    return plan
