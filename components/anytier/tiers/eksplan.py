"""From what a stack says of an EKS cluster to what makes it. Pure: no call, no SDK.

Names are given only where something else must know them before the thing is there; all others end in what Pulumi makes
up, so that two stacks of one name never meet. The cluster is called after its VPC, whose id nobody else has.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anytier.errors import ConfigError
from anytier.render.kubernetes.addons import aws_balancers
from anytier.tiers import managed
from anytier.tiers.eksargs import (
    ADDONS,
    EXAMPLE_REGION,
    EXAMPLE_TYPE,
    KEY,
    REGIONS,
    SPOT,
    TYPES,
    VERSIONS,
    EksArgs,
    arch_of,
    has_nvidia,
)
from anytier.tiers.managed import Nodes
from anytier.tiers.places import Offer

STORAGE_CLASS = "gp3"
LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
INTERFACES = ("autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "logs", "sts")
OFFERS: frozenset[Offer] = frozenset({"load-balancer", "metrics", "network-policy", "storage"})

_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
_TYPE = "service.beta.kubernetes.io/aws-load-balancer-type"
_INTERNAL = "service.beta.kubernetes.io/aws-load-balancer-internal"
_ACROSS = "service.beta.kubernetes.io/aws-load-balancer-cross-zone-load-balancing-enabled"
_ATTRIBUTES = "service.beta.kubernetes.io/aws-load-balancer-attributes"  # controllers do not take the one above
_TARGETS = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type"

# Type -> the properties whose change makes another one: the old one goes. From the Terraform provider that pulumi-aws
# is made of (2026-11): cluster.go and node_group.go of its internal/service/eks, the others as it documents them.
# Only what is used here.
REPLACES: Mapping[str, frozenset[str]] = {
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock"}),
    "aws:ec2/internetGateway:InternetGateway": frozenset(),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": frozenset({"vpcId"}),
    "aws:ec2/subnet:Subnet": frozenset({"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId"}),
    "aws:ec2/eip:Eip": frozenset({"domain"}),
    "aws:ec2/natGateway:NatGateway": frozenset({"allocationId", "subnetId", "connectivityType"}),
    "aws:ec2/routeTable:RouteTable": frozenset({"vpcId"}),
    "aws:ec2/route:Route": frozenset({"routeTableId", "destinationCidrBlock"}),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": frozenset({"subnetId"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"name", "vpcId", "description"}),
    "aws:ec2/vpcEndpoint:VpcEndpoint": frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
    "aws:ec2/launchTemplate:LaunchTemplate": frozenset({"name", "namePrefix"}),
    "aws:ecr/repository:Repository": frozenset({"name", "encryptionConfigurations"}),
    "aws:kms/key:Key": frozenset({"customerMasterKeySpec", "keyUsage", "multiRegion"}),
    "aws:iam/role:Role": frozenset({"name", "namePrefix", "path"}),
    "aws:iam/rolePolicy:RolePolicy": frozenset({"name", "namePrefix", "role"}),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": frozenset({"role", "policyArn"}),
    "aws:cloudwatch/logGroup:LogGroup": frozenset({"name", "logGroupClass"}),
    "aws:eks/cluster:Cluster": frozenset(
        {
            "name",
            "roleArn",
            "bootstrapSelfManagedAddons",
            "outpostConfig",
            "accessConfig.bootstrapClusterCreatorAdminPermissions",
            "kubernetesNetworkConfig.ipFamily",
            "kubernetesNetworkConfig.serviceIpv4Cidr",
            "computeConfig.nodeRoleArn",
        }
    ),
    "aws:eks/nodeGroup:NodeGroup": frozenset(
        {
            "clusterName",
            "nodeGroupName",
            "nodeRoleArn",
            "subnetIds",
            "amiType",
            "capacityType",
            "diskSize",
            "instanceTypes",
            "launchTemplate.id",
            "launchTemplate.name",
        }
    ),
    "aws:eks/addon:Addon": frozenset({"clusterName", "addonName"}),
    "aws:eks/accessEntry:AccessEntry": frozenset({"clusterName", "principalArn", "type"}),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": frozenset(
        {"clusterName", "principalArn", "policyArn", "accessScope"}
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": frozenset({"clusterName", "namespace", "serviceAccount"}),
}

# ... of which these only make another one where there was a value before.
ONCE_GIVEN = frozenset({"computeConfig.nodeRoleArn"})


@dataclass(frozen=True)
class Zone:
    """A zone by its id, with the networks of its two subnets."""

    id: str
    private: str
    public: str


@dataclass(frozen=True)
class Pool:
    """A node group. `name` is its logical one, `group` AWS', with the hash of what makes another group."""

    name: str
    group: str
    nodes: Nodes
    types: tuple[str, ...]
    ami: str
    disk: str  # the device of the volume that holds images and pods


@dataclass(frozen=True)
class Addon:
    """A managed add-on. `early`: nodes are not ready without it. `policy` is AWS' own, for its `account`."""

    name: str
    version: str
    early: bool = False
    policy: str | None = None
    account: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """A cluster, decided. `prefix` begins the cluster's name."""

    args: EksArgs
    region: str
    prefix: str
    zones: tuple[Zone, ...]
    pools: tuple[Pool, ...]
    addons: tuple[Addon, ...]
    endpoints: tuple[str, ...]
    tags: Mapping[str, str]
    warnings: tuple[str, ...]

    @property
    def auto(self) -> bool:
        return self.args.mode == "auto"

    @property
    def controller(self) -> bool:
        return has_controller(self.args)

    @property
    def gateways(self) -> int:
        """How many NAT gateways."""
        return {"one": 1, "each": len(self.zones), "none": 0}[self.args.nat]


def decide(args: EksArgs, region: str | None, stack: str, today: datetime.date) -> Plan:
    """An ExceptionGroup of ConfigErrors for all that cannot be."""
    found = [*_wrong(args, region, today)]
    pools: list[Pool] = []
    for index, nodes in enumerate(nodes_of(args)):
        try:
            pools.append(_pool(args, nodes, f"{KEY}.nodes.{index}"))
        except ConfigError as error:
            found.append(error)
    if found:
        raise ExceptionGroup("config", found)
    assert region is not None  # `_wrong`
    return Plan(
        args=args,
        region=region,
        prefix=f"anytier-{re.sub('[^A-Za-z0-9-]', '-', stack)[:70]}",
        zones=zones_of(args, region),
        pools=tuple(pools),
        addons=_addons(args),
        endpoints=INTERFACES if args.endpoints or args.nat == "none" else (),
        tags={**args.tags, "anytier.dev/stack": stack},
        warnings=tuple(_warnings(args, today)),
    )


def nodes_of(args: EksArgs) -> list[Nodes]:
    if args.mode == "auto":
        return []
    return [Nodes()] if args.nodes is None else args.nodes


def processors(args: EksArgs) -> tuple[str, ...]:
    """What images are built for. The pool that Auto Mode has for apps is of Intel's and AMD's."""
    return ("amd64",) if args.mode == "auto" else managed.processors(nodes_of(args), arch_of)


def zones_of(args: EksArgs, region: str) -> tuple[Zone, ...]:
    """An eighth of the network for each zone's machines, and a slice of the last eighth for what faces the world.

    By the zone's own number, so that one more or one less moves no other.
    """
    prefix, numbers = REGIONS[region]
    ids = args.zones or [f"{prefix}-az{number}" for number in numbers]
    net = ipaddress.IPv4Network(args.network)
    eighths = list(net.subnets(3))
    slices = list(eighths[-1].subnets(5))
    places = [(id, int(id[-1]) % 7) for id in ids]
    return tuple(Zone(id, str(eighths[place]), str(slices[place])) for id, place in places)


def cluster_name(prefix: str, vpc: str) -> str:
    """`anytier-prod-0a1b2c3d`."""
    return f"{prefix}-{vpc[-8:]}"


def has_controller(args: EksArgs) -> bool:
    """Whether the AWS Load Balancer Controller is put on the cluster: Auto Mode has one of its own, and machines
    without a way out have to be told of an image that they reach."""
    if args.mode == "auto":
        return False
    if args.load_balancer_controller is not None:
        return args.load_balancer_controller == "aws"
    return args.nat != "none" or args.load_balancer_image is not None


def balancer_class(args: EksArgs) -> str | None:
    return aws_balancers.CLASS if has_controller(args) else None


def balancer_notes(args: EksArgs) -> dict[str, str]:
    """What tells EKS to make a network load balancer: read by a controller, else by the control plane, which makes a
    classic one unless told. Ours leads to the machines: behind each, kube-proxy knows within a second which pods are
    ready, and a load balancer that led to pods themselves would need minutes to know a new one."""
    public = args.load_balancer == "public"
    if args.mode == "auto" or has_controller(args):
        return {
            _SCHEME: "internet-facing" if public else "internal",
            _ATTRIBUTES: "load_balancing.cross_zone.enabled=true",
            **({_TARGETS: "instance"} if has_controller(args) else {}),
        }
    return {_TYPE: "nlb", _ACROSS: "true", **({} if public else {_INTERNAL: "true"})}


def storage_class(args: EksArgs) -> dict[str, Any]:
    """Volumes of gp3, encrypted, in the zone of their pod."""
    driver = "ebs.csi.eks.amazonaws.com" if args.mode == "auto" else "ebs.csi.aws.com"
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": driver,
        "parameters": {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"},
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }


def network_policies() -> dict[str, Any]:
    """Turns network policies on in Auto Mode, whose network is no add-on that could be told."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "amazon-vpc-cni", "namespace": "kube-system"},
        "data": {"enable-network-policy-controller": "true"},
    }


def facts(plan: Plan) -> dict[str, Any]:
    """What is paid for, as counts: prices are another matter."""
    nodes = [
        {
            "pool": pool.name,
            "types": list(pool.types),
            "min": pool.nodes.min,
            "max": pool.nodes.most,
            "spot": pool.nodes.spot,
            "diskGiB": pool.nodes.disk,
        }
        for pool in plan.pools
    ]
    return {
        "region": plan.region,
        "controlPlanes": 1,
        "mode": plan.args.mode,
        "nodes": nodes,
        "natGateways": plan.gateways,
        "interfaceEndpoints": len(plan.endpoints) * len(plan.zones),
        "keys": 1,
        "logDays": plan.args.log_days,
    }


def console(region: str, name: str) -> str:
    return f"https://{region}.console.aws.amazon.com/eks/clusters/{name}?region={region}"


# what cannot be


def _wrong(args: EksArgs, region: str | None, today: datetime.date) -> Iterator[ConfigError]:
    wrong = managed.wrong_location(region, REGIONS, "aws:region", EXAMPLE_REGION)
    if wrong is not None:
        yield wrong
    elif args.zones is not None and region is not None:
        yield from _wrong_zones(args.zones, REGIONS[region][0])
    gone = VERSIONS.over(args.version, today, f"{KEY}.version")
    if gone is not None:
        yield gone
    yield from managed.overlaps({f"{KEY}.network": args.network, f"{KEY}.services": args.services})
    if args.mode == "auto":
        yield from _wrong_in_auto(args)
    else:
        yield from managed.wrong_pools(nodes_of(args), f"{KEY}.nodes")
    yield from _wrong_controller(args)
    if args.nat == "none" and args.endpoints is False:
        what = "is false, and without NAT machines reach AWS by nothing else"
        yield ConfigError(f"{KEY}.endpoints", what, "leave it out, or give `nat: one`")


def _wrong_zones(zones: list[str], prefix: str) -> Iterator[ConfigError]:
    for index, zone in enumerate(zones):
        at = f"{KEY}.zones.{index}"
        if not zone.startswith(f"{prefix}-"):
            yield ConfigError(at, f"{zone} is in another region", f"one such as {prefix}-az1")
        elif zone in zones[:index]:
            yield ConfigError(at, f"{zone} is there already", "give each zone once")


def _wrong_controller(args: EksArgs) -> Iterator[ConfigError]:
    wanted, at = args.load_balancer_controller, f"{KEY}.loadBalancerController"
    if args.mode == "auto":
        for name, given in (("loadBalancerController", wanted), ("loadBalancerImage", args.load_balancer_image)):
            if given is not None:
                what = "is given, and Auto Mode brings a controller of its own"
                yield ConfigError(f"{KEY}.{name}", what, "take it out, or give `mode: standard`")
    elif wanted == "none" and args.load_balancer_image is not None:
        what = "is the image of a controller that is not put there"
        yield ConfigError(f"{KEY}.loadBalancerImage", what, "take it out, or give `loadBalancerController: aws`")
    elif wanted == "aws" and args.nat == "none" and args.load_balancer_image is None:
        what = f"is aws, and without NAT machines do not reach {aws_balancers.IMAGE}"
        do = (
            "name a copy that they reach in `loadBalancerImage`, or give `none`: the control plane makes load balancers"
        )
        yield ConfigError(at, what, do)


def _wrong_in_auto(args: EksArgs) -> Iterator[ConfigError]:
    if args.nodes is not None:
        what = "is given, and in Auto Mode EKS chooses the machines by what the pods ask for"
        yield ConfigError(f"{KEY}.nodes", what, "take it out, or give `mode: standard`")
    for name in args.addons:
        if name != "metrics-server":
            what = "is part of Auto Mode, whose version AWS chooses"
            yield ConfigError(f"{KEY}.addons.{name}", what, "take it out, or give `mode: standard`")


def _warnings(args: EksArgs, today: datetime.date) -> Iterator[str]:
    old = VERSIONS.warning(args.version, today)
    if old is not None:
        cost = "the control plane costs six times as much" if args.support == "extended" else "AWS will upgrade it"
        yield f"{KEY}.version: {old}; until then {cost}"
    if not args.access:
        yield f"{KEY}.access: {managed.PRIVATE_API.format(key=KEY)}"


def _pool(args: EksArgs, nodes: Nodes, at: str) -> Pool:
    type, arch = managed.machine_type(nodes, at, TYPES, arch_of, EXAMPLE_TYPE)
    types = (type, *(SPOT.get(type, ()) if nodes.spot else ()))
    nvidia = has_nvidia(type)
    if args.os == "bottlerocket":
        ami = f"BOTTLEROCKET_{'x86_64' if arch == 'amd64' else 'ARM_64'}{'_NVIDIA' if nvidia else ''}"
    else:
        ami = f"AL2023_{'x86_64' if arch == 'amd64' else 'ARM_64'}_{'NVIDIA' if nvidia else 'STANDARD'}"
    another: dict[str, Any] = {
        "types": types,
        "ami": ami,
        "spot": nodes.spot,
        "network": args.network,
        "zones": args.zones,
    }
    # Bottlerocket has its system on a small volume of its own.
    disk = "/dev/xvdb" if args.os == "bottlerocket" else "/dev/xvda"
    return Pool(nodes.name, managed.hashed(nodes.name, another), nodes, types, ami, disk)


def _addons(args: EksArgs) -> tuple[Addon, ...]:
    known = dict(ADDONS[args.version]) | {str(name): version for name, version in args.addons.items()}

    def addon(name: str, **more: Any) -> Addon:
        return Addon(name, known[name], **more)

    metrics = addon("metrics-server")
    if args.mode == "auto":
        return (metrics,)
    return (
        addon("eks-pod-identity-agent", early=True),
        addon(
            "vpc-cni",
            early=True,
            policy="AmazonEKS_CNI_Policy",
            account="aws-node",
            config={"enableNetworkPolicy": "true"},
        ),
        addon("kube-proxy", early=True),
        addon("coredns"),
        addon("aws-ebs-csi-driver", policy="service-role/AmazonEBSCSIDriverPolicy", account="ebs-csi-controller-sa"),
        metrics,
    )
