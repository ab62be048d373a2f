"""The resources of an AKS cluster in their order, by the constructors of Azure's SDK, which no other file imports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pulumi_azure_native import (
    authorization,
    containerregistry,
    containerservice,
    keyvault,
    managedidentity,
    monitor,
    network,
    operationalinsights,
    resources,
)

import pulumi
from anytier.tiers import aksinputs, managed
from anytier.tiers.aksfacts import ACR_PULL, CLUSTER_ADMIN, CRYPTO_USER, NETWORK_CONTRIBUTOR
from anytier.tiers.aksinputs import Made
from anytier.tiers.aksplan import Plan, Pool, own_address
from anytier.tiers.places import Binding, Registry


class AksCluster:
    """A cluster with all that it stands on. `ready`: what must be there before an app is, and goes after it."""

    def __init__(self, plan: Plan, parent: pulumi.Resource) -> None:
        self.plan, self.parent = plan, parent
        who = authorization.get_client_config_output()
        self.tenant, self.subscription = who.tenant_id, who.subscription_id
        self.group = resources.ResourceGroup(plan.group, location=plan.location, tags=plan.tags, opts=self._kept())
        identity = self._new(managedidentity.UserAssignedIdentity, "cluster", aksinputs.account(plan))
        made, before = self._around(identity)
        stays = () if plan.automatic else aksinputs.FIRST_STAYS
        self.cluster = containerservice.ManagedCluster(
            plan.name, opts=self._kept(depends_on=before, ignore=stays), **aksinputs.cluster(plan, made)
        )
        self._logs()
        self._windows()
        pools: list[pulumi.Resource] = []
        for item in plan.agent_pools:
            pools.append(self._pool(item, made, pools[-1:]))
        self.registry, pulls = self._registry()
        self.address = self._address()
        entrance = () if self.address is None else (self.address,)
        self.ready = (self.cluster, *pools, *self._admins(who.object_id), pulls, *entrance)
        self.kubeconfig = self._kubeconfig()

    # what the cluster stands on

    def _around(self, identity: managedidentity.UserAssignedIdentity) -> tuple[Made, list[pulumi.Resource]]:
        """(what the cluster is told of it, what has to be there before): network, key, rights of its identity."""
        vault = self._new(keyvault.Vault, "anytier-kms", aksinputs.vault(self.plan, self.tenant), kept=True)
        key = self._new(keyvault.Key, "etcd", {"vault_name": vault.name, **aksinputs.key(self.plan)}, kept=True)
        who = (identity.principal_id, "ServicePrincipal")
        before: list[pulumi.Resource] = [self._role("may-use-key", CRYPTO_USER, vault.id, who)]
        nodes, api = None, None
        if not self.plan.automatic:
            net = self._new(network.VirtualNetwork, "network", aksinputs.network(self.plan))
            before.append(self._role("may-use-network", NETWORK_CONTRIBUTOR, net.id, who))
            nodes, api = (pulumi.Output.concat(net.id, "/subnets/", name) for name in aksinputs.SUBNETS)
        made = Made(self.group.name, identity.id, self.tenant, key.key_uri_with_version, nodes, api)
        return made, before

    def _role(
        self, name: str, role: str, scope: Any, who: tuple[Any, str], ignore: Sequence[str] = ()
    ) -> authorization.RoleAssignment:
        """`who`: an object id and what kind of principal it is, without which one that is new is not found at first."""
        return authorization.RoleAssignment(
            name,
            scope=scope,
            principal_id=who[0],
            principal_type=who[1],
            role_definition_id=self.subscription.apply(lambda id: aksinputs.role(id, role)),
            opts=pulumi.ResourceOptions(parent=self.parent, ignore_changes=list(ignore)),
        )

    # the cluster's own

    def _pool(self, item: Pool, made: Made, after: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """Its name has the hash of what cannot change: the new pool is there before the old one is drained and goes.

        `after`: AKS makes one pool of a cluster at a time, and refuses another one meanwhile.
        """
        pool: pulumi.Resource = containerservice.AgentPool(
            item.name,
            resource_group_name=self.group.name,
            resource_name_=self.cluster.name,
            agent_pool_name=item.name,
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=list(after)),
            **aksinputs.pool(self.plan, item, made.nodes_subnet),
        )
        return pool

    def _windows(self) -> None:
        for name, window in aksinputs.maintenance(self.plan).items():
            self._part(containerservice.MaintenanceConfiguration, name, window)

    def _logs(self) -> None:
        workspace = self._new(operationalinsights.Workspace, "audit", aksinputs.workspace(self.plan))
        monitor.DiagnosticSetting(
            "audit",
            resource_uri=self.cluster.id,
            workspace_id=workspace.id,
            opts=pulumi.ResourceOptions(parent=self.parent),
            **aksinputs.diagnostics(self.plan),
        )

    def _admins(self, deployer: Any) -> list[authorization.RoleAssignment]:
        """Who may do all in the cluster: those that the config names, else who made it; another deployer takes nothing
        from the first one."""
        named = aksinputs.admins(self.plan.args, deployer)
        keep = () if self.plan.args.admins else ("principalId", "principalType")
        return [self._role(name, CLUSTER_ADMIN, self.cluster.id, who, keep) for name, who in named.items()]

    def _registry(self) -> tuple[Registry, pulumi.Resource]:
        """Where built images go, one that is there or one of the stack's own, and the machines' right to pull."""
        there: Any = self.plan.args.registry
        made: Any = None if there else self._new(containerregistry.Registry, "anytier", aksinputs.registry(self.plan))
        name = there.rpartition("/")[2] if made is None else made.name
        kubelet = self.cluster.identity_profile.apply(lambda known: known["kubeletidentity"].object_id if known else "")
        pulls = self._role("may-pull", ACR_PULL, there or made.id, (kubelet, "ServicePrincipal"))
        prefix = f"{name}.azurecr.io".lower() if made is None else made.login_server
        login = aksinputs.registry_login(name)
        return Registry(prefix, aksinputs.REGISTRY_USER, login, () if made is None else (made,)), pulls

    def _address(self) -> network.PublicIPAddress | None:
        """Beside the load balancers that AKS makes, where it finds it by its name."""
        if not own_address(self.plan):
            return None
        return network.PublicIPAddress(
            "entrance",
            resource_group_name=self.cluster.node_resource_group,
            opts=pulumi.ResourceOptions(parent=self.parent),
            **aksinputs.address(self.plan),
        )

    def _kubeconfig(self) -> pulumi.Output[str]:
        """Of Azure's own only the address and its authority are taken."""
        handed = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=self.group.name,
            resource_name=self.cluster.name,
            server_fqdn="public" if self.plan.private else None,
        )

        def made(known: list[Any]) -> str:
            tenant, name, kubeconfigs = known
            server, authority = aksinputs.reach(kubeconfigs[0]["value"])
            return managed.kubeconfig(name, server, authority, aksinputs.login(self.plan.args, tenant))

        return pulumi.Output.all(self.tenant, self.cluster.name, handed.kubeconfigs).apply(made)

    # workloads

    def bind(self, binding: Binding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """A workload's account may take tokens of the identity that its role names. SpecError for one that is none."""
        identity = aksinputs.identity(binding.workload, binding.role)
        issuer = self.cluster.oidc_issuer_profile.apply(lambda known: known.issuer_url if known else "")
        trusted: pulumi.Resource = managedidentity.FederatedIdentityCredential(
            f"{binding.namespace}-{binding.workload}",
            resource_group_name=identity.group,
            resource_name_=identity.name,
            issuer=issuer,
            subject=f"system:serviceaccount:{binding.namespace}:{binding.account}",
            audiences=[aksinputs.AUDIENCE],
            opts=opts,
        )
        return trusted

    def called(self, binding: Binding) -> pulumi.Output[str]:
        """The client id of that identity, by which Entra knows it."""
        identity = aksinputs.identity(binding.workload, binding.role)
        found = managedidentity.get_user_assigned_identity_output(
            resource_group_name=identity.group, resource_name=identity.name
        )
        client_id: pulumi.Output[str] = found.client_id
        return client_id

    # how

    def _new(self, kind: Any, name: str, props: Mapping[str, Any], kept: bool = False) -> Any:
        """In the group. Azure's provider adds eight digits to the name, so that no two are ever alike."""
        opts = self._kept() if kept else pulumi.ResourceOptions(parent=self.parent)
        return kind(name, resource_group_name=self.group.name, opts=opts, **props)

    def _part(self, kind: Any, name: str, props: Mapping[str, Any]) -> Any:
        """Of the cluster, which the SDK calls `resource_name_`."""
        return self._new(kind, name, {"resource_name_": self.cluster.name, **props})

    def _kept(self, depends_on: Iterable[pulumi.Resource] = (), ignore: Sequence[str] = ()) -> pulumi.ResourceOptions:
        """What is lost for good with a slip of the pen, and what is protected where the config says so."""
        return pulumi.ResourceOptions(
            parent=self.parent,
            depends_on=list(depends_on),
            ignore_changes=list(ignore),
            protect=True if self.plan.args.protect else None,
        )
