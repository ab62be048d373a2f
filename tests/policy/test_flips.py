"""A good stack keeps each rule, and one property of it turned over breaks that rule, and what must go with it."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.policy.good import ALL, KEY

from anytier.marks import UNKNOWN, Secret
from anytier.policy.check import Finding, judge
from anytier.policy.registry import RULES
from anytier.policy.rendered import CONTAINER, DOMAIN, UNIT, VOLUME, rendered
from anytier.policy.resource import Context, Resource

TODAY = datetime.date(2026, 11, 28)
GONE = object()


@dataclass(frozen=True)
class Flip:
    """`path` of `resource` becomes `value`, or goes. `seen`: of what it is rendered to, of that type. `also`: rules
    that the same property breaks by its nature."""

    rule: str
    resource: str
    path: str
    value: Any = GONE
    seen: str = ""
    also: tuple[str, ...] = ()
    at: str = "props"

    def __str__(self) -> str:
        return f"{self.rule}:{self.resource}.{self.path}"


_POD = "spec.template.spec"
_BOX = f"{_POD}.containers.0"
_SAFE = f"{_BOX}.securityContext"
_ONE = "template.containers.0"
_RUN = "template.process"
SECRET = Secret("x")

FLIPS = [
    Flip("eks-private-endpoint", "eks", "vpcConfig.endpointPrivateAccess", False),
    Flip("eks-private-endpoint", "eks", "vpcConfig.endpointPrivateAccess"),
    Flip("eks-public-endpoint", "eks", "vpcConfig.publicAccessCidrs", ["198.51.100.0/24", "0.0.0.0/0"]),
    Flip("eks-public-endpoint", "eks", "vpcConfig.publicAccessCidrs"),
    Flip("eks-secrets-encrypted", "eks", "encryptionConfig", also=()),
    Flip("eks-secrets-encrypted", "eks", "encryptionConfig.resources", []),
    Flip("eks-secrets-encrypted", "eks", "encryptionConfig.provider.keyArn", ""),
    Flip("eks-control-plane-logs", "eks", "enabledClusterLogTypes", ["api", "audit"]),
    Flip("eks-access-entries", "eks", "accessConfig.authenticationMode", "API_AND_CONFIG_MAP"),
    Flip("eks-no-creator-admin", "eks", "accessConfig.bootstrapClusterCreatorAdminPermissions"),
    Flip("eks-version", "eks", "version"),
    Flip("eks-version", "eks", "version", "1.29"),
    Flip("eks-deletion-protection", "eks", "deletionProtection"),
    Flip("eks-network-plugin", "cni", "addonName", "coredns"),
    Flip("eks-network-plugin", "auto-network", "data.enable-network-policy-controller", "false"),
    Flip("eks-network-plugin", "auto-network", "data"),
    Flip("eks-network-plugin", "auto-network", "metadata.name", "vpc-cni"),
    Flip("eks-network-plugin", "auto-network", "metadata.namespace", "default"),
    Flip("eks-network-policy", "cni", "configurationValues", "{}"),
    Flip("eks-network-policy", "cni", "configurationValues", "not JSON"),
    Flip("eks-addons-pinned", "cni", "addonVersion"),
    Flip("eks-subnets-no-public-address", "subnet", "mapPublicIpOnLaunch", True),
    Flip("eks-nodes-private", "subnet", "tags", {"kubernetes.io/role/elb": "1"}),
    Flip("eks-nodes-no-public-address", "template", "networkInterfaces.0.associatePublicIpAddress", "true"),
    Flip("eks-nodes-no-ssh", "pool", "remoteAccess", {"ec2SshKey": "key"}),
    Flip("eks-nodes-launch-template", "pool", "launchTemplate"),
    Flip("eks-imds-v2", "template", "metadataOptions.httpTokens", "optional"),
    Flip("eks-imds-hop-limit", "template", "metadataOptions.httpPutResponseHopLimit", 2),
    Flip("eks-node-disks-encrypted", "template", "blockDeviceMappings.0.ebs.encrypted", "false"),
    Flip("eks-node-disks-encrypted", "template", "blockDeviceMappings"),
    Flip("eks-volumes-encrypted", "gp3", "parameters.encrypted"),
    Flip("eks-pod-identity-account", "identity", "serviceAccount", "default"),
    Flip("eks-pod-identity-own-role", "identity", "roleArn", ["other-role"], at="property_dependencies"),
    Flip("gke-private-nodes", "gke", "privateClusterConfig.enablePrivateNodes", False),
    Flip("gke-pool-private-nodes", "gke-pool", "networkConfig.enablePrivateNodes", False),
    Flip("gke-authorized-networks", "gke", "masterAuthorizedNetworksConfig"),
    Flip("gke-authorized-networks", "gke", "masterAuthorizedNetworksConfig.cidrBlocks.0.cidrBlock", "0.0.0.0/0"),
    Flip("gke-secrets-encrypted", "gke", "databaseEncryption.state", "DECRYPTED"),
    Flip("gke-secrets-encrypted", "gke", "databaseEncryption.keyName"),
    Flip("gke-workload-identity", "gke", "workloadIdentityConfig"),
    Flip("gke-metadata-server", "gke-pool", "nodeConfig.workloadMetadataConfig.mode", "GCE_METADATA"),
    Flip("gke-node-account", "gke-pool", "nodeConfig.serviceAccount"),
    Flip("gke-node-account", "gke-pool", "nodeConfig.serviceAccount", "1-compute@developer.gserviceaccount.com"),
    Flip("gke-node-account", "gke", "enableAutopilot", True),
    Flip("gke-shielded-nodes", "gke", "enableShieldedNodes", False),
    Flip("gke-secure-boot", "gke-pool", "nodeConfig.shieldedInstanceConfig.enableSecureBoot", False),
    Flip("gke-integrity-monitoring", "gke-pool", "nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring", False),
    Flip("gke-node-image", "gke-pool", "nodeConfig.imageType", "UBUNTU_CONTAINERD"),
    Flip("gke-auto-repair", "gke-pool", "management.autoRepair", False),
    Flip("gke-auto-upgrade", "gke-pool", "management.autoUpgrade"),
    Flip("gke-release-channel", "gke", "releaseChannel.channel", "UNSPECIFIED"),
    Flip("gke-network-policy", "gke", "datapathProvider", "LEGACY_DATAPATH"),
    Flip("gke-no-client-certificate", "gke", "masterAuth.clientCertificateConfig.issueClientCertificate", True),
    Flip("gke-no-legacy-abac", "gke", "enableLegacyAbac", True),
    Flip("gke-logging", "gke", "loggingService", "none"),
    Flip("gke-logging", "gke", "loggingConfig.enableComponents", []),
    Flip("gke-monitoring", "gke", "monitoringConfig.enableComponents", ["WORKLOADS"]),
    Flip("gke-intranode-visibility", "gke", "enableIntranodeVisibility", False),
    Flip("aks-private-api", "aks", "apiServerAccessProfile.authorizedIPRanges"),
    Flip("aks-private-api", "aks", "apiServerAccessProfile.authorizedIPRanges", ["0.0.0.0/0"]),
    Flip("aks-no-run-command", "aks", "apiServerAccessProfile.disableRunCommand", False),
    Flip("aks-no-local-accounts", "aks", "disableLocalAccounts"),
    Flip("aks-rbac", "aks", "enableRBAC", False),
    Flip("aks-entra", "aks", "aadProfile.managed", False),
    Flip("aks-azure-rbac", "aks", "aadProfile.enableAzureRBAC"),
    Flip("aks-network-policy", "aks", "networkProfile.networkPolicy", "none"),
    Flip("aks-nodes-no-public-address", "aks-pool", "enableNodePublicIP", True),
    Flip("aks-nodes-no-public-address", "aks", "agentPoolProfiles.0.enableNodePublicIP", True),
    Flip("aks-encryption-at-host", "aks-pool", "enableEncryptionAtHost", False),
    Flip("aks-encryption-at-host", "aks", "agentPoolProfiles.0.enableEncryptionAtHost"),
    Flip("aks-secrets-encrypted", "aks", "securityProfile.azureKeyVaultKms.enabled", False),
    Flip("aks-oidc-issuer", "aks", "oidcIssuerProfile.enabled", False),
    Flip("aks-workload-identity", "aks", "securityProfile.workloadIdentity.enabled", False),
    Flip("aks-policy-addon", "aks", "addonProfiles.azurepolicy.enabled", False),
    Flip("aks-audit-logs", "audit", "workspaceId"),
    Flip("aks-audit-logs", "audit", "logs.0.category", "kube-scheduler"),
    Flip("aks-upgrade-channel", "aks", "autoUpgradeProfile.upgradeChannel", "none"),
    Flip("aks-node-upgrades", "aks", "autoUpgradeProfile.nodeOSUpgradeChannel", "Unmanaged"),
    Flip("aks-paid-tier", "aks", "sku.tier", "Free"),
    Flip("aks-secure-boot", "aks-pool", "securityProfile.enableSecureBoot", False),
    Flip("aks-vtpm", "aks-pool", "securityProfile.enableVTPM"),
    Flip("kubeadm-encryption-at-rest", "control-plane", "apiServer", {"encryption-provider-config": "/dev/null"}),
    Flip("kubeadm-audit", "control-plane", "audit", False, also=("kubeadm-audit-rotation",)),
    Flip("kubeadm-audit-rotation", "control-plane", "apiServer", {"audit-log-maxage": "7"}),
    Flip("kubeadm-anonymous", "control-plane", "apiServer", {"anonymous-auth": "true"}),
    Flip("kubeadm-anonymous", "control-plane", "apiServer", {"authentication-config": "/tmp/open.yaml"}),
    Flip("kubeadm-no-static-tokens", "control-plane", "apiServer", {"token-auth-file": "/tokens.csv"}),
    Flip("kubeadm-authorization", "control-plane", "apiServer", {"authorization-mode": "AlwaysAllow"}),
    Flip("kubeadm-authorization", "control-plane", "apiServer", {"authorization-mode": "Node"}),
    Flip("kubeadm-admission", "control-plane", "apiServer", {"disable-admission-plugins": "PodSecurity"}),
    Flip("kubeadm-admission", "control-plane", "apiServer", {"enable-admission-plugins": "EventRateLimit"}),
    Flip("kubeadm-no-profiling", "control-plane", "scheduler", {"profiling": "true"}),
    Flip("kubeadm-local-ports", "control-plane", "controllerManager", {"bind-address": "0.0.0.0"}),
    Flip("kubeadm-tls", "control-plane", "apiServer", {"tls-min-version": "VersionTLS10"}),
    Flip("kubeadm-tls", "control-plane", "etcd", {"tls-min-version": "TLS1.1"}),
    Flip("kubeadm-kubelet-certificates", "control-plane", "kubelet", {"serverTLSBootstrap": False}),
    Flip("kubeadm-etcd-clients", "control-plane", "etcd", {"client-cert-auth": "false"}),
    Flip("kubeadm-etcd-clients", "control-plane", "etcd", {"auto-tls": "true"}),
    Flip("kubeadm-kubelet-anonymous", "control-plane", "kubelet", {"authentication": {"anonymous": {"enabled": True}}}),
    Flip("kubeadm-kubelet-authorization", "control-plane", "kubelet", {"authorization": {"mode": "AlwaysAllow"}}),
    Flip("kubeadm-kubelet-client-ca", "control-plane", "kubelet", {"authentication": {"x509": {"clientCAFile": ""}}}),
    Flip("kubeadm-kubelet-read-only-port", "control-plane", "kubelet", {"readOnlyPort": 10255}),
    Flip("kubeadm-kubelet-rotation", "control-plane", "kubelet", {"rotateCertificates": False}),
    Flip("kubeadm-kubelet-kernel", "control-plane", "kubelet", {"protectKernelDefaults": False}),
    Flip("kubeadm-node-kernel", "node", "protectKernelDefaults", False),
    Flip("kubeadm-software-tls", "node", "repository", {"url": "http://mirror.example.org/v1.34/deb/"}),
    Flip("kubeadm-software-tls", "node", "repository", {"registry": "http://mirror.example.org/k8s"}),
    Flip("kubeadm-kubelet-pids", "control-plane", "kubelet", {"podPidsLimit": -1}),
    Flip("kubeadm-kubelet-seccomp", "control-plane", "kubelet", {"seccompDefault": False}),
    Flip("kubeadm-proxy-metrics", "control-plane", "kubeProxy", {"metricsBindAddress": "0.0.0.0:10249"}),
    Flip(
        "kubeadm-certificates-fresh", "control-plane", "certificatesExpire", "2026-12-20T00:00:00Z", at="outputs"
    ),
    Flip("pod-not-root", "web", f"{_POD}.securityContext.runAsNonRoot"),
    Flip("pod-not-root", "web", f"{_SAFE}.runAsUser", 0),
    Flip("pod-no-escalation", "web", f"{_SAFE}.allowPrivilegeEscalation"),
    Flip("pod-capabilities-dropped", "web", f"{_SAFE}.capabilities.drop", ["NET_RAW"]),
    Flip("pod-capabilities-dropped", "network", f"{_SAFE}.capabilities.drop"),
    Flip("pod-capabilities-added", "web", f"{_SAFE}.capabilities.add", ["SYS_ADMIN"]),
    Flip("pod-seccomp", "web", f"{_POD}.securityContext.seccompProfile.type", "Unconfined"),
    Flip("pod-read-only-root", "web", f"{_SAFE}.readOnlyRootFilesystem"),
    Flip("pod-not-privileged", "network", f"{_SAFE}.privileged", True),
    Flip("pod-no-token", "web", f"{_POD}.automountServiceAccountToken"),
    Flip("pod-own-account", "web", f"{_POD}.serviceAccountName", "default"),
    Flip("pod-requests", "web", f"{_BOX}.resources.requests.cpu"),
    Flip("pod-memory-limit", "web", f"{_BOX}.resources.limits"),
    Flip("pod-no-host-namespaces", "web", f"{_POD}.hostNetwork", True),
    Flip("pod-no-host-namespaces", "web", f"{_POD}.hostPID", True),
    Flip("pod-no-host-paths", "web", f"{_POD}.volumes.0", {"name": "data", "hostPath": {"path": "/srv"}}),
    Flip("pod-no-socket", "network", f"{_POD}.volumes.0.hostPath.path", "/run/containerd"),
    Flip("pod-no-host-ports", "web", f"{_BOX}.ports.0.hostPort", 80),
    Flip("pod-image-fixed", "web", f"{_BOX}.image", "registry.example.org:5000/web"),
    Flip("pod-image-fixed", "web", f"{_BOX}.image", "web:latest"),
    Flip("pod-no-secret-in-argv", "web", f"{_BOX}.args.0", SECRET),
    Flip("pod-secret-variables", "web", f"{_BOX}.env.0.value", SECRET),
    Flip("pod-namespace", "web", "metadata.namespace", "default", also=("namespace-default-deny",)),
    Flip("namespace-restricted", "namespace", "metadata.labels", {"pod-security.kubernetes.io/enforce": "baseline"}),
    Flip("namespace-default-deny", "deny", "spec.ingress", [{}]),
    Flip("namespace-default-deny", "deny", "spec.podSelector", {"matchLabels": {"a": "b"}}),
    Flip("namespace-default-deny", "deny", "spec.policyTypes", ["Ingress"]),
    Flip("namespace-default-deny", "deny", "spec.policyTypes", ["Egress"]),
    Flip("namespace-default-deny", "deny", "spec.egress.0", {}),
    Flip("namespace-default-deny", "deny", "spec.egress.1.to.0.ipBlock.except"),
    Flip("namespace-default-deny", "deny", "spec.egress.1.to.0.ipBlock.except", ["10.0.0.0/8"]),
    Flip("rbac-no-wildcards", "role-web", "rules.0.verbs", ["*"]),
    Flip("rbac-no-cluster-admin", "binding", "roleRef.name", "cluster-admin"),
    Flip("host-systemd", "app", "supervisor", "supervisord"),
    Flip("host-not-root", "app", f"{_RUN}.user", "root"),
    Flip("host-not-root", "imaged", f"{_RUN}.user", "0:0"),
    Flip("host-own-user", "app", "User", seen=UNIT),
    Flip("host-no-new-privileges", "app", "NoNewPrivileges", "no", seen=UNIT),
    Flip("host-protect-system", "imaged", "ProtectSystem", "full", seen=UNIT),
    Flip("host-protect-home", "app", "ProtectHome", "no", seen=UNIT),
    Flip("host-private-tmp", "app", "PrivateTmp", seen=UNIT),
    Flip("host-private-devices", "imaged", "PrivateDevices", "no", seen=UNIT),
    Flip("host-address-families", "app", "RestrictAddressFamilies", seen=UNIT),
    Flip("host-address-families", "app", "RestrictAddressFamilies", "AF_INET AF_PACKET", seen=UNIT),
    Flip("host-system-calls", "app", "SystemCallFilter", "@system-service @debug", seen=UNIT),
    Flip("host-capabilities", "imaged", f"{_RUN}.image.capAdd", ["SYS_ADMIN"]),
    Flip("host-no-environment", "app", "Environment", "A=1", seen=UNIT),
    Flip("host-secret-files", "app", f"{_RUN}.files.0.mode", "0644"),
    Flip("host-secret-variables", "app", f"{_RUN}.env.A", SECRET),
    Flip("host-no-secret-in-argv", "app", f"{_RUN}.command.1", "--token=${secrets.token}"),
    Flip("host-no-secret-in-argv", "imaged", f"{_RUN}.image.args.0", SECRET),
    Flip("host-memory-limit", "app", f"{_RUN}.limits.memory"),
    Flip("docker-no-plain-tcp", "contained", "endpoint.key"),
    Flip("docker-no-plain-tcp", "net", "endpoint.host", "tcp://10.0.0.1:2375"),
    Flip("docker-no-plain-tcp", "on-nodes", "builder.caCert"),
    Flip("docker-not-privileged", "contained", "HostConfig.Privileged", True, seen=CONTAINER),
    Flip("docker-no-socket", "contained", "HostConfig.Binds", ["/var/run:/run"], seen=CONTAINER),
    Flip(
        "docker-no-socket", "contained", "HostConfig.Mounts.0", {"Type": "bind", "Source": "/run/docker.sock"},
        seen=CONTAINER,
    ),
    Flip("docker-not-root", "contained", f"{_ONE}.user", "0"),
    Flip("docker-capabilities", "contained", f"{_ONE}.capAdd", ["CAP_SYS_PTRACE"]),
    Flip("docker-no-new-privileges", "contained", "HostConfig.SecurityOpt", [], seen=CONTAINER),
    Flip("docker-secrets-on-tmpfs", "contained", "HostConfig.Tmpfs", seen=CONTAINER),
    Flip("docker-secret-variables", "contained", f"{_ONE}.env.A", SECRET),
    Flip("docker-no-secret-in-argv", "contained", f"{_ONE}.args.1", SECRET),
    Flip("docker-pids-limit", "contained", "HostConfig.PidsLimit", -1, seen=CONTAINER),
    Flip("docker-memory-limit", "contained", f"{_ONE}.limits.memory"),
    Flip("libvirt-verified", "vm", "host.uri", "qemu+tls://h/system?no_verify=1"),
    Flip("libvirt-verified", "vm", "host.uri", "esx://h/?No_Verify=1"),
    Flip("libvirt-verified", "vm", "host.uri", "qemu+libssh://h/system?known_hosts_verify=auto"),
    Flip("libvirt-no-exception", "seed", "host.unverified", True),
    Flip("libvirt-encrypted", "vm", "host.uri", "qemu+tcp://h/system"),
    Flip("libvirt-encrypted", "vm", "host.uri", "hyperv://h/?transport=http"),
    Flip("libvirt-image-digest", "image", "source.sha256"),
    Flip("libvirt-no-remote-console", "vm", "graphics", [{"type": "vnc", "listen": "0.0.0.0"}], seen=DOMAIN),
    Flip("libvirt-private-files", "seed", "mode", "0644", seen=VOLUME),
    Flip("ssh-host-key", "app", "machine.hostKey"),
    Flip("ssh-host-key", "on-nodes", "machines.0.hostKey", None),
    Flip("ssh-host-key", "node", "machine.jump.hostKey"),
    Flip("ssh-time-limit", "machine", "machine.connectTimeout", 0),
    Flip("ssh-time-limit", "app", "machine.connectTimeout"),
    Flip("ssh-key-sealed", "machine", "machine.privateKey", "the key in the open"),
]  # fmt: skip


def turned(tree: Any, path: str, value: Any) -> Any:
    """The same with one value set, or gone."""
    made = copy.deepcopy(tree)
    *above, last = path.split(".")
    place = made
    for step in above:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if isinstance(place, list):
        place[int(last)] = value
    elif value is GONE:
        del place[last]  # what is not there cannot be turned over
    else:
        place[last] = value
    return made


def found(flip: Flip | None = None) -> list[Finding]:
    every: list[Resource] = []
    for item in ALL:
        mine = flip is not None and item.name == flip.resource
        if mine and flip is not None and not flip.seen:
            item = replace(item, **{flip.at: turned(getattr(item, flip.at), flip.path, flip.value)})
        every.append(item)
        for seen in rendered(item):
            if mine and flip is not None and flip.seen == seen.type:
                seen = replace(seen, props=turned(seen.props, flip.path, flip.value))
            every.append(seen)
    context = Context(TODAY, every)
    return [finding for item in every for finding in judge(item, context, RULES.values())]


def test_a_good_stack_keeps_every_rule() -> None:
    assert [(item.rule.id, item.resource.name, item.path, item.what) for item in found()] == []


@pytest.mark.parametrize("flip", FLIPS, ids=str)
def test_one_property_turned_over_breaks_its_rule_and_no_other(flip: Flip) -> None:
    broken = found(flip)
    assert {item.rule.id for item in broken} == {flip.rule, *flip.also}
    for item in broken:
        assert item.rule.remedy in str(item) and "\n" not in str(item) and "Secret" not in item.what


def alone(name: str, *changes: tuple[str, Any]) -> set[str]:
    """What the good stack breaks after changes of one resource."""
    (item,) = [one for one in ALL if one.name == name]
    for path, value in changes:
        item = replace(item, props=turned(item.props, path, value))
    every = [item if one.name == name else one for one in ALL]
    context = Context(TODAY, every)
    return {found.rule.id for found in judge(item, context, RULES.values())}


AUTOMATIC = ("sku.name", "Automatic")
AUTOPILOT = ("enableAutopilot", True)
ARM = ("vmSize", "Standard_D4pds_v6")
PRIVATE = ("privateClusterConfig.enablePrivateEndpoint", True)
OWN = ("clusterAutoscaling", {"autoProvisioningDefaults": {"serviceAccount": "nodes@p.iam.gserviceaccount.com"}})


@pytest.mark.parametrize(
    ("name", "changes", "broken"),
    [
        ("aks", [AUTOMATIC, ("networkProfile.networkPolicy", GONE), ("autoUpgradeProfile", GONE)], set()),
        ("aks", [AUTOMATIC, ("networkProfile.networkPolicy", "none")], {"aks-network-policy"}),
        ("aks", [AUTOMATIC, ("oidcIssuerProfile", GONE)], {"aks-oidc-issuer"}),
        ("aks-pool", [ARM, ("securityProfile.enableSecureBoot", False), ("securityProfile.enableVTPM", False)], set()),
        ("aks-pool", [ARM, ("enableEncryptionAtHost", False)], {"aks-encryption-at-host"}),
        ("aks-pool", [("vmSize", "Standard_D4ds_v6"), ("securityProfile.enableVTPM", False)], {"aks-vtpm"}),
        ("gke", [AUTOPILOT, OWN, ("workloadIdentityConfig", GONE), ("datapathProvider", GONE)], set()),
        ("gke", [AUTOPILOT, OWN, ("databaseEncryption", GONE)], {"gke-secrets-encrypted"}),
        ("gke", [("masterAuthorizedNetworksConfig", GONE), PRIVATE], set()),
        ("eks", [("vpcConfig.publicAccessCidrs", GONE), ("vpcConfig.endpointPublicAccess", False)], set()),
        ("eks", [("computeConfig.enabled", True)], set()),
        ("eks", [("computeConfig.enabled", "true")], set()),
    ],
)  # fmt: skip
def test_what_a_mode_brings_by_itself_need_not_be_said(name: str, changes: Any, broken: set[str]) -> None:
    assert alone(name, *changes) == broken


def test_what_is_no_uri_is_the_plugins_to_refuse() -> None:
    assert found(Flip("libvirt-verified", "vm", "host.uri", "qemu+ssh://[::/system?no_verify=1")) == []


def denied(*policies: dict[str, Any]) -> set[str]:
    """What breaks in the good stack with these policies in the place of its own."""
    (own,) = [item for item in ALL if item.name == "deny"]
    made = [replace(own, urn=str(index), props={**own.props, "spec": spec}) for index, spec in enumerate(policies)]
    every = [*(item for item in ALL if item is not own), *made]
    return {f.rule.id for item in every for f in judge(item, Context(TODAY, every), RULES.values())}


@pytest.mark.parametrize(
    "egress", [[], [{"to": [{"podSelector": {}}]}], [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]]
)
def test_a_way_out_that_names_where_to_is_none_for_everything(egress: list[Any]) -> None:
    assert denied({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": egress}) == set()


def test_ways_in_and_out_may_be_closed_by_one_policy_each() -> None:
    in_, out = ({"podSelector": {}, "policyTypes": [kind]} for kind in ("Ingress", "Egress"))
    assert denied(in_, out) == set()
    assert denied(in_) == denied(out) == denied() == {"namespace-default-deny"}


@pytest.mark.parametrize("cidr", ["169.254.0.0/16", "169.254.169.254/32", "fd00::/8", "::/0"])
def test_a_way_out_to_the_machines_credentials_is_found_however_it_is_written(cidr: str) -> None:
    to = [{"to": [{"ipBlock": {"cidr": cidr}}]}]
    assert denied({"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": to}) == {"namespace-default-deny"}


def test_every_rule_has_its_flip() -> None:
    assert {flip.rule for flip in FLIPS} == set(RULES)


def test_every_rule_looked_at_something_good() -> None:
    """A rule that is about no resource of the good stack would be kept by it for nothing."""
    types = {seen.type for item in ALL for seen in (item, *rendered(item))}
    assert {rule.id for rule in RULES.values() if not types & set(rule.on)} == set()


def places(tree: Any) -> Iterator[tuple[Any, ...]]:
    """The way to every value, however deep."""
    found = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for step, value in found:
        yield (step,)
        yield from ((step, *rest) for rest in places(value))


def unknown_at(tree: Any, path: tuple[Any, ...]) -> Any:
    """A copy in which the value at `path` is not known yet."""
    copied = copy.deepcopy(tree)
    *above, last = path
    at = copied
    for step in above:
        at = at[step]
    at[last] = UNKNOWN
    return copied


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.name)
def test_what_is_not_known_yet_breaks_nothing(item: Resource) -> None:
    """A preview does not know what other resources will say; the run that knows is judged."""
    for name in places(item.props):
        every = [replace(one, props=unknown_at(one.props, name)) if one is item else one for one in ALL]
        every = [seen for one in every for seen in (one, *rendered(one))]
        context = Context(TODAY, every)
        assert [str(f) for one in every for f in judge(one, context, RULES.values())] == [], name


def test_a_secret_is_never_shown() -> None:
    from anytier.policy.look import shown

    text = shown({"a": [Secret("canary")], "b": UNKNOWN}) + shown(Secret("canary"))
    assert "canary" not in text and KEY not in text
