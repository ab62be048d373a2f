"""A cluster at Google Cloud and what it needs beside its network: APIs, a key for its Secrets, its nodes' account.

Every value comes from the plan; what is written here and nowhere else is what each cluster is: the security baseline.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulumi_gcp import container as gke
from pulumi_gcp.artifactregistry import Repository
from pulumi_gcp.kms import CryptoKey, CryptoKeyIAMMember, KeyRing
from pulumi_gcp.projects import IAMMember, Service, ServiceIdentity
from pulumi_gcp.serviceaccount import Account
from pulumi_gcp.serviceaccount import IAMMember as AccountIAMMember

import pulumi
from anytier.tiers.gkenetwork import Nets
from anytier.tiers.gkeplan import APIS, IGNORED, NODE_ROLES, PODS, SERVICES, Plan, Pool, callers, window
from anytier.tiers.places import Binding

_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]  # what they may do is said by the account's roles
_ROTATION = f"{90 * 24 * 3600}s"
_LOGS = ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS", "WORKLOADS"]
_METRICS = ["APISERVER", "CONTROLLER_MANAGER", "SCHEDULER", "SYSTEM_COMPONENTS"]


def apis(plan: Plan, parent: pulumi.Resource) -> list[pulumi.Resource]:
    """They stay when the stack goes: others in the project may need them."""
    if not plan.args.enable_apis:
        return []
    opts = pulumi.ResourceOptions(parent=parent)
    return [
        Service(
            f"api-{name}", project=plan.project, service=f"{name}.googleapis.com", disable_on_destroy=False, opts=opts
        )
        for name in APIS
    ]


def key(plan: Plan, parent: pulumi.Resource, after: Sequence[pulumi.Resource]) -> CryptoKeyIAMMember:
    """The right of GKE to use the key by which the cluster's Secrets are encrypted; its `crypto_key_id` is the key.

    Google never deletes a key ring, so its name can be had but once: Pulumi adds something random to it.
    """
    own = pulumi.ResourceOptions(parent=parent, depends_on=list(after))
    kept = pulumi.ResourceOptions(parent=parent, protect=plan.args.protect or None)
    ring = KeyRing(f"{plan.name}-keys", project=plan.project, location=plan.region, opts=own)
    made = CryptoKey(
        f"{plan.name}-secrets",
        key_ring=ring.id,
        purpose="ENCRYPT_DECRYPT",
        rotation_period=_ROTATION,
        labels=dict(plan.labels),
        opts=kept,
    )
    agent = ServiceIdentity("gke-agent", project=plan.project, service="container.googleapis.com", opts=own)
    return CryptoKeyIAMMember(
        "gke-uses-key",
        crypto_key_id=made.id,
        role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
        member=agent.member,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def account(plan: Plan, parent: pulumi.Resource, after: Sequence[pulumi.Resource]) -> tuple[Account, list[IAMMember]]:
    """Who the nodes are: not the project's default account, which may do nearly everything."""
    made = Account(
        "nodes",
        project=plan.project,
        account_id=plan.account,
        display_name=f"Nodes of cluster {plan.name}",
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
    roles = [
        IAMMember(
            f"nodes-{role.rpartition('.')[2]}",
            project=plan.project,
            role=role,
            member=made.email.apply(lambda email: f"serviceAccount:{email}"),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for role in NODE_ROLES
    ]
    return made, roles


def registry(plan: Plan, parent: pulumi.Resource, after: Sequence[pulumi.Resource]) -> Repository:
    """Where images that are built here go; it goes with the stack, images and all."""
    return Repository(
        "images",
        project=plan.project,
        location=plan.region,
        repository_id=plan.name,
        format="DOCKER",
        labels=dict(plan.labels),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )


# the cluster


def cluster(
    plan: Plan, parent: pulumi.Resource, nets: Nets, crypto: CryptoKeyIAMMember, nodes: tuple[Account, list[IAMMember]]
) -> gke.Cluster:
    who, roles = nodes
    return gke.Cluster(
        "cluster",
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=[crypto, nets.nat, *roles],
            protect=plan.args.protect or None,
            ignore_changes=list(IGNORED["gcp:container/cluster:Cluster"]),
            delete_before_replace=True,  # its name, and the ranges of its network, can be had but once
            custom_timeouts=pulumi.CustomTimeouts(create="60m", update="120m", delete="60m"),
        ),
        name=plan.name,
        project=plan.project,
        location=plan.region,
        network=nets.network.id,
        subnetwork=nets.subnet.id,
        deletion_protection=plan.args.protect,
        release_channel=gke.ClusterReleaseChannelArgs(channel=plan.args.channel.upper()),
        min_master_version=plan.args.minor,
        maintenance_policy=_maintenance(plan),
        resource_labels=dict(plan.labels),
        **_reached(plan),
        **_hardened(plan, crypto),
        **_watched(),
        **(_autopilot(who) if plan.autopilot else _standard(plan, who)),
    )


def _reached(plan: Plan) -> dict[str, Any]:
    """Pods and Services have addresses of the network; who may reach the API server, and by what."""
    by_address = plan.args.endpoint == "public"
    blocks = [gke.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=net) for net in callers(plan)]
    return {
        "networking_mode": "VPC_NATIVE",
        "ip_allocation_policy": gke.ClusterIpAllocationPolicyArgs(
            cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
        ),
        "private_cluster_config": gke.ClusterPrivateClusterConfigArgs(
            enable_private_nodes=True, enable_private_endpoint=not by_address
        ),
        "master_authorized_networks_config": gke.ClusterMasterAuthorizedNetworksConfigArgs(
            cidr_blocks=blocks, gcp_public_cidrs_access_enabled=False, private_endpoint_enforcement_enabled=True
        ),
        "control_plane_endpoints_config": gke.ClusterControlPlaneEndpointsConfigArgs(
            dns_endpoint_config=gke.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
                allow_external_traffic=plan.args.endpoint == "dns"
            ),
            ip_endpoints_config=gke.ClusterControlPlaneEndpointsConfigIpEndpointsConfigArgs(enabled=True),
        ),
        "gateway_api_config": gke.ClusterGatewayApiConfigArgs(channel="CHANNEL_STANDARD"),
    }


def _hardened(plan: Plan, crypto: CryptoKeyIAMMember) -> dict[str, Any]:
    """The security baseline, as far as it is the same in both modes."""
    return {
        "database_encryption": gke.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=crypto.crypto_key_id),
        "workload_identity_config": gke.ClusterWorkloadIdentityConfigArgs(workload_pool=plan.workload_pool),
        "datapath_provider": "ADVANCED_DATAPATH",
        "enable_legacy_abac": False,
        "master_auth": gke.ClusterMasterAuthArgs(
            client_certificate_config=gke.ClusterMasterAuthClientCertificateConfigArgs(issue_client_certificate=False)
        ),
        "anonymous_authentication_config": gke.ClusterAnonymousAuthenticationConfigArgs(mode="LIMITED"),
        "rbac_binding_config": gke.ClusterRbacBindingConfigArgs(
            enable_insecure_binding_system_authenticated=False, enable_insecure_binding_system_unauthenticated=False
        ),
        "service_external_ips_config": gke.ClusterServiceExternalIpsConfigArgs(enabled=False),
        "security_posture_config": gke.ClusterSecurityPostureConfigArgs(
            mode="BASIC", vulnerability_mode="VULNERABILITY_DISABLED"
        ),
    }


def _watched() -> dict[str, Any]:
    return {
        "logging_config": gke.ClusterLoggingConfigArgs(enable_components=_LOGS),
        "monitoring_config": gke.ClusterMonitoringConfigArgs(
            enable_components=_METRICS,
            managed_prometheus=gke.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
        ),
        "cost_management_config": gke.ClusterCostManagementConfigArgs(enabled=True),
    }


def _maintenance(plan: Plan) -> gke.ClusterMaintenancePolicyArgs:
    start, end, recurrence = window(plan)
    return gke.ClusterMaintenancePolicyArgs(
        recurring_window=gke.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=start, end_time=end, recurrence=recurrence
        )
    )


def _autopilot(who: Account) -> dict[str, Any]:
    """GKE has shielded nodes, secure boot, repair, upgrades and intranode visibility on here; nobody may say so."""
    return {
        "enable_autopilot": True,
        "cluster_autoscaling": gke.ClusterClusterAutoscalingArgs(
            auto_provisioning_defaults=gke.ClusterClusterAutoscalingAutoProvisioningDefaultsArgs(
                service_account=who.email, oauth_scopes=_SCOPES
            )
        ),
        "node_pool_auto_config": gke.ClusterNodePoolAutoConfigArgs(
            node_kubelet_config=gke.ClusterNodePoolAutoConfigNodeKubeletConfigArgs(
                insecure_kubelet_readonly_port_enabled="FALSE"
            )
        ),
    }


def _standard(plan: Plan, who: Account) -> dict[str, Any]:
    """With pools of its own: GKE wants a first one, which is thrown away at once, and is no weaker than the others.

    Its disks are small and of the plain kind: GKE's own choice, 100 GB on each zone's machine, is more than a new
    project may have of the faster one.
    """
    return {
        "node_locations": list(plan.zones),
        "initial_node_count": 1,
        "remove_default_node_pool": True,
        "node_config": gke.ClusterNodeConfigArgs(
            service_account=who.email,
            oauth_scopes=_SCOPES,
            image_type="COS_CONTAINERD",
            disk_type="pd-standard",
            disk_size_gb=20,
            shielded_instance_config=gke.ClusterNodeConfigShieldedInstanceConfigArgs(
                enable_secure_boot=True, enable_integrity_monitoring=True
            ),
            workload_metadata_config=gke.ClusterNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        ),
        "enable_shielded_nodes": True,
        "enable_intranode_visibility": True,
        "node_pool_defaults": gke.ClusterNodePoolDefaultsArgs(
            node_config_defaults=gke.ClusterNodePoolDefaultsNodeConfigDefaultsArgs(
                insecure_kubelet_readonly_port_enabled="FALSE"
            )
        ),
        "addons_config": gke.ClusterAddonsConfigArgs(
            gce_persistent_disk_csi_driver_config=gke.ClusterAddonsConfigGcePersistentDiskCsiDriverConfigArgs(
                enabled=True
            ),
            dns_cache_config=gke.ClusterAddonsConfigDnsCacheConfigArgs(enabled=True),
        ),
    }


# node pools


def pools(plan: Plan, parent: pulumi.Resource, made: gke.Cluster, who: Account) -> list[pulumi.Resource]:
    """Each its own resource: another machine type is another pool, which is there before the old one is drained."""
    return [_pool(plan, item, parent, made, who) for item in plan.pools]


def _pool(plan: Plan, pool: Pool, parent: pulumi.Resource, made: gke.Cluster, who: Account) -> gke.NodePool:
    return gke.NodePool(
        f"pool-{pool.key}",
        opts=pulumi.ResourceOptions(
            parent=parent,
            ignore_changes=list(IGNORED["gcp:container/nodePool:NodePool"]),
            # The provider lets the old one go first, as anything that we name ourselves; but the name is another one.
            delete_before_replace=False,
            custom_timeouts=pulumi.CustomTimeouts(create="60m", update="120m", delete="120m"),
        ),
        name=pool.name,
        project=plan.project,
        location=plan.region,
        cluster=made.name,
        node_locations=list(pool.zones),
        initial_node_count=pool.first,
        autoscaling=gke.NodePoolAutoscalingArgs(
            total_min_node_count=pool.low, total_max_node_count=pool.high, location_policy="BALANCED"
        ),
        management=gke.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
        upgrade_settings=gke.NodePoolUpgradeSettingsArgs(strategy="SURGE", max_surge=1, max_unavailable=0),
        node_drain_configs=[gke.NodePoolNodeDrainConfigArgs(respect_pdb_during_node_pool_deletion=True)],
        network_config=gke.NodePoolNetworkConfigArgs(enable_private_nodes=True),
        node_config=gke.NodePoolNodeConfigArgs(
            machine_type=pool.type,
            spot=pool.spot,
            disk_type=pool.disk,
            disk_size_gb=pool.size,
            image_type="COS_CONTAINERD",
            service_account=who.email,
            oauth_scopes=_SCOPES,
            metadata={"disable-legacy-endpoints": "true"},
            labels=dict(pool.labels),
            resource_labels=dict(plan.labels),
            shielded_instance_config=gke.NodePoolNodeConfigShieldedInstanceConfigArgs(
                enable_secure_boot=True, enable_integrity_monitoring=True
            ),
            workload_metadata_config=gke.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
            kubelet_config=gke.NodePoolNodeConfigKubeletConfigArgs(insecure_kubelet_readonly_port_enabled="FALSE"),
            # Else GKE keeps everything off Arm machines that does not ask for them by name.
            taint_config=gke.NodePoolNodeConfigTaintConfigArgs(architecture_taint_behavior="NONE")
            if pool.arch == "arm64"
            else None,
        ),
    )


# who a workload is


def bind(
    plan: Plan, binding: Binding, project: str, made: gke.Cluster, opts: pulumi.ResourceOptions
) -> pulumi.Resource:
    """A workload's ServiceAccount may act as the service account that its spec names. The pool of identities is there
    once the cluster is."""
    merged = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[made]))
    member: pulumi.Resource = AccountIAMMember(
        f"{binding.workload}-identity",
        service_account_id=f"projects/{project}/serviceAccounts/{binding.role}",
        role="roles/iam.workloadIdentityUser",
        member=f"serviceAccount:{plan.workload_pool}[{binding.namespace}/{binding.account}]",
        opts=merged,
    )
    return member
