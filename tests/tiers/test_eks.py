"""Tier eks on the program's side: what its config may say, what is decided of it, and what it registers at AWS.

No AWS was asked: the monitor records what Pulumi's own SDK would register.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from tests.runtimes.record import Recording, Registered, Secret, record

from anytier import program
from anytier.config import read
from anytier.errors import AnytierError, leaves
from anytier.provider.check import check
from anytier.provider.docker.push import PushInputs
from anytier.tiers import eks, eksargs, eksplan, managed
from anytier.tiers.eks import EksTier
from anytier.tiers.eksargs import ADDONS, REGIONS, SPOT, TYPES, VERSIONS, EksArgs, arch_of
from anytier.tiers.eksplan import Plan

pytest.importorskip("pulumi_aws", reason="make test-clouds")

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).with_name("golden")
TODAY = datetime.date(2026, 12, 1)
REGION = "eu-central-1"
ME = "arn:aws:iam::123456789012:role/me"
CA = "Q0E="
ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://ABC.gr7.eu-central-1.eks.amazonaws.com",
        "certificateAuthority": {"data": CA},
        "arn": "arn:aws:eks:eu-central-1:123456789012:cluster/x",
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:ecr/repository:Repository": {"repositoryUrl": "registry/repository"},
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": {"userName": "AWS", "password": "token", "id": "1"},
    "anytier:kubernetes:Address": {"address": "lb.example.org"},
    "anytier:docker:Push": {"ref": "registry/repository@sha256:1"},
    "aws:kms/key:Key": {"arn": "arn:aws:kms:eu-central-1:123456789012:key/secrets"},
    "aws:iam/role:Role": {"arn": "arn:aws:iam::123456789012:role/made", "name": "made"},
    "aws:index/getCallerIdentity:getCallerIdentity": {
        "arn": "arn:aws:sts::123456789012:assumed-role/me/session",
        "accountId": "123456789012",
        "userId": "A:session",
        "id": "1",
    },
    "aws:iam/getSessionContext:getSessionContext": {
        "issuerArn": ME,
        "issuerId": "A",
        "issuerName": "me",
        "sessionName": "session",
        "id": "1",
    },
}
APP = {
    "apiVersion": "anytier.dev/v1",
    "kind": "App",
    "metadata": {"name": "shop"},
    "workloads": {
        "web": {
            "containers": {"main": {"image": "ghcr.io/example/web:1"}},
            "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
            "identity": {"cloudRoles": {"aws": "arn:aws:iam::123456789012:role/web"}},
        },
    },
    "routes": [{"path": "/", "workload": "web", "port": "http"}],
}


def args(**given_: Any) -> EksArgs:
    return EksArgs.model_validate(given_)


def decided(region: str | None = REGION, stack: str = "prod", today: datetime.date = TODAY, **given_: Any) -> Plan:
    return eksplan.decide(args(**given_), region, stack, today)


def refused(region: str | None = REGION, today: datetime.date = TODAY, **given_: Any) -> dict[str, AnytierError]:
    """What is wrong, by its path without the tier's."""
    with pytest.raises(ExceptionGroup) as caught:
        decided(region, today=today, **given_)
    found = [item for item in leaves(caught.value) if isinstance(item, AnytierError)]
    assert found and len(found) == len(leaves(caught.value)) and all(item.do for item in found)
    return {item.path.removeprefix("anytier:eks."): item for item in found}


@pytest.fixture(autouse=True, scope="module")
def day() -> Iterator[None]:
    """The same one in every year."""

    class Day(datetime.date):
        @classmethod
        def today(cls) -> Day:
            return cls(TODAY.year, TODAY.month, TODAY.day)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eks.datetime, "date", Day)
        yield


def tier(answers: Mapping[str, Mapping[str, Any]] = ANSWERS, **given_: Any) -> Recording:
    """What the tier alone registers; recorded once, as nobody changes it."""
    key = json.dumps([sorted(answers), given_], sort_keys=True)
    if key not in _RECORDED:

        def alone() -> None:
            EksTier("eks", args(**given_), port=80, tls_port=443)

        _RECORDED[key] = record(alone, {"aws:region": REGION}, stack="prod", answers=answers)
    return _RECORDED[key]


_RECORDED: dict[str, Recording] = {}


@pytest.fixture(scope="module")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("app") / "app.yaml"
    file.write_text(yaml.safe_dump(APP))
    return file


def whole(app_file: Path, into: Recording | None = None, **more: str) -> Recording:
    """What a whole stack registers: the tier and the app."""

    def run() -> None:
        stack = program.load()
        program.check(stack)
        program.deploy(stack)

    config = {"aws:region": REGION, "anytier:app": str(app_file), "anytier:tier": "eks", **more}
    return record(run, {key: value for key, value in config.items() if value}, answers=ANSWERS, into=into)


@pytest.fixture(scope="module")
def standard() -> Recording:
    return tier(access=["203.0.113.7/32"])


@pytest.fixture(scope="module")
def auto() -> Recording:
    return tier(mode="auto")


def of(made: Recording, kind: str) -> list[Registered]:
    """`eks/cluster:Cluster` -> those that are registered, by name."""
    return sorted((item for item in made.resources if item.type == f"aws:{kind}"), key=lambda item: item.name)


def only(made: Recording, kind: str) -> Any:
    (found,) = of(made, kind)
    return found.inputs


def urn(item: Registered) -> str:
    return f"{item.type}::{item.name}"


# what may be said


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": "1.29"},
        {"version": "1.35.2"},
        {"version": "latest"},
        {"mode": "fargate"},
        {"os": "windows"},
        {"network": "10.0.0.0/8"},
        {"network": "10.0.0.0/24"},
        {"network": "8.8.0.0/16"},
        {"services": "10.0.0.0/8"},
        {"services": "10.0.0.0/28"},
        {"services": "100.64.0.0/16"},
        {"zones": ["eu-central-1a", "euc1-az2"]},
        {"zones": ["euc1-az1"]},
        {"nat": "two"},
        {"loadBalancerController": "yes"},
        {"access": ["0.0.0.0/0"]},
        {"access": ["everybody"]},
        {"admins": ["me"]},
        {"admins": ["arn:aws:sts::123456789012:assumed-role/me/session"]},
        {"addons": {"vpc-cni": "latest"}},
        {"addons": {"vpc_cni": "v1.2.3-eksbuild.1"}},
        {"logDays": 2},
        {"logDays": 0},
        {"tags": {"aws:x": "y"}},
        {"tags": {"x": "a\nb"}},
        {"nodes": [{"size": "x" * 61}]},
        {"nodes": [{"max": 0}]},
        {"node": []},
    ],
)
def test_a_wrong_option_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        args(**wrong)


@pytest.mark.parametrize("region", [None, "", "eu-centrl-1", "mars-1", "us-gov-west-1"])
def test_a_region_that_is_none_is_told_by_its_own_key(region: str | None) -> None:
    found = refused(region)
    assert list(found) == ["aws:region"] and "eu-central-1" in found["aws:region"].do


@pytest.mark.parametrize(
    ("wrong", "paths"),
    [
        ({"nodes": [{"size": "huge"}]}, {"nodes.0.size"}),
        ({"nodes": [{"size": "m7g.large", "arch": "amd64"}]}, {"nodes.0.arch"}),
        ({"nodes": [{}, {}]}, {"nodes.1.name"}),
        ({"nodes": [{"min": 0, "max": 3}]}, {"nodes"}),
        ({"nodes": []}, {"nodes"}),
        ({"network": "172.20.0.0/20"}, {"services"}),
        ({"zones": ["use1-az1", "euc1-az2"]}, {"zones.0"}),
        ({"zones": ["euc1-az1", "euc1-az1"]}, {"zones.1"}),
        ({"mode": "auto", "nodes": [{}]}, {"nodes"}),
        ({"mode": "auto", "addons": {"coredns": "v1.13.2-eksbuild.1"}}, {"addons.coredns"}),
        ({"nat": "none", "endpoints": False}, {"endpoints"}),
        ({"mode": "auto", "loadBalancerController": "none"}, {"loadBalancerController"}),
        ({"mode": "auto", "loadBalancerImage": "example.org/lbc:1"}, {"loadBalancerImage"}),
        ({"loadBalancerController": "none", "loadBalancerImage": "example.org/lbc:1"}, {"loadBalancerImage"}),
        ({"nat": "none", "loadBalancerController": "aws"}, {"loadBalancerController"}),
        ({"nodes": [{"size": "huge"}], "network": "172.20.0.0/20"}, {"nodes.0.size", "services"}),
    ],
)
def test_what_cannot_be_is_told_by_its_path(wrong: dict[str, Any], paths: set[str]) -> None:
    assert set(refused(**wrong)) == paths


def test_a_version_that_aws_no_longer_has_is_refused_and_an_old_one_warned_of() -> None:
    assert "2027-07-29" in refused(today=datetime.date(2027, 7, 30), version="1.33")["version"].what
    (old, _) = decided(version="1.33").warnings
    assert "six times" in old
    assert "AWS will upgrade" in decided(version="1.33", support="standard").warnings[0]
    assert decided(access=["203.0.113.7"]).warnings == ()


def test_whatever_is_known_of_aws_fits_together() -> None:
    assert set(ADDONS) == set(VERSIONS.minors) and VERSIONS.default in ADDONS
    assert len({frozenset(pins) for pins in ADDONS.values()}) == 1
    for minor, pins in ADDONS.items():
        assert pins["kube-proxy"].startswith(f"v{minor}.")
    for by_arch in TYPES.values():
        assert {arch: arch_of(type) for arch, type in by_arch.items()} == {"amd64": "amd64", "arm64": "arm64"}
        for type in by_arch.values():
            assert {arch_of(other) for other in SPOT[type]} == {arch_of(type)}
    assert len({prefix for prefix, _ in REGIONS.values()}) == len(REGIONS)


@pytest.mark.parametrize(
    ("type", "arch"),
    [
        ("m7g.xlarge", "arm64"),
        ("c7gn.16xlarge", "arm64"),
        ("r8gd.metal-48xl", "arm64"),
        ("a1.large", "arm64"),
        ("g5g.xlarge", "arm64"),
        ("g6e.xlarge", "amd64"),
        ("m7i-flex.large", "amd64"),
        ("p5.48xlarge", "amd64"),
        ("mac2.metal", None),
        ("m7g", None),
        ("m7g.huge", None),
        ("large", None),
    ],
)
def test_an_exact_type_says_its_processor(type: str, arch: str | None) -> None:
    assert arch_of(type) == arch


@given(st.sampled_from(sorted(REGIONS)), st.integers(16, 20), st.integers(0, 2**16 - 1))
def test_subnets_lie_in_the_network_and_never_overlap(region: str, prefix: int, seed: int) -> None:
    net = ipaddress.IPv4Network(((10 << 24) + (seed << 8) & (2**32 - 2 ** (32 - prefix)), prefix))
    zones = eksplan.zones_of(args(network=str(net)), region)
    parts = [ipaddress.IPv4Network(part) for zone in zones for part in (zone.private, zone.public)]
    assert all(part.subnet_of(net) and part.prefixlen <= 28 for part in parts)
    assert not [1 for n, one in enumerate(parts) for other in parts[:n] if one.overlaps(other)]


def test_a_zone_keeps_its_networks_when_others_come_and_go() -> None:
    three = {zone.id: zone for zone in decided().zones}
    for zone in decided(zones=["euc1-az3", "euc1-az2"]).zones:
        assert three[zone.id] == zone


@given(st.text(max_size=90), st.text("0123456789abcdef", min_size=17, max_size=17))
def test_any_stacks_cluster_has_a_name_that_eks_takes(stack: str, vpc: str) -> None:
    name = eksplan.cluster_name(eksplan.decide(args(), REGION, stack, TODAY).prefix, f"vpc-{vpc}")
    assert len(name) <= 100 and name.isascii() and name.replace("-", "").isalnum() and name.endswith(vpc[-8:])


# the baseline, on what is registered


def test_the_api_server_is_reached_from_inside_and_by_whom_the_stack_names(
    standard: Recording, auto: Recording
) -> None:
    config = only(standard, "eks/cluster:Cluster")["vpcConfig"]
    assert config["endpointPrivateAccess"] and config["endpointPublicAccess"]
    assert config["publicAccessCidrs"] == ["203.0.113.7/32"]
    closed = only(auto, "eks/cluster:Cluster")["vpcConfig"]
    assert closed["endpointPrivateAccess"] and not closed["endpointPublicAccess"] and "publicAccessCidrs" not in closed


@pytest.mark.parametrize("made", ["standard", "auto"])
def test_the_control_planes_part_of_the_baseline(made: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(made)
    cluster, key = only(recording, "eks/cluster:Cluster"), only(recording, "kms/key:Key")
    assert cluster["encryptionConfig"] == {
        "provider": {"keyArn": ANSWERS["aws:kms/key:Key"]["arn"]},
        "resources": ["secrets"],
    }
    assert key["enableKeyRotation"] is True
    logs = {"api", "audit", "authenticator", "controllerManager", "scheduler"}
    assert set(cluster["enabledClusterLogTypes"]) == logs
    assert cluster["accessConfig"] == {
        "authenticationMode": "API",
        "bootstrapClusterCreatorAdminPermissions": False,
    }
    assert cluster["version"] in VERSIONS.minors
    assert cluster["deletionProtection"] is False and cluster["bootstrapSelfManagedAddons"] is False
    held = only(recording, "cloudwatch/logGroup:LogGroup")
    assert held["name"] == f"/aws/eks/{cluster['name']}/cluster" and held["retentionInDays"] == 90


@pytest.mark.parametrize("os", ["bottlerocket", "al2023"])
def test_the_machines_part_of_the_baseline(os: str) -> None:
    made = tier(os=os, nodes=[{"name": "a", "disk": 80}, {"name": "b", "arch": "arm64", "spot": True, "min": 0}])
    for template in of(made, "ec2/launchTemplate:LaunchTemplate"):
        metadata = template.inputs["metadataOptions"]
        assert metadata["httpTokens"] == "required" and metadata["httpPutResponseHopLimit"] == 1
        disks = [item["ebs"] for item in template.inputs["blockDeviceMappings"]]
        assert disks and all(disk["encrypted"] == "true" and disk["volumeType"] == "gp3" for disk in disks)
        assert [disk["volumeSize"] for disk in disks if "volumeSize" in disk] == [
            80 if template.name == "template-a" else 50
        ]
        assert not {"keyName", "networkInterfaces", "userData", "imageId"} & set(template.inputs)
    private = {f"{item.name}-id" for item in of(made, "ec2/subnet:Subnet") if item.name.startswith("private")}
    groups = of(made, "eks/nodeGroup:NodeGroup")
    for group in groups:
        assert set(group.inputs["subnetIds"]) == private and len(private) == 3
        assert "remoteAccess" not in group.inputs and group.inputs["launchTemplate"]["version"] == "1"
    kinds = {"bottlerocket": "BOTTLEROCKET_{}", "al2023": "AL2023_{}_STANDARD"}[os]
    assert [item.inputs["amiType"] for item in groups] == [kinds.format(arch) for arch in ("x86_64", "ARM_64")]
    assert [item.inputs["capacityType"] for item in groups] == ["ON_DEMAND", "SPOT"]
    assert len(groups[1].inputs["instanceTypes"]) > 1


def test_no_subnet_gives_a_machine_a_public_address(standard: Recording) -> None:
    subnets = of(standard, "ec2/subnet:Subnet")
    assert len(subnets) == 6 and not any(item.inputs["mapPublicIpOnLaunch"] for item in subnets)
    assert {item.inputs["availabilityZoneId"] for item in subnets} == {"euc1-az1", "euc1-az2", "euc1-az3"}
    routes = {item.name: item.inputs for item in of(standard, "ec2/route:Route")}
    assert all("gatewayId" not in route for name, route in routes.items() if name != "out")


def test_addons_are_pinned_and_the_network_holds_policies(standard: Recording, auto: Recording) -> None:
    pins = {item.name: item.inputs["addonVersion"] for item in of(standard, "eks/addon:Addon")}
    assert pins == ADDONS[VERSIONS.default]
    network = standard["vpc-cni"].inputs
    assert json.loads(network["configurationValues"])["enableNetworkPolicy"] == "true"
    assert {item.name for item in of(auto, "eks/addon:Addon")} == {"metrics-server"}
    turned_on = auto["network-policies"].inputs
    assert turned_on["metadata"]["name"] == "amazon-vpc-cni"
    assert turned_on["data"] == {"enable-network-policy-controller": "true"}


def test_addons_have_roles_of_their_own_by_pod_identity(standard: Recording) -> None:
    for name, account in (("vpc-cni", "aws-node"), ("aws-ebs-csi-driver", "ebs-csi-controller-sa")):
        (held,) = standard[name].inputs["podIdentityAssociations"]
        assert held["serviceAccount"] == account and held["roleArn"]
    machines = {item.name for item in of(standard, "iam/rolePolicyAttachment:RolePolicyAttachment")}
    assert "nodes-AmazonEKS_CNI_Policy" not in machines  # pods on a machine must not have it by being there


def test_roles_are_for_one_service_each(standard: Recording) -> None:
    trusted = {}
    for item in of(standard, "iam/role:Role"):
        (statement,) = json.loads(item.inputs["assumeRolePolicy"])["Statement"]
        trusted[item.name.removesuffix("-role")] = statement["Principal"]["Service"]
        assert "*" not in statement["Action"]
    assert trusted == {
        "control-plane": "eks.amazonaws.com",
        "nodes": "ec2.amazonaws.com",
        "vpc-cni": "pods.eks.amazonaws.com",
        "aws-ebs-csi-driver": "pods.eks.amazonaws.com",
        "load-balancers": "pods.eks.amazonaws.com",
    }


def test_whoever_deploys_comes_in_and_otherwise_who_is_named(standard: Recording) -> None:
    assert only(standard, "eks/accessEntry:AccessEntry")["principalArn"] == ME
    others = [f"arn:aws:iam::123456789012:role/{name}" for name in ("one", "two")]
    unasked = {key: value for key, value in ANSWERS.items() if "/get" not in key}
    made = tier(admins=others, answers=unasked)
    assert sorted(item.inputs["principalArn"] for item in of(made, "eks/accessEntry:AccessEntry")) == others
    scopes = of(made, "eks/accessPolicyAssociation:AccessPolicyAssociation")
    assert {item.inputs["policyArn"].rpartition("/")[2] for item in scopes} == {"AmazonEKSClusterAdminPolicy"}


def test_auto_mode_is_on_as_a_whole_or_not_at_all(standard: Recording, auto: Recording) -> None:
    for made, on in ((standard, False), (auto, True)):
        cluster = only(made, "eks/cluster:Cluster")
        assert cluster["computeConfig"]["enabled"] is on
        assert cluster["storageConfig"]["blockStorage"]["enabled"] is on
        assert cluster["kubernetesNetworkConfig"]["elasticLoadBalancing"]["enabled"] is on
        assert bool(of(made, "eks/nodeGroup:NodeGroup")) is not on
    (statement,) = json.loads(auto["control-plane-role"].inputs["assumeRolePolicy"])["Statement"]
    assert "sts:TagSession" in statement["Action"]


@pytest.mark.parametrize(("nat", "gateways"), [("one", 1), ("each", 3), ("none", 0)])
def test_the_way_out_is_one_or_one_for_each_zone(nat: str, gateways: int) -> None:
    made = tier(nat=nat)
    assert len(of(made, "ec2/natGateway:NatGateway")) == len(of(made, "ec2/eip:Eip")) == gateways
    out = [item.inputs["natGatewayId"] for item in of(made, "ec2/route:Route") if item.name.startswith("out-")]
    assert len(out) == (3 if gateways else 0) and len(set(out)) == gateways
    kinds = [item.inputs["vpcEndpointType"] for item in of(made, "ec2/vpcEndpoint:VpcEndpoint")]
    assert kinds.count("Gateway") == 1 and (kinds.count("Interface") > 0) is (nat == "none")


def test_volumes_are_encrypted_gp3_in_either_mode(standard: Recording, auto: Recording) -> None:
    for made, driver in ((standard, "ebs.csi.aws.com"), (auto, "ebs.csi.eks.amazonaws.com")):
        found = made["storage-class"].inputs
        assert found["provisioner"] == driver and found["metadata"]["name"] == "gp3"
        assert found["parameters"]["type"] == "gp3" and found["parameters"]["encrypted"] == "true"
        assert found["reclaimPolicy"] == "Delete" and found["volumeBindingMode"] == "WaitForFirstConsumer"


def test_everything_that_can_be_is_tagged(standard: Recording) -> None:
    for item in standard.resources:
        if item.type.startswith("aws:") and "tags" in item.inputs:
            assert item.inputs["tags"]["anytier.dev/stack"] == "prod", urn(item)


def test_protection_is_said_and_held() -> None:
    made = tier(protect=True)
    assert only(made, "eks/cluster:Cluster")["deletionProtection"] is True
    assert {item.name for item in made.resources if item.protect} == {"control-plane", "vpc", "secrets"}
    assert not [item.name for item in tier().resources if item.protect]


# day two


def test_nothing_has_a_name_that_a_second_stack_would_want_too() -> None:
    one = tier()
    allowed = {"aws:eks/cluster:Cluster", "aws:cloudwatch/logGroup:LogGroup"}  # by the VPC's id
    for item in one.resources:
        if item.type.startswith("aws:"):
            assert item.type in allowed or not {"name", "namePrefix", "bucket"} & set(item.inputs), urn(item)
    assert only(one, "eks/cluster:Cluster")["name"] == "anytier-prod-" + "vpc-id"[-8:]
    assert eksplan.cluster_name("anytier-prod", "vpc-0a1b2c3d") != eksplan.cluster_name("anytier-prod", "vpc-9a1b2c3e")


# What users keep changing, and the logical names of what may be replaced by it.
CHANGES: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"version": "1.34"}, {"version": "1.35"}, set()),
    ({}, {"nodes": [{"min": 5, "max": 9}]}, set()),
    ({}, {"nodes": [{"labels": {"tier": "web"}}]}, set()),
    ({}, {"nodes": [{"disk": 100}]}, set()),
    ({}, {"access": ["203.0.113.7/32"]}, set()),
    ({}, {"nat": "each"}, set()),
    ({}, {"endpoints": True}, set()),
    ({}, {"protect": True}, set()),
    ({}, {"tags": {"team": "a"}}, set()),
    ({}, {"logDays": 365}, set()),
    ({}, {"support": "standard"}, set()),
    ({}, {"addons": {"coredns": "v1.14.3-eksbuild.3"}}, set()),
    ({}, {"nodes": [{}, {"name": "more"}]}, set()),
    ({}, {"loadBalancer": "internal"}, set()),
    ({}, {"loadBalancerController": "none"}, set()),
    ({}, {"nodes": [{"size": "large"}]}, {"nodes-main"}),
    ({}, {"nodes": [{"arch": "arm64"}]}, {"nodes-main"}),
    ({}, {"nodes": [{"spot": True}]}, {"nodes-main"}),
    ({}, {"os": "al2023"}, {"nodes-main"}),
    ({}, {"mode": "auto"}, set()),
    ({"mode": "auto"}, {}, {"control-plane"}),  # AWS takes the machines' role back from nobody: docs/eks.md says so
]


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}" if path else key)
    else:
        yield path, value


def replaced(one: Recording, other: Recording) -> set[str]:
    """Of what is in both, the names of what has a property changed that makes another one."""
    before = {(item.type, item.name): item for item in one.resources}
    found = set()
    for item in other.resources:
        old = before.get((item.type, item.name))
        if old is None or not item.type.startswith("aws:"):
            continue
        was, now = dict(flat(old.inputs)), dict(flat(item.inputs))
        changed = {path for path in was.keys() | now.keys() if was.get(path) != now.get(path)}
        changed -= {path for path in eksplan.ONCE_GIVEN if path not in was}
        known = eksplan.REPLACES[item.type]
        if any(path in known or path.split(".")[0] in known for path in changed):
            found.add(item.name)
    return found


@pytest.mark.parametrize(("before", "after", "gone"), CHANGES, ids=[str(after) for _, after, _ in CHANGES])
def test_what_users_keep_changing_replaces_no_more_than_a_pool(
    before: dict[str, Any], after: dict[str, Any], gone: set[str]
) -> None:
    one, other = tier(**before), tier(**after)
    assert replaced(one, other) == gone
    names = [
        {item.name: item.inputs["nodeGroupName"] for item in of(made, "eks/nodeGroup:NodeGroup")}
        for made in (one, other)
    ]
    for name in names[0].keys() & names[1].keys():
        assert (names[0][name] != names[1][name]) is (name in gone)  # so the new one is there before the old one goes
        assert other[name].gone_first is False  # said, since the provider would have it otherwise


def test_the_list_of_what_replaces_knows_every_type_and_only_properties_that_are_there() -> None:
    made = [tier(nat="each", endpoints=True), tier(mode="auto")]
    types = {item.type for one in made for item in one.resources if item.type.startswith("aws:")}
    assert types <= set(eksplan.REPLACES)
    for token, properties in eksplan.REPLACES.items():
        module, kind = token.split(":")[1].split("/")[0], token.rpartition(":")[2]
        known = signature(getattr(import_module(f"pulumi_aws.{module}"), f"{kind}Args").__init__).parameters
        assert {path.split(".")[0] for path in properties} <= {to_camel(name) for name in known}, token


def test_what_ends_last_is_what_the_others_need_to_end(standard: Recording, auto: Recording) -> None:
    """Deletion goes against these arrows: the app and its load balancers, machines, add-ons, control plane, network."""
    machines = standard.after("nodes-main")
    assert {"vpc-cni", "kube-proxy", "eks-pod-identity-agent", "control-plane", "vpc"} <= machines
    assert {"nodes-AmazonEKSWorkerNodePolicy", "out-euc1-az1", "private-euc1-az1-in-table"} <= machines
    assert {"nodes-main", "aws-ebs-csi-driver-AmazonEBSCSIDriverPolicy"} <= standard.after("aws-ebs-csi-driver")
    assert {"logs", "control-plane-AmazonEKSClusterPolicy", "out", "s3"} <= standard.after("control-plane")
    # Machines that Auto Mode makes end with the control plane.
    assert {"nodes-AmazonEKSWorkerNodeMinimalPolicy", "out-euc1-az1", "private-euc1-az1-in-table"} <= auto.after(
        "cluster"
    )


@pytest.mark.parametrize("mode", ["standard", "auto"])
def test_nothing_calls_the_cluster_before_who_may_has_been_let_in_for_minutes(
    mode: str, standard: Recording, auto: Recording
) -> None:
    """A right to come in is known some time later; until then the answer is a 401, which ends the whole run."""
    made, late = (standard, {"nodes-main", "coredns"}) if mode == "standard" else (auto, set())
    for name in ("cluster", "storage-class"):
        assert {"admin-may-all", "metrics-server", *late} <= made.after(name)


# the place and the app on it


def test_the_shortest_stack_works(app_file: Path) -> None:
    made = whole(app_file)
    (workload,) = [
        item for item in made.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "web"
    ]
    assert {"web-identity", "nodes-main", "metrics-server", "storage-class", "out-euc1-az1"} <= reach(made, workload)
    assert made["web-identity"].inputs == {
        "clusterName": "anytier-dev-" + "vpc-id"[-8:],
        "namespace": "anytier-dev-shop",
        "serviceAccount": "web",
        "roleArn": "arn:aws:iam::123456789012:role/web",
        "tags": {"anytier.dev/stack": "dev"},
    }
    exports = made.exports
    assert exports["url"] == "http://lb.example.org/"
    assert made["router/address"].inputs["service"] == "anytier-router-nlb"
    config = json.loads(exports["kubeconfig"].value)
    run = config["users"][0]["user"]["exec"]
    assert run["command"] == "aws" and run["args"][:4] == ["eks", "get-token", "--region", REGION]
    assert config["clusters"][0]["cluster"]["certificate-authority-data"] == CA
    assert exports["console"].startswith("https://eu-central-1.console.aws.amazon.com/eks/clusters/anytier-dev-")
    assert exports["costs"]["natGateways"] == 1 and exports["costs"]["nodes"][0]["types"] == ["m6i.large"]
    assert "protect true" in exports["protection"]
    has = ["load-balancer", "metrics", "network-policy", "storage"]
    assert exports["offers"] == {"has": has, "storageClass": "gp3"}


def reach(made: Recording, item: Registered) -> set[str]:
    """All that must be there before it, by the way of dependencies; of what shares a name, of each."""
    found, left = set(), list(item.depends)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [other for each in made.resources if each.name == name for other in each.depends]
    return found


def test_a_stack_has_one_provider_of_kubernetes_and_none_of_aws_but_the_default(app_file: Path) -> None:
    providers = [item.type for item in whole(app_file).resources if item.type.startswith("pulumi:providers:")]
    assert providers == ["pulumi:providers:kubernetes"]


def test_a_public_service_asks_for_a_network_load_balancer(app_file: Path) -> None:
    prefix = "service.beta.kubernetes.io/aws-load-balancer-"
    across = {"attributes": "load_balancing.cross_zone.enabled=true"}
    for options, wanted in (
        ({}, {"scheme": "internet-facing", "nlb-target-type": "instance", **across}),
        ({"loadBalancer": "internal"}, {"scheme": "internal", "nlb-target-type": "instance", **across}),
        ({"loadBalancerController": "none"}, {"type": "nlb"}),
        ({"loadBalancerController": "none", "loadBalancer": "internal"}, {"type": "nlb", "internal": "true"}),
        ({"nat": "none"}, {"type": "nlb"}),
        ({"mode": "auto"}, {"scheme": "internet-facing", **across}),
        ({"mode": "auto", "loadBalancer": "internal"}, {"scheme": "internal", **across}),
    ):
        made = whole(app_file, **{"anytier:eks": json.dumps(options)})
        (router,) = [
            item.inputs
            for item in made.resources
            if item.type == "kubernetes:core/v1:Service" and item.inputs["spec"].get("type") == "LoadBalancer"
        ]
        notes = router["metadata"]["annotations"]
        legacy = "type" in wanted
        said = {key.removeprefix(prefix): value for key, value in notes.items() if key.startswith(prefix)}
        # Controllers do not know this one.
        assert said == {**wanted, **({"cross-zone-load-balancing-enabled": "true"} if legacy else {})}
        ours = not legacy and options.get("mode") != "auto"
        assert router["spec"].get("loadBalancerClass") == ("service.k8s.aws/nlb" if ours else None)
        # The class of a Service never changes: one of another class comes beside it, by another name.
        assert router["metadata"]["name"] == ("anytier-router-nlb" if ours else "anytier-router")
        assert made["router/address"].inputs["service"] == router["metadata"]["name"]
        assert [port["port"] for port in router["spec"]["ports"]] == [80]


@pytest.mark.parametrize("gateway", [{"className": "eg"}, {"name": "web", "namespace": "infra", "className": "eg"}])
def test_a_gateway_takes_the_routes_and_tells_where_it_is_if_it_is_the_apps(
    gateway: dict[str, str], app_file: Path
) -> None:
    made = whole(app_file, **{"anytier:eks": json.dumps({"gateway": gateway})})
    kinds = {item.type.rpartition(":")[2] for item in made.resources}
    assert ("Gateway" in kinds) is ("name" not in gateway) and "HTTPRoute" in kinds
    assert not [item for item in made.resources if item.name.startswith("router/")]
    if "name" not in gateway:
        assert made.exports["url"] == "http://lb.example.org/"
        assert made["app/address"].inputs["gateway"] == "gateway"


def test_what_the_app_builds_is_pushed_to_repositories_of_its_own() -> None:
    made = whole(ROOT / "apps" / "guestbook" / "app.yaml")
    found = of(made, "ecr/repository:Repository")
    assert [item.name for item in found] == ["anytier-dev-guestbook-store-store", "anytier-dev-guestbook-web-web"]
    assert all(item.inputs["imageScanningConfiguration"]["scanOnPush"] for item in found)
    for item in (item for item in made.resources if item.type == "anytier:docker:Push"):
        assert item.inputs["password"] == Secret("AWS:token") and item.inputs["repository"] == "registry/repository"
        assert item.inputs["image"] == "sha256:0123"
        given_ = item.inputs | {"password": "a:b", "repository": "registry/repository"}
        assert check(PushInputs, given_)[1] == []
    (web,) = [item for item in made.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "web"]
    assert web.inputs["spec"]["template"]["spec"]["containers"][0]["image"] == "registry/repository@sha256:1"
    assert "AWS:token" not in repr(made.exports)


@pytest.mark.parametrize(
    ("options", "platform", "kept"),
    [
        ({}, "linux/amd64", None),
        ({"nodes": [{"arch": "arm64"}]}, "linux/arm64", None),
        ({"nodes": [{"size": "m7g.large"}]}, "linux/arm64", None),
        ({"nodes": [{"min": 0, "arch": "arm64"}, {"name": "more"}]}, "linux/amd64", {"kubernetes.io/arch": "amd64"}),
        ({"nodes": [{"arch": "arm64"}, {"name": "more"}]}, "linux/arm64", {"kubernetes.io/arch": "arm64"}),
        ({"mode": "auto"}, "linux/amd64", None),
    ],
)
def test_what_the_app_builds_is_for_the_machines(options: dict[str, Any], platform: str, kept: Any) -> None:
    made = whole(ROOT / "apps" / "guestbook" / "app.yaml", **{"anytier:eks": json.dumps(options)})
    found = [item for item in made.resources if item.type == "anytier:docker:Image"]
    assert found and {item.inputs["build"]["platform"] for item in found} == {platform}
    (web,) = [item for item in made.resources if item.type == "kubernetes:apps/v1:Deployment" and item.name == "web"]
    assert web.inputs["spec"]["template"]["spec"].get("nodeSelector") == kept


def test_a_role_that_is_none_is_refused(tmp_path: Path) -> None:
    app = {**APP, "workloads": {"web": {**APP["workloads"]["web"], "identity": {"cloudRoles": {"aws": "admin"}}}}}  # type: ignore[index]
    file = tmp_path / "app.yaml"
    file.write_text(yaml.safe_dump(app))
    with pytest.raises(Exception, match=r"workloads\.web\.identity\.cloudRoles\.aws.*'admin' is no role"):
        whole(file)


def test_whatever_is_wrong_is_told_before_anything_is_registered(app_file: Path) -> None:
    options = json.dumps({"nodes": [{"size": "huge"}, {"size": "small"}], "network": "172.20.0.0/20"})
    for more, told in (
        ({"aws:region": ""}, ["aws:region: is not set in this stack"]),
        ({"anytier:eks": options}, ["nodes.0.size", "nodes.1.name", "services"]),
        ({"anytier:eks": '{"version": "1.20"}'}, ["anytier:eks.version", "1.35"]),
    ):
        there = Recording()
        with pytest.raises(Exception) as caught:
            whole(app_file, there, **more)
        assert all(text in str(caught.value) for text in told) and not there.resources


def test_nobody_logged_in_is_one_line_and_a_recording_needs_nobody(
    app_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    whole(app_file)
    monkeypatch.setattr(eks, "MockMonitor", type(None))
    there = Recording()
    with pytest.raises(Exception) as caught:
        whole(app_file, there)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("aws: nobody is logged in to AWS here -> `aws sso login`") and not there.resources
    monkeypatch.setenv("AWS_PROFILE", "me")
    assert whole(app_file)["control-plane"]


ROLE = "arn:aws:iam::123456789012:role/deployer"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:accessKey", "AKIA"),
        ("aws:assumeRoleWithWebIdentity", json.dumps({"roleArn": ROLE})),
        ("aws:assumeRoles", json.dumps([{"roleArn": ROLE}, {"roleArn": ROLE}])),
        ("aws:assumeRoles", json.dumps([{"roleArn": ROLE, "externalId": "x"}])),
    ],
)
def test_a_login_that_makes_a_cluster_and_does_not_get_in_is_refused_but_in_a_preview(
    key: str, value: str, app_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eks, "MockMonitor", type(None))
    there = Recording()
    with pytest.raises(Exception) as caught:
        whole(app_file, there, **{key: value})
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{key}: ") and "AWS_PROFILE" in line and not there.resources
    monkeypatch.setattr(eks, "is_dry_run", lambda: True)
    assert whole(app_file, Recording(), **{key: value})["control-plane"]


def test_the_clusters_command_is_the_role_that_the_provider_is(app_file: Path) -> None:
    """Else the token would be of whoever may take that role, whom the cluster does not know."""
    made = whole(app_file, Recording(), **{"aws:assumeRoles": json.dumps([{"roleArn": ROLE}])})
    run = json.loads(made.exports["kubeconfig"].value)["users"][0]["user"]["exec"]
    assert run["args"][-2:] == ["--role-arn", ROLE]
    for text in ("", "no JSON", "{}", "[1]"):
        assert eksargs.assumed(text) is None


def test_an_sdk_that_is_not_there_is_told_in_place_of_a_traceback(
    app_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(managed, "find_spec", lambda name: None)
    with pytest.raises(Exception, match="anytier:tier: tier eks needs pulumi-aws, which is not installed here -> "):
        whole(app_file)


def test_what_a_tier_offers_is_said_without_the_sdk() -> None:
    code = """
import sys
from anytier.tiers.registry import tier_class
kind = tier_class("eks")
place = kind.offered(kind.args_type(), port=80, tls_port=443, stack="prod")
assert place.cloud == "aws" and place.mode == kind.mode(kind.args_type()) == "standard"
assert not [name for name in sys.modules if name.startswith("pulumi_aws")]
"""
    path = str(ROOT / "components")
    done = subprocess.run([sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"], check=False)
    assert done.returncode == 0


def test_config_reads_it() -> None:
    values = {"app": "a.yaml", "tier": "eks", "eks": json.dumps({"mode": "auto"})}
    settings = read(values)
    assert (settings.mode, settings.port, settings.tls_port) == ("auto", 80, 443)
    with pytest.raises(ExceptionGroup) as caught:
        read({**values, "eks": json.dumps({"nodes": [{"sise": "small"}]})})
    assert [getattr(error, "path", "") for error in caught.value.exceptions] == ["anytier:eks.nodes.0.sise"]


# the graph as a whole


@pytest.mark.parametrize(
    ("name", "options"),
    [("standard", {}), ("auto", {"mode": "auto", "nat": "each", "endpoints": True, "protect": True})],
)
def test_the_graph_is_as_it_was(name: str, options: dict[str, Any], request: pytest.FixtureRequest) -> None:
    text = shown(tier(**options))
    golden = GOLDEN / f"eks-{name}.yaml"
    if request.config.getoption("--accept"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), "if that is meant: pytest --accept"


def shown(made: Recording) -> str:
    """Every resource by name: what it is, what it hangs on, what it is given."""
    out = {}
    for item in sorted(made.resources, key=lambda item: (item.type, item.name)):
        marks = {"protect": True} if item.protect else {}
        out[f"{item.type} {item.name}"] = {
            "parent": item.parent,
            "after": list(item.depends),
            **marks,
            "inputs": masked(item.inputs),
        }
    return yaml.safe_dump(out, sort_keys=True, width=120)


def masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return "(secret)"
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value
