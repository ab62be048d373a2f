"""Rules for EKS, over what pulumi-aws 7 registers. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from anytier.marks import UNKNOWN
from anytier.policy.look import any_address, get, given, inside, items, judged, must, not_true, said, true
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Rule

CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
ADDON = "aws:eks/addon:Addon"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
SUBNET = "aws:ec2/subnet:Subnet"
ASSOCIATION = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
CONFIG_MAP = "kubernetes:core/v1:ConfigMap"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_EBS = ("ebs.csi.aws.com", "ebs.csi.eks.amazonaws.com")
_PUBLIC = "kubernetes.io/role/elb"  # the tag by which load balancers for everybody find their subnets
_CNI = "vpc-cni"
_AUTO_CNI, _AUTO_SWITCH = "amazon-vpc-cni", "enable-network-policy-controller"


def _public_endpoint(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Left out, the endpoint is public, and for everybody."""
    public, cidrs = get(resource.props, "vpcConfig.endpointPublicAccess"), get(resource.props, _CIDRS)
    if public is UNKNOWN or cidrs is UNKNOWN or public is False:
        return
    if not cidrs:
        yield Wrong(_CIDRS, "is not set, and the endpoint is public: everybody reaches it")
    elif found := any_address(cidrs):
        yield Wrong(_CIDRS, f"has {found[0]}: everybody reaches it")


_CIDRS = "vpcConfig.publicAccessCidrs"


def _encrypted(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from judged(resource.props, "encryptionConfig.provider.keyArn", given)
    yield from judged(resource.props, "encryptionConfig.resources", lambda value: "secrets" in (value or ()))


def _logs(resource: Resource, context: Context) -> Iterator[Wrong]:
    found = get(resource.props, "enabledClusterLogTypes")
    if found is not UNKNOWN and (missing := [kind for kind in LOGS if kind not in (found or ())]):
        yield Wrong("enabledClusterLogTypes", f"has no {', '.join(missing)}")


def _own_interfaces(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, item in items(resource.props, "networkInterfaces"):
        for wrong in judged(item, "associatePublicIpAddress", not_true):
            yield Wrong(f"{path}.{wrong.path}", wrong.what)


def _disks(resource: Resource, context: Context) -> Iterator[Wrong]:
    disks = items(resource.props, "blockDeviceMappings")
    if not disks and get(resource.props, "blockDeviceMappings") is not UNKNOWN:
        yield Wrong("blockDeviceMappings", "says nothing of the disks, which are then as the image has them")
    for path, item in disks:
        for wrong in judged(item, "ebs.encrypted", true):
            yield Wrong(f"{path}.{wrong.path}", wrong.what)


def _storage(resource: Resource, context: Context) -> Iterator[Wrong]:
    if get(resource.props, "provisioner") in _EBS:
        yield from judged(resource.props, "parameters.encrypted", true)


def _private_subnets(resource: Resource, context: Context) -> Iterator[Wrong]:
    for subnet in context.behind(resource, "subnetIds"):
        if subnet.type == SUBNET and _PUBLIC in inside(subnet.props, "tags"):
            yield Wrong("subnetIds", f"has {subnet.name}, a subnet for public load balancers")


def _policies_enforced(resource: Resource, context: Context) -> Iterator[Wrong]:
    if get(resource.props, "addonName") != _CNI:
        return
    text = get(resource.props, "configurationValues")
    if text is UNKNOWN:
        return
    try:
        values: Any = json.loads(text or "{}")
    except ValueError:
        values = {}
    for wrong in judged(values, "enableNetworkPolicy", true):
        yield Wrong("configurationValues", f"{wrong.path} {wrong.what}")


def _has_policies(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Without the add-on nobody enforces a NetworkPolicy; Auto Mode brings its own network, which has to be told to."""
    auto = get(resource.props, "computeConfig.enabled")
    if auto is UNKNOWN:
        return
    if true(auto):
        if not any(_turns_policies_on(item) for item in context.of(CONFIG_MAP)):
            yield Wrong("computeConfig.enabled", f"is true, and no ConfigMap {_AUTO_CNI} turns network policies on")
    elif not any(get(addon.props, "addonName") in (_CNI, UNKNOWN) for addon in context.of(ADDON)):
        yield Wrong("computeConfig.enabled", f"is not true, and the stack has no add-on {_CNI}")


def _turns_policies_on(settings: Resource) -> bool:
    wanted = (("metadata.name", _AUTO_CNI), ("metadata.namespace", "kube-system"), (f"data.{_AUTO_SWITCH}", "true"))
    return all(get(settings.props, path) in (value, UNKNOWN) for path, value in wanted)


def _own_role(resource: Resource, context: Context) -> Iterator[Wrong]:
    mine: set[Any] = {item.key for item in context.behind(resource, "roleArn")} or {get(resource.props, "roleArn")}
    for other in context.of(ASSOCIATION):
        theirs: set[Any] = {item.key for item in context.behind(other, "roleArn")} or {get(other.props, "roleArn")}
        if other.key != resource.key and UNKNOWN not in mine and mine & theirs:
            yield Wrong("roleArn", f"is also the role of {other.name}")


def _account(resource: Resource, context: Context) -> Iterator[Wrong]:
    for name in ("namespace", "serviceAccount"):
        yield from judged(resource.props, name, lambda value: given(value) and value not in ("default", "*"))


def _version(resource: Resource, context: Context) -> Iterator[Wrong]:
    """The minors are those of docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html."""
    found = get(resource.props, "version")
    if found is UNKNOWN:
        return
    minor = str(found).removeprefix("1.")
    if found is None:
        yield Wrong("version", "is not set: the cloud takes the newest on the day, and says nothing when it gets old")
    elif not (str(found).startswith("1.") and minor.isdigit() and int(minor) >= OLDEST):
        yield Wrong("version", f"{said(found)}, which EKS does not support any more")


OLDEST = 32  # the minor; the extra support of 1.31 ended on 26 November 2026

_LOGIN = "set `endpointPublicAccess: false`, or name in `publicAccessCidrs` who may come"

RULES = (
    Rule(
        "eks-private-endpoint", "high", "Nodes reach the API server by its private endpoint",
        "set vpcConfig.endpointPrivateAccess: true", (CLUSTER,),
        must("vpcConfig.endpointPrivateAccess"), ("CIS EKS 5.4.2",),
    ),
    Rule(
        "eks-public-endpoint", "critical", "The public endpoint is off, or open to named addresses only",
        _LOGIN, (CLUSTER,), _public_endpoint, ("CKV_AWS_38", "CKV_AWS_39", "CIS EKS 5.4.1"),
    ),
    Rule(
        "eks-secrets-encrypted", "high", "Kubernetes Secrets are encrypted with a key of KMS",
        "set encryptionConfig: a provider.keyArn, and resources: [secrets]", (CLUSTER,),
        _encrypted, ("CKV_AWS_58", "CIS EKS 5.3.1"),
    ),
    Rule(
        "eks-control-plane-logs", "medium", "All five logs of the control plane are kept",
        f"set enabledClusterLogTypes: [{', '.join(LOGS)}]", (CLUSTER,), _logs, ("CKV_AWS_37", "CIS EKS 2.1.1"),
    ),
    Rule(
        "eks-access-entries", "high", "Who may use the cluster is said by access entries only",
        "set accessConfig.authenticationMode: API", (CLUSTER,),
        must("accessConfig.authenticationMode", lambda value: value == "API"), ("CIS EKS 4.1.7",),
    ),
    Rule(
        "eks-no-creator-admin", "medium", "Whoever creates the cluster is not its administrator by that alone",
        "set accessConfig.bootstrapClusterCreatorAdminPermissions: false, and give access entries", (CLUSTER,),
        must("accessConfig.bootstrapClusterCreatorAdminPermissions", lambda value: value is False),
    ),
    Rule(
        "eks-version", "high", "The version of Kubernetes is named, and EKS supports it",
        f"set version to 1.{OLDEST} or newer, one minor at a time", (CLUSTER,), _version, ("CKV_AWS_339",),
    ),
    Rule(
        "eks-deletion-protection", "low", "Whether the cluster may be deleted is decided, not left to the default",
        "set deletionProtection, to true for a cluster that must stay", (CLUSTER,),
        must("deletionProtection", lambda value: isinstance(value, bool)),
    ),
    Rule(
        "eks-subnets-no-public-address", "high", "No subnet gives its machines a public address",
        "set mapPublicIpOnLaunch: false; load balancers and gateways take their own address", (SUBNET,),
        must("mapPublicIpOnLaunch", not_true), ("CKV_AWS_130", "CIS EKS 5.4.3"),
    ),
    Rule(
        "eks-nodes-private", "high", "Nodes are in private subnets",
        "give the node group the private subnets", (NODE_GROUP,), _private_subnets, ("CIS EKS 5.4.3",), whole=True,
    ),
    Rule(
        "eks-nodes-no-public-address", "high", "Nodes have no public address",
        "take associatePublicIpAddress out of the launch template's networkInterfaces", (TEMPLATE,),
        _own_interfaces, ("CKV_AWS_88", "CIS EKS 5.4.3"),
    ),
    Rule(
        "eks-nodes-no-ssh", "medium", "Nodes take no SSH",
        "take remoteAccess out; `kubectl debug node/NAME` and SSM lead there", (NODE_GROUP,),
        must("remoteAccess", lambda value: not value), ("CKV_AWS_100",),
    ),
    Rule(
        "eks-nodes-launch-template", "medium", "A node group has a launch template of the stack's",
        "give it a launchTemplate: without one the metadata service and the disks are as the cloud has them",
        (NODE_GROUP,), must("launchTemplate", given),
    ),
    Rule(
        "eks-imds-v2", "high", "The metadata service of nodes wants a session token (IMDSv2)",
        "set metadataOptions.httpTokens: required", (TEMPLATE,),
        must("metadataOptions.httpTokens", lambda value: value == "required"), ("CKV_AWS_79",),
    ),
    Rule(
        "eks-imds-hop-limit", "high", "Pods do not reach their node's metadata service",
        "set metadataOptions.httpPutResponseHopLimit: 1", (TEMPLATE,),
        must("metadataOptions.httpPutResponseHopLimit", lambda value: value == 1), ("CKV_AWS_341",),
    ),
    Rule(
        "eks-node-disks-encrypted", "high", "The disks of nodes are encrypted",
        "set ebs.encrypted: true in every one of blockDeviceMappings", (TEMPLATE,), _disks,
    ),
    Rule(
        "eks-volumes-encrypted", "high", "Volumes of EBS are encrypted",
        "set parameters.encrypted: \"true\" in the storage class", (STORAGE_CLASS,), _storage,
    ),
    Rule(
        "eks-pod-identity-account", "high", "A cloud role is given to one service account of one namespace",
        "name a service account of its own: whoever uses `default` has the role, too", (ASSOCIATION,),
        _account, ("CIS EKS 5.2.1",),
    ),
    Rule(
        "eks-pod-identity-own-role", "medium", "Service accounts do not share a cloud role",
        "make a role for each", (ASSOCIATION,), _own_role, ("CIS EKS 5.2.1",), whole=True,
    ),
    Rule(
        "eks-network-policy", "high", "The VPC CNI enforces network policies",
        "set configurationValues: {\"enableNetworkPolicy\": \"true\"} on the add-on vpc-cni", (ADDON,),
        _policies_enforced, ("CIS EKS 4.3.1", "CIS EKS 5.4.4"),
    ),
    Rule(
        "eks-network-plugin", "high", "A cluster has what enforces network policies: an add-on, in Auto Mode a setting",
        "add the add-on vpc-cni, with enableNetworkPolicy; in Auto Mode the ConfigMap amazon-vpc-cni of kube-system "
        "with enable-network-policy-controller: \"true\"", (CLUSTER,),
        _has_policies, ("CIS EKS 4.3.1",), whole=True,
    ),
    Rule(
        "eks-addons-pinned", "medium", "An add-on's version is pinned",
        "set addonVersion", (ADDON,), must("addonVersion", given),
    ),
)  # fmt: skip
