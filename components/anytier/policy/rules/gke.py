"""Rules for GKE, over what pulumi-gcp 10 registers. Pure.

An Autopilot cluster has no node pools of the stack's, and Google sets there what it does not let anybody change:
Shielded nodes, COS, repair and upgrade, workload identity with its metadata server, and Dataplane V2.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from anytier.marks import UNKNOWN
from anytier.policy.look import any_address, each, get, given, items, judged, must, not_false, not_true, said, true
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Predicate, Rule

CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"
_OWN_NODES = (CLUSTER, POOL)


def autopilot(resource: Resource) -> bool:
    """Or it may be one: that is not known yet."""
    found = get(resource.props, "enableAutopilot")
    return found is UNKNOWN or true(found)


def nodes(resource: Resource) -> Iterable[tuple[str, Any]]:
    """The nodes' configuration: a pool's, and the cluster's own where it keeps its default pool or lists pools."""
    if resource.type == POOL:
        return [("nodeConfig", get(resource.props, "nodeConfig"))]
    if autopilot(resource):
        return []
    listed = [(f"{path}.nodeConfig", get(pool, "nodeConfig")) for path, pool in items(resource.props, "nodePools")]
    removed = get(resource.props, "removeDefaultNodePool")
    return (
        listed if listed or removed is UNKNOWN or true(removed) else [("nodeConfig", get(resource.props, "nodeConfig"))]
    )


def _unless_autopilot(predicate: Predicate) -> Predicate:
    def wrong(resource: Resource, context: Context) -> Iterable[Wrong]:
        return () if autopilot(resource) else predicate(resource, context)

    return wrong


def _authorized(resource: Resource, context: Context) -> Iterator[Wrong]:
    """No addresses at all are named where the endpoint by IP is off, or private."""
    off = get(resource.props, "controlPlaneEndpointsConfig.ipEndpointsConfig.enabled")
    private = get(resource.props, "privateClusterConfig.enablePrivateEndpoint")
    if off is False or true(private) or UNKNOWN in (off, private):
        return
    path = "masterAuthorizedNetworksConfig"
    if get(resource.props, path) is None:
        yield Wrong(path, "is not set: everybody reaches the API server")
        return
    for where, block in items(resource.props, f"{path}.cidrBlocks"):
        if any_address([get(block, "cidrBlock")]):
            yield Wrong(f"{where}.cidrBlock", f"{said(get(block, 'cidrBlock'))}: everybody reaches the API server")


def _own_account(resource: Resource, context: Context) -> Iterator[Wrong]:
    for base, config in nodes(resource):
        yield from (Wrong(f"{base}.{item.path}", item.what) for item in judged(config, "serviceAccount", _own))
    if resource.type == CLUSTER and true(get(resource.props, "enableAutopilot")):
        yield from judged(resource.props, "clusterAutoscaling.autoProvisioningDefaults.serviceAccount", _own)


def _own(value: Any) -> bool:
    return given(value) and value != "default" and not str(value).endswith("-compute@developer.gserviceaccount.com")


def _policies(resource: Resource, context: Context) -> Iterator[Wrong]:
    provider, enabled = get(resource.props, "datapathProvider"), get(resource.props, "networkPolicy.enabled")
    if provider not in ("ADVANCED_DATAPATH", UNKNOWN) and enabled is not UNKNOWN and not true(enabled):
        yield Wrong("datapathProvider", f"{said(provider)}, and networkPolicy.enabled {said(enabled)}")


def _kept(service: str, config: str) -> Predicate:
    """Logs or metrics: the service is not switched off, and the components include the system's."""

    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        yield from judged(resource.props, service, lambda value: value != "none")
        parts = get(resource.props, f"{config}.enableComponents")
        if isinstance(parts, (list, tuple)) and "SYSTEM_COMPONENTS" not in parts:
            yield Wrong(f"{config}.enableComponents", "has no SYSTEM_COMPONENTS")

    return wrong


RULES = (
    Rule(
        "gke-private-nodes", "high", "Nodes have no public address",
        "set privateClusterConfig.enablePrivateNodes: true", (CLUSTER,),
        must("privateClusterConfig.enablePrivateNodes"), ("CKV_GCP_64", "CKV_GCP_25", "CIS GKE 5.6.5"),
    ),
    Rule(
        "gke-pool-private-nodes", "high", "No pool takes private nodes back",
        "take networkConfig.enablePrivateNodes: false out of the pool", (POOL,),
        must("networkConfig.enablePrivateNodes", not_false), ("CIS GKE 5.6.5",),
    ),
    Rule(
        "gke-authorized-networks", "critical", "The API server takes connections from named networks only",
        "name them in masterAuthorizedNetworksConfig.cidrBlocks, or switch the IP endpoint off", (CLUSTER,),
        _authorized, ("CKV_GCP_20", "CKV_GCP_18", "CIS GKE 5.6.3", "CIS GKE 5.6.4"),
    ),
    Rule(
        "gke-secrets-encrypted", "high", "Kubernetes Secrets are encrypted with a key of Cloud KMS",
        "set databaseEncryption: state ENCRYPTED and keyName", (CLUSTER,),
        lambda resource, context: [
            *judged(resource.props, "databaseEncryption.state", lambda value: value == "ENCRYPTED"),
            *judged(resource.props, "databaseEncryption.keyName", given),
        ],
        ("CIS GKE 5.3.1",),
    ),
    Rule(
        "gke-workload-identity", "high", "Pods get cloud roles by workload identity",
        "set workloadIdentityConfig.workloadPool: PROJECT.svc.id.goog", (CLUSTER,),
        _unless_autopilot(must("workloadIdentityConfig.workloadPool", given)), ("CIS GKE 5.2.2",),
    ),
    Rule(
        "gke-metadata-server", "high", "Pods see GKE's metadata server, not their node's",
        "set nodeConfig.workloadMetadataConfig.mode: GKE_METADATA", _OWN_NODES,
        each(nodes, "workloadMetadataConfig.mode", lambda value: value == "GKE_METADATA"),
        ("CKV_GCP_69", "CIS GKE 5.4.1"),
    ),
    Rule(
        "gke-node-account", "high", "Nodes have a service account of their own",
        "set serviceAccount to one with no role but logs, metrics and reading images", _OWN_NODES,
        _own_account, ("CIS GKE 5.2.1",),
    ),
    Rule(
        "gke-shielded-nodes", "medium", "Nodes prove who they are (Shielded GKE nodes)",
        "take enableShieldedNodes: false out", (CLUSTER,), must("enableShieldedNodes", not_false),
        ("CKV_GCP_71", "CIS GKE 5.5.5"),
    ),
    Rule(
        "gke-secure-boot", "medium", "Nodes boot signed software only",
        "set nodeConfig.shieldedInstanceConfig.enableSecureBoot: true", _OWN_NODES,
        each(nodes, "shieldedInstanceConfig.enableSecureBoot"), ("CKV_GCP_68", "CIS GKE 5.5.7"),
    ),
    Rule(
        "gke-integrity-monitoring", "medium", "What a node boots is compared with what it booted before",
        "set nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring: true", _OWN_NODES,
        each(nodes, "shieldedInstanceConfig.enableIntegrityMonitoring"), ("CKV_GCP_72", "CIS GKE 5.5.6"),
    ),
    Rule(
        "gke-node-image", "medium", "Nodes run Container-Optimized OS with containerd",
        "set nodeConfig.imageType: COS_CONTAINERD", _OWN_NODES,
        each(nodes, "imageType", lambda value: str(value).upper() == "COS_CONTAINERD"),
        ("CKV_GCP_22", "CIS GKE 5.5.1"),
    ),
    Rule(
        "gke-auto-repair", "medium", "A broken node is replaced by itself",
        "set management.autoRepair: true", (POOL,), must("management.autoRepair"), ("CKV_GCP_9", "CIS GKE 5.5.2"),
    ),
    Rule(
        "gke-auto-upgrade", "medium", "Nodes follow the control plane's version by themselves",
        "set management.autoUpgrade: true", (POOL,), must("management.autoUpgrade"), ("CKV_GCP_10", "CIS GKE 5.5.3"),
    ),
    Rule(
        "gke-release-channel", "medium", "The cluster is in a release channel",
        "set releaseChannel.channel: REGULAR or STABLE", (CLUSTER,),
        must("releaseChannel.channel", lambda value: given(value) and value != "UNSPECIFIED"),
        ("CKV_GCP_70", "CIS GKE 5.5.4"),
    ),
    Rule(
        "gke-network-policy", "high", "Network policies are enforced",
        "set datapathProvider: ADVANCED_DATAPATH (Dataplane V2)", (CLUSTER,),
        _unless_autopilot(_policies), ("CKV_GCP_12", "CIS GKE 4.3.1"),
    ),
    Rule(
        "gke-no-client-certificate", "high", "No client certificate is issued, which nobody could revoke",
        "take masterAuth.clientCertificateConfig.issueClientCertificate: true out", (CLUSTER,),
        must("masterAuth.clientCertificateConfig.issueClientCertificate", not_true), ("CKV_GCP_13", "CIS GKE 5.8.1"),
    ),
    Rule(
        "gke-no-legacy-abac", "high", "Only RBAC says who may do what",
        "take enableLegacyAbac: true out", (CLUSTER,), must("enableLegacyAbac", not_true),
        ("CKV_GCP_7", "CIS GKE 5.8.3"),
    ),
    Rule(
        "gke-logging", "medium", "The cluster's own logs are kept",
        "set loggingConfig.enableComponents with SYSTEM_COMPONENTS, and no loggingService: none", (CLUSTER,),
        _kept("loggingService", "loggingConfig"), ("CKV_GCP_1", "CIS GKE 5.7.1"),
    ),
    Rule(
        "gke-monitoring", "medium", "The cluster's own metrics are kept",
        "set monitoringConfig.enableComponents with SYSTEM_COMPONENTS, and no monitoringService: none", (CLUSTER,),
        _kept("monitoringService", "monitoringConfig"), ("CKV_GCP_8", "CIS GKE 5.7.1"),
    ),
    Rule(
        "gke-intranode-visibility", "medium", "The VPC sees traffic between pods of one node, too",
        "set enableIntranodeVisibility: true", (CLUSTER,),
        _unless_autopilot(must("enableIntranodeVisibility")), ("CKV_GCP_61", "CIS GKE 5.6.1"),
    ),
)  # fmt: skip
