"""The cluster itself on EKS, in its order: key, roles, network, control plane, who comes in, add-ons, machines."""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from typing import Any

from pulumi_aws import cloudwatch, ecr, eks, iam, kms

import pulumi
from anytier.errors import SpecError
from anytier.render.kubernetes.addons import aws_balancers
from anytier.tiers import eksbalancers, eksiam, eksnodes
from anytier.tiers.eksargs import is_role
from anytier.tiers.eksiam import Role
from anytier.tiers.eksnetwork import Network
from anytier.tiers.eksplan import LOGS, Addon, Plan, cluster_name
from anytier.tiers.places import Binding

_PODS, _EC2, _EKS = "pods.eks.amazonaws.com", "ec2.amazonaws.com", "eks.amazonaws.com"
_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


class EksCluster(pulumi.ComponentResource):
    """`ready`: what must stand before anything runs there. What is registered first goes last, so nothing is left
    without the network, the role or the add-on that its end needs."""

    def __init__(self, plan: Plan, opts: pulumi.ResourceOptions) -> None:
        super().__init__("anytier:eks:Cluster", "aws", {}, opts)
        self.plan = plan
        self.network = Network(plan, pulumi.ResourceOptions(parent=self))
        self.name = self.network.vpc.id.apply(lambda vpc: cluster_name(plan.prefix, vpc))
        self.nodes_role = self._role("nodes", _EC2, eksiam.AUTO_NODES if plan.auto else eksiam.NODES)
        self.cluster = self._cluster()
        enters = self._admins()
        early = [self._addon(item, []) for item in plan.addons if item.early]
        self.groups = [self._group(pool, early) for pool in plan.pools]
        late = [self._addon(item, self.groups) for item in plan.addons if not item.early]
        self.ready: list[pulumi.Resource] = [self.cluster, *enters, *early, *self.groups, *late]
        if plan.controller:
            self.ready.append(self._balancers())
        self.endpoint = self.cluster.endpoint
        self.authority: pulumi.Output[str] = self.cluster.certificate_authority.apply(lambda held: held.data or "")
        self.register_outputs({"name": self.cluster.name, "endpoint": self.endpoint})

    def bind(self, binding: Binding, opts: pulumi.ResourceOptions) -> pulumi.Resource:
        """The role has to trust pods.eks.amazonaws.com, which only its owner can see to."""
        if not is_role(binding.role):
            path = f"workloads.{binding.workload}.identity.cloudRoles.aws"
            do = "give its ARN, such as arn:aws:iam::123456789012:role/web"
            raise SpecError(path, f"{binding.role[:80]!r} is no role of IAM", do)
        made: pulumi.Resource = eks.PodIdentityAssociation(
            f"{binding.workload}-identity",
            cluster_name=self.cluster.name,
            namespace=binding.namespace,
            service_account=binding.account,
            role_arn=binding.role,
            tags=dict(self.plan.tags),
            opts=opts,
        )
        return made

    def push(self, name: str, opts: pulumi.ResourceOptions) -> tuple[Any, Any]:
        """A repository of ECR, which goes with all its images, and a login for some hours."""
        made = ecr.Repository(
            name.lower(),
            # Pods name digests; a push that was cut short must be able to send the same tag again.
            image_tag_mutability="MUTABLE",
            image_scanning_configuration=ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS")],
            force_delete=True,
            tags=dict(self.plan.tags),
            opts=opts,
        )
        return made.repository_url, self.registry_login

    @cached_property
    def registry_login(self) -> Any:
        token: Any = ecr.get_authorization_token_output()
        return pulumi.Output.secret(pulumi.Output.format("{0}:{1}", token.user_name, token.password))

    # the steps

    def _cluster(self) -> eks.Cluster:
        plan, args = self.plan, self.plan.args
        keep = pulumi.ResourceOptions(parent=self, protect=args.protect)
        key = kms.Key(
            "secrets",
            description=f"Kubernetes secrets of {plan.prefix}",
            enable_key_rotation=True,
            deletion_window_in_days=30,
            tags=dict(plan.tags),
            opts=keep,
        )
        policies = (*eksiam.CLUSTER, *(eksiam.AUTO_CLUSTER if plan.auto else ()))
        role = self._role("control-plane", _EKS, policies, tagged=plan.auto)
        logs = cloudwatch.LogGroup(
            "logs",
            name=self.name.apply(lambda name: f"/aws/eks/{name}/cluster"),  # where EKS itself would make one
            retention_in_days=args.log_days,
            tags=dict(plan.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        after = [*role.ready, logs, *self.network.ready, *self.network.outside]
        after += self.nodes_role.ready if plan.auto else []
        return eks.Cluster(
            "control-plane",
            name=self.name,
            role_arn=role.arn,
            version=args.version,
            vpc_config=eks.ClusterVpcConfigArgs(
                subnet_ids=[subnet.id for subnet in self.network.private.values()],
                endpoint_private_access=True,
                endpoint_public_access=bool(args.access),
                public_access_cidrs=list(args.access) or None,
            ),
            access_config=eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            encryption_config=eks.ClusterEncryptionConfigArgs(
                provider=eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=list(LOGS),
            kubernetes_network_config=eks.ClusterKubernetesNetworkConfigArgs(
                ip_family="ipv4",
                service_ipv4_cidr=args.services,
                elastic_load_balancing=eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(enabled=plan.auto),
            ),
            compute_config=eks.ClusterComputeConfigArgs(
                enabled=plan.auto,
                node_pools=["general-purpose", "system"] if plan.auto else None,
                node_role_arn=self.nodes_role.arn if plan.auto else None,
            ),
            storage_config=eks.ClusterStorageConfigArgs(
                block_storage=eks.ClusterStorageConfigBlockStorageArgs(enabled=plan.auto)
            ),
            bootstrap_self_managed_addons=False,
            upgrade_policy=eks.ClusterUpgradePolicyArgs(support_type=args.support.upper()),
            deletion_protection=args.protect,
            tags=dict(plan.tags),
            opts=pulumi.ResourceOptions.merge(keep, pulumi.ResourceOptions(depends_on=after)),
        )

    def _admins(self) -> list[pulumi.Resource]:
        """Nobody comes in by having made the cluster; without names, it is whoever deploys."""
        given = self.plan.args.admins
        principals: dict[str, Any] = {f"admin-{_short(arn)}": arn for arn in given} or {"admin": eksiam.deployer()}
        made: list[pulumi.Resource] = []
        for name, arn in principals.items():
            entry = eks.AccessEntry(
                name,
                cluster_name=self.cluster.name,
                principal_arn=arn,
                type="STANDARD",
                tags=dict(self.plan.tags),
                opts=pulumi.ResourceOptions(parent=self),
            )
            allowed = eks.AccessPolicyAssociation(
                f"{name}-may-all",
                cluster_name=self.cluster.name,
                principal_arn=arn,
                policy_arn=_ADMIN,
                access_scope=eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[entry]),
            )
            made += [entry, allowed]
        return made

    def _addon(self, addon: Addon, after: list[Any]) -> eks.Addon:
        role = self._role(addon.name, _PODS, [addon.policy], tagged=True) if addon.policy else None
        identities = (
            [eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=addon.account)] if role else None
        )
        return eks.Addon(
            addon.name,
            cluster_name=self.cluster.name,
            addon_name=addon.name,
            addon_version=addon.version,
            configuration_values=json.dumps(addon.config, sort_keys=True) if addon.config else None,
            pod_identity_associations=identities,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            preserve=False,
            tags=dict(self.plan.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*after, *(role.ready if role else ())]),
        )

    def _balancers(self) -> pulumi.Resource:
        """Who the controller of load balancers is at AWS: known before its pods, which would be nobody otherwise."""
        role, own = self._role("load-balancers", _PODS, (), tagged=True), pulumi.ResourceOptions(parent=self)
        may = iam.RolePolicy(
            "load-balancers-may", role=role.role.name, policy=self.cluster.name.apply(eksbalancers.policy), opts=own
        )
        made: pulumi.Resource = eks.PodIdentityAssociation(
            "load-balancers-identity",
            cluster_name=self.cluster.name,
            namespace=aws_balancers.NAMESPACE,
            service_account=aws_balancers.NAME,
            role_arn=role.arn,
            tags=dict(self.plan.tags),
            opts=pulumi.ResourceOptions.merge(own, pulumi.ResourceOptions(depends_on=[may])),
        )
        return made

    def _group(self, pool: Any, early: list[eks.Addon]) -> eks.NodeGroup:
        return eksnodes.group(
            self.plan,
            pool,
            cluster=self.cluster.name,
            role=self.nodes_role.arn,
            subnets=[subnet.id for subnet in self.network.private.values()],
            after=[*early, *self.nodes_role.ready, *self.network.ready],
            parent=self,
        )

    def _role(self, name: str, service: str, policies: Any, tagged: bool = False) -> Role:
        return Role(name, service, policies, self.plan.tags, self, tagged=tagged)


def _short(arn: str) -> str:
    return hashlib.sha256(arn.encode()).hexdigest()[:8]
