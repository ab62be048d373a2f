"""Rules for AKS, over what pulumi-azure-native 3 registers. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from anytier.marks import UNKNOWN
from anytier.policy.look import any_address, each, get, given, items, judged, must, not_false, not_true, one_of, true
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Predicate, Rule

CLUSTER = "azure-native:containerservice:ManagedCluster"
POOL = "azure-native:containerservice:AgentPool"
SETTING = "azure-native:monitor:DiagnosticSetting"
_AUDIT = {"kube-audit", "kube-audit-admin"}
_GROUPS = {"audit", "allLogs"}
_ARM = re.compile(r"(?i:standard)_[A-Z]+[0-9]+[a-z]*p[a-z]*_v[0-9]+")  # `p` among the letters of features is Arm


def pools(resource: Resource) -> Iterable[tuple[str, Any]]:
    """A pool by itself, and those that a cluster lists."""
    return [("", resource.props)] if resource.type == POOL else items(resource.props, "agentPoolProfiles")


def trusted(resource: Resource) -> Iterable[tuple[str, Any]]:
    """Not asked of pools with Arm processors, which tier `aks` makes without a trusted launch."""
    return [(path, pool) for path, pool in pools(resource) if not _ARM.fullmatch(str(get(pool, "vmSize")))]


def _preset(path: str, *good: str) -> Predicate:
    """An Automatic cluster, in which Azure sets this itself, may leave it out."""

    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        automatic = get(resource.props, "sku.name") in ("Automatic", UNKNOWN)
        yield from judged(resource.props, path, lambda value: value in good or (automatic and value is None))

    return wrong


def _restricted(resource: Resource, context: Context) -> Iterator[Wrong]:
    private = get(resource.props, "apiServerAccessProfile.enablePrivateCluster")
    path = "apiServerAccessProfile.authorizedIPRanges"
    ranges = get(resource.props, path)
    if true(private) or UNKNOWN in (private, ranges):
        return
    if not ranges:
        yield Wrong(path, "is not set, and the cluster is not private: everybody reaches the API server")
    elif found := any_address(ranges):
        yield Wrong(path, f"has {found[0]}: everybody reaches the API server")


def _kms(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from judged(resource.props, "securityProfile.azureKeyVaultKms.enabled", true)
    yield from judged(resource.props, "securityProfile.azureKeyVaultKms.keyId", given)


def _audited(resource: Resource, context: Context) -> Iterator[Wrong]:
    if not any(_takes_audit(item) and context.leads_to(item, "resourceUri", resource) for item in context.of(SETTING)):
        yield Wrong("", "no DiagnosticSetting of the stack sends its audit log to a workspace")


def _takes_audit(setting: Resource) -> bool:
    if not given(get(setting.props, "workspaceId")):
        return False
    if get(setting.props, "logs") is UNKNOWN:
        return True
    logs = [log for _, log in items(setting.props, "logs") if not_false(get(log, "enabled"))]
    return any(_audits(get(log, "category"), _AUDIT) or _audits(get(log, "categoryGroup"), _GROUPS) for log in logs)


def _audits(value: Any, wanted: Any) -> bool:
    return value is UNKNOWN or value in wanted


RULES = (
    Rule(
        "aks-private-api", "critical", "The API server is private, or takes named addresses only",
        "set apiServerAccessProfile.enablePrivateCluster: true, or name who may come in authorizedIPRanges", (CLUSTER,),
        _restricted, ("CKV_AZURE_115", "CKV_AZURE_6", "CIS AKS 5.4.1", "CIS AKS 5.4.2"),
    ),
    Rule(
        "aks-no-run-command", "high", "Nobody runs commands on the cluster through Azure's API",
        "set apiServerAccessProfile.disableRunCommand: true", (CLUSTER,),
        must("apiServerAccessProfile.disableRunCommand"),
    ),
    Rule(
        "aks-no-local-accounts", "high", "There is no local administrator, who has a certificate and no name",
        "set disableLocalAccounts: true", (CLUSTER,), must("disableLocalAccounts"), ("CKV_AZURE_141",),
    ),
    Rule(
        "aks-rbac", "critical", "RBAC says who may do what",
        "take enableRBAC: false out", (CLUSTER,), must("enableRBAC", not_false), ("CKV_AZURE_5",),
    ),
    Rule(
        "aks-entra", "high", "Users are those of Entra",
        "set aadProfile.managed: true", (CLUSTER,), must("aadProfile.managed"), ("CIS AKS 5.5.1",),
    ),
    Rule(
        "aks-azure-rbac", "medium", "Rights on the cluster are given in Azure",
        "set aadProfile.enableAzureRBAC: true", (CLUSTER,), must("aadProfile.enableAzureRBAC"), ("CIS AKS 5.5.2",),
    ),
    Rule(
        "aks-network-policy", "high", "Network policies are enforced",
        "set networkProfile.networkPolicy: cilium", (CLUSTER,),
        _preset("networkProfile.networkPolicy", "azure", "calico", "cilium"), ("CKV_AZURE_7", "CIS AKS 5.4.4"),
    ),
    Rule(
        "aks-nodes-no-public-address", "high", "Nodes have no public address",
        "take enableNodePublicIP: true out of the pool", (CLUSTER, POOL),
        each(pools, "enableNodePublicIP", not_true), ("CKV_AZURE_143", "CIS AKS 5.4.3"),
    ),
    Rule(
        "aks-encryption-at-host", "high", "Temporary disks and caches of nodes are encrypted",
        "set enableEncryptionAtHost: true on every pool", (CLUSTER, POOL),
        each(pools, "enableEncryptionAtHost"), ("CKV_AZURE_227",),
    ),
    Rule(
        "aks-secrets-encrypted", "high", "What etcd holds is encrypted with a key of Key Vault",
        "set securityProfile.azureKeyVaultKms: enabled and keyId", (CLUSTER,), _kms, ("CIS AKS 5.3.1",),
    ),
    Rule(
        "aks-oidc-issuer", "medium", "The cluster signs identities that Azure can check",
        "set oidcIssuerProfile.enabled: true", (CLUSTER,), must("oidcIssuerProfile.enabled"), ("CIS AKS 5.2.1",),
    ),
    Rule(
        "aks-workload-identity", "high", "Pods get cloud roles by workload identity",
        "set securityProfile.workloadIdentity.enabled: true", (CLUSTER,),
        must("securityProfile.workloadIdentity.enabled"), ("CIS AKS 5.2.1",),
    ),
    Rule(
        "aks-policy-addon", "medium", "Azure Policy watches what is put on the cluster",
        "set addonProfiles.azurepolicy.enabled: true", (CLUSTER,),
        must("addonProfiles.azurepolicy.enabled"), ("CKV_AZURE_116",),
    ),
    Rule(
        "aks-audit-logs", "medium", "The audit log goes to a workspace",
        "add a DiagnosticSetting of the cluster with a workspaceId and the log kube-audit-admin", (CLUSTER,),
        _audited, ("CKV_AZURE_4", "CIS AKS 2.1.1"), whole=True,
    ),
    Rule(
        "aks-upgrade-channel", "medium", "The cluster follows an upgrade channel",
        "set autoUpgradeProfile.upgradeChannel: patch or stable", (CLUSTER,),
        _preset("autoUpgradeProfile.upgradeChannel", "patch", "stable", "rapid", "node-image"),
        ("CKV_AZURE_171",),
    ),
    Rule(
        "aks-node-upgrades", "medium", "Nodes get security updates by themselves",
        "set autoUpgradeProfile.nodeOSUpgradeChannel: NodeImage or SecurityPatch", (CLUSTER,),
        _preset("autoUpgradeProfile.nodeOSUpgradeChannel", "NodeImage", "SecurityPatch"),
    ),
    Rule(
        "aks-paid-tier", "medium", "The control plane has an SLA",
        "set sku.tier: Standard", (CLUSTER,), must("sku.tier", one_of("Standard", "Premium")), ("CKV_AZURE_170",),
    ),
    Rule(
        "aks-secure-boot", "medium", "Nodes boot signed software only",
        "set securityProfile.enableSecureBoot: true on every pool", (CLUSTER, POOL),
        each(trusted, "securityProfile.enableSecureBoot"),
    ),
    Rule(
        "aks-vtpm", "medium", "Nodes measure what they boot (vTPM)",
        "set securityProfile.enableVTPM: true on every pool", (CLUSTER, POOL),
        each(trusted, "securityProfile.enableVTPM"),
    ),
)  # fmt: skip
