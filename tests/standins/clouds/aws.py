"""AWS, as far as tier `eks` sees it."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.standins.clouds.base import (
    Answer,
    Cloud,
    Holder,
    Refused,
    Scene,
    Tree,
    certificate,
    dashed,
    endpoint,
    short,
)
from tests.standins.invent import digest, guid
from tests.standins.shapes import Shape
from tests.standins.world import Thing

ACCOUNT = "123456789012"
NOW = "2026-01-01T00:00:00Z"
VERSIONS = ("1.31", "1.32", "1.33", "1.34")
# Type -> how its id is written. `{hex}`: as many of them as there are creations.
IDS = {
    "ec2/Vpc": "vpc-{hex}",
    "ec2/Subnet": "subnet-{hex}",
    "ec2/InternetGateway": "igw-{hex}",
    "ec2/Eip": "eipalloc-{hex}",
    "ec2/NatGateway": "nat-{hex}",
    "ec2/RouteTable": "rtb-{hex}",
    "ec2/RouteTableAssociation": "rtbassoc-{hex}",
    "ec2/Route": "r-{routeTableId}{destinationCidrBlock}{destinationIpv6CidrBlock}",
    "ec2/SecurityGroup": "sg-{hex}",
    "vpc/SecurityGroupIngressRule": "sgr-{hex}",
    "vpc/SecurityGroupEgressRule": "sgr-{hex}",
    "ec2/DefaultSecurityGroup": "sg-default-{vpcId}",
    "ec2/VpcEndpoint": "vpce-{hex}",
    "ec2/FlowLog": "fl-{hex}",
    "ec2/LaunchTemplate": "lt-{hex}",
    "iam/Role": "{name}",
    "iam/Policy": f"arn:aws:iam::{ACCOUNT}:policy/{{name}}",
    "iam/InstanceProfile": "{name}",
    "iam/RolePolicy": "{role}:{name}",
    "iam/RolePolicyAttachment": "{role}/{policyArn}",
    "iam/OpenIdConnectProvider": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{{url}}",
    "kms/Key": "{guid}",
    "kms/Alias": "{name}",
    "cloudwatch/LogGroup": "{name}",
    "ecr/Repository": "{name}",
    "eks/Cluster": "{name}",
    "eks/NodeGroup": "{clusterName}:{nodeGroupName}",
    "eks/Addon": "{clusterName}:{addonName}",
    "eks/AccessEntry": "{clusterName}:{principalArn}",
    "eks/AccessPolicyAssociation": "{clusterName}#{principalArn}#{policyArn}",
    "eks/PodIdentityAssociation": "a-{hex}",
}
# Type -> the service and the path of its ARN.
ARNS = {
    "iam/Role": f"arn:aws:iam::{ACCOUNT}:role/{{id}}",
    "iam/Policy": "{id}",
    "iam/InstanceProfile": f"arn:aws:iam::{ACCOUNT}:instance-profile/{{id}}",
    "iam/OpenIdConnectProvider": "{id}",
    "kms/Key": "arn:aws:kms:{region}:" + ACCOUNT + ":key/{id}",
    "kms/Alias": "arn:aws:kms:{region}:" + ACCOUNT + ":{id}",
    "cloudwatch/LogGroup": "arn:aws:logs:{region}:" + ACCOUNT + ":log-group:{id}",
    "ecr/Repository": "arn:aws:ecr:{region}:" + ACCOUNT + ":repository/{id}",
    "eks/Cluster": "arn:aws:eks:{region}:" + ACCOUNT + ":cluster/{id}",
}
DATED = {"createdAt", "modifiedAt", "createDate", "creationDate"}


class Aws(Cloud):
    name = "aws"
    package = "pulumi_aws"
    holders: ClassVar[Mapping[str, tuple[Holder, ...]]] = {
        "aws:ec2/vpc:Vpc": (
            Holder("aws:ec2/subnet:Subnet", "vpcId"),
            Holder("aws:ec2/internetGateway:InternetGateway", "vpcId"),
            Holder("aws:ec2/securityGroup:SecurityGroup", "vpcId"),
            Holder("aws:ec2/routeTable:RouteTable", "vpcId"),
            Holder("aws:ec2/vpcEndpoint:VpcEndpoint", "vpcId"),
        ),
        "aws:ec2/subnet:Subnet": (
            Holder("aws:ec2/natGateway:NatGateway", "subnetId"),
            Holder("aws:ec2/vpcEndpoint:VpcEndpoint", "subnetIds"),
            Holder("aws:eks/cluster:Cluster", "vpcConfig.subnetIds"),
            Holder("aws:eks/nodeGroup:NodeGroup", "subnetIds"),
        ),
        "aws:ec2/eip:Eip": (Holder("aws:ec2/natGateway:NatGateway", "allocationId"),),
        "aws:ec2/routeTable:RouteTable": (
            Holder("aws:ec2/routeTableAssociation:RouteTableAssociation", "routeTableId"),
        ),
        "aws:ec2/securityGroup:SecurityGroup": (
            Holder("aws:eks/cluster:Cluster", "vpcConfig.securityGroupIds"),
            Holder("aws:ec2/vpcEndpoint:VpcEndpoint", "securityGroupIds"),
            Holder("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "referencedSecurityGroupId"),
        ),
        "aws:iam/role:Role": (
            Holder("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "role"),
            Holder("aws:iam/rolePolicy:RolePolicy", "role"),
            Holder("aws:iam/instanceProfile:InstanceProfile", "role"),
        ),
        "aws:iam/policy:Policy": (Holder("aws:iam/rolePolicyAttachment:RolePolicyAttachment", "policyArn"),),
        "aws:eks/cluster:Cluster": (Holder("aws:eks/nodeGroup:NodeGroup", "clusterName"),),
    }

    def name_property(self, token: str, shape: Shape) -> str | None:
        return "nodeGroupName" if short(token) == "eks/NodeGroup" else super().name_property(token, shape)

    def made_up_name(self, token: str, name: str, suffix: str) -> str:
        prefix = "alias/" if short(token) == "kms/Alias" else ""
        return prefix + super().made_up_name(token, name, suffix)

    def deletes_first(self, token: str, old: Tree, new: Tree, name: str | None) -> bool:
        """As Pulumi's bridge has it: where the name was given, and so both would have it."""
        if self.facts[token].get("deletesFirst"):
            return True
        return name is not None and name in new and name not in new.get("__defaults", [name])

    def identify(self, token: str, inputs: Tree, scene: Scene, seed: str) -> str:
        values = {key: value for key, value in inputs.items() if isinstance(value, str)}
        blanks = {"destinationCidrBlock": "", "destinationIpv6CidrBlock": ""}
        if "url" in values:
            values["url"] = values["url"].removeprefix("https://")
        return IDS[short(token)].format_map({**blanks, **values, "hex": digest(seed), "guid": guid(seed)})

    def word(self, token: str, id: str, inputs: Tree, scene: Scene, prop: str) -> str | None:
        region = _region(inputs, scene)
        if prop == "arn" or prop.endswith("Arn"):
            return _arn(token, id, region)
        if prop in DATED:
            return NOW
        return {
            "id": id,
            "ownerId": ACCOUNT,
            "status": "ACTIVE",
            "state": "available",
            "region": region,
            "keyId": id,
            "launchTemplateId": id,
            "securityGroupRuleId": id,
            "nodeGroupArn": _arn(token, id, region),
            "uniqueId": f"AROA{digest(id, length=16).upper()}",
        }.get(prop)

    def said(self, token: str, id: str, inputs: Tree, scene: Scene, seed: str) -> Tree:
        about: Tree = {"region": _region(inputs, scene)}
        about["tagsAll"] = {**_default_tags(scene), **inputs.get("tags", {})}
        kind = short(token)
        if kind == "eks/Cluster":
            about |= _cluster(id, inputs, scene)
        elif kind == "eks/NodeGroup":
            group = {"autoscalingGroups": [{"name": f"eks-{id.replace(':', '-')}"}]}
            about |= {"resources": [group], "version": inputs.get("version") or VERSIONS[-1]}
        elif kind == "eks/Addon":
            about["addonVersion"] = inputs.get("addonVersion") or "v1.0.0-eksbuild.1"
        elif kind == "ec2/LaunchTemplate":
            about |= {"latestVersion": 1, "defaultVersion": 1}
        elif kind == "ec2/Subnet":
            about["availabilityZone"] = inputs.get("availabilityZone") or f"{about['region']}a"
        elif kind == "ec2/Eip":
            about |= {"publicIp": "203.0.113.10", "allocationId": id}
        elif kind == "ecr/Repository":
            about |= {"registryId": ACCOUNT, "repositoryUrl": f"{_registry(about['region'])}/{id}"}
        elif kind == "kms/Alias":
            about["targetKeyArn"] = _arn("aws:kms/key:Key", str(inputs.get("targetKeyId", "")), about["region"])
        return about

    def configured(self, config: Tree, control: Tree) -> list[str]:
        if not (config.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
            return ["missing region configuration: set aws:region"]
        if control.get("credentials") is False:
            return ["No valid credential sources found. Please see https://www.pulumi.com/registry/packages/aws/"]
        return []

    def may_create(self, token: str, inputs: Tree, scene: Scene) -> None:
        kind = short(token)
        cluster = inputs.get("clusterName")
        if cluster is not None and scene.made("aws:eks/cluster:Cluster", name=cluster) is None:
            raise Refused(f"ResourceNotFoundException: No cluster found for name: {cluster}.")
        principal = inputs.get("principalArn") if kind == "eks/AccessPolicyAssociation" else None
        if principal is not None and scene.made("aws:eks/accessEntry:AccessEntry", principalArn=principal) is None:
            raise Refused("ResourceNotFoundException: The specified principalArn has no access entry.")
        if kind == "ec2/Subnet" and not any(thing.id == inputs["vpcId"] for thing in scene.things):
            raise Refused(f"InvalidVpcID.NotFound: The vpc ID '{inputs['vpcId']}' does not exist")

    def may_delete(self, thing: Thing, scene: Scene) -> None:
        if short(thing.token) == "eks/Cluster" and thing.inputs.get("deletionProtection"):
            raise Refused(f"InvalidRequestException: Deletion protection is enabled for cluster {thing.id}")
        if short(thing.token) == "ec2/InternetGateway":
            self._no_public_address(thing, scene)
        super().may_delete(thing, scene)

    def takes_along(self, thing: Thing, scene: Scene) -> list[Thing]:
        """With a cluster goes all that is in it."""
        if short(thing.token) != "eks/Cluster":
            return []
        inside = ("eks/Addon", "eks/AccessEntry", "eks/AccessPolicyAssociation", "eks/PodIdentityAssociation")
        return [
            other for other in scene.things if short(other.token) in inside and other.inputs["clusterName"] == thing.id
        ]

    def _no_public_address(self, thing: Thing, scene: Scene) -> None:
        subnets = {
            other.id for other in scene.things if short(other.token) == "ec2/Subnet"
            and other.inputs.get("vpcId") == thing.inputs.get("vpcId")
        }  # fmt: skip
        for other in scene.things:
            public = other.inputs.get("connectivityType", "public") == "public"
            if short(other.token) == "ec2/NatGateway" and public and other.inputs.get("subnetId") in subnets:
                raise Refused(
                    f"DependencyViolation: Network {thing.inputs['vpcId']} has some mapped public address(es)"
                )

    def answers(self) -> Mapping[str, Answer]:
        return ANSWERS


def _region(inputs: Tree, scene: Scene) -> str:
    given = inputs.get("region") or scene.config.get("region")
    return str(given or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "eu-central-1")


def _arn(token: str, id: str, region: str) -> str:
    kind = short(token)
    if kind in ARNS:
        return ARNS[kind].format(id=id, region=region)
    service, _, name = kind.partition("/")
    path = id.replace(":", "/") if service == "eks" else id
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{dashed(name)}/{path}"


def _registry(region: str) -> str:
    return f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com"


def _default_tags(scene: Scene) -> dict[str, str]:
    said = scene.config.get("defaultTags") or {}
    return dict(said.get("tags") or {})


def _cluster(id: str, inputs: Tree, scene: Scene) -> Tree:
    about, region = scene.cluster(id), _region(inputs, scene)
    unique = digest(id, region, length=32).upper()
    subnet = next((t for t in scene.things if t.id in inputs["vpcConfig"].get("subnetIds", [])), None)
    return {
        "endpoint": endpoint(about, f"{unique}.gr7.{region}.eks.amazonaws.com"),
        "certificateAuthority": {"data": certificate(about)},
        "identities": [{"oidcs": [{"issuer": f"https://oidc.eks.{region}.amazonaws.com/id/{unique}"}]}],
        "version": inputs.get("version") or VERSIONS[-1],
        "platformVersion": "eks.1",
        "vpcConfig": {
            "clusterSecurityGroupId": f"sg-{digest('cluster', id)}",
            "vpcId": subnet.inputs["vpcId"] if subnet else f"vpc-{digest(id)}",
        },
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4"}
        | (inputs.get("kubernetesNetworkConfig") or {}),
    }


# functions


def _zones(args: Tree, scene: Scene) -> Tree:
    region = _region(args, scene)
    names = [f"{region}{letter}" for letter in "abc" if f"{region}{letter}" not in args.get("excludeNames", [])]
    ids = [f"{region.replace('-', '')[:4]}-az{number}" for number in range(1, len(names) + 1)]
    return {"id": region, "names": names, "zoneIds": ids, "groupNames": [region], "region": region}


def _identity(args: Tree, scene: Scene) -> Tree:
    arn = f"arn:aws:iam::{ACCOUNT}:user/stand-in"
    return {"accountId": ACCOUNT, "arn": arn, "id": ACCOUNT, "userId": "AIDASTANDIN"}


def _session(args: Tree, scene: Scene) -> Tree:
    """Whose session an ARN is; that of a user is its own."""
    return {
        "arn": args["arn"],
        "id": args["arn"],
        "issuerArn": args["arn"],
        "issuerId": "",
        "issuerName": "",
        "sessionName": "",
    }


def _region_of(args: Tree, scene: Scene) -> Tree:
    region = str(args.get("region") or args.get("name") or _region({}, scene))
    endpoint = f"ec2.{region}.amazonaws.com"
    return {"id": region, "name": region, "region": region, "description": region, "endpoint": endpoint}


def _partition(args: Tree, scene: Scene) -> Tree:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}


def _addon_version(args: Tree, scene: Scene) -> Tree:
    latest = bool(args.get("mostRecent"))
    version = f"v{args['kubernetesVersion']}.{2 if latest else 1}-eksbuild.1"
    return {**args, "id": args["addonName"], "version": version, "mostRecent": latest, "region": _region(args, scene)}


def _versions(args: Tree, scene: Scene) -> Tree:
    wanted = args.get("clusterVersionsOnlies") or VERSIONS
    found = [
        {
            "clusterVersion": version,
            "defaultVersion": version == VERSIONS[-1],
            "versionStatus": "STANDARD_SUPPORT",
            "status": "standard-support",
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.1",
            "kubernetesPatchVersion": f"{version}.0",
        }
        for version in VERSIONS
        if version in wanted
    ]
    return {**args, "clusterVersions": found, "region": _region(args, scene)}


def _auth(args: Tree, scene: Scene) -> Tree:
    token = f"k8s-aws-v1.{digest(args['name'], length=40)}"
    return {"id": args["name"], "name": args["name"], "token": token, "region": _region(args, scene)}


def _registry_login(args: Tree, scene: Scene) -> Tree:
    region, password = _region(args, scene), digest("registry", length=40)
    return {
        **args,
        "id": region,
        "authorizationToken": base64.b64encode(f"AWS:{password}".encode()).decode(),
        "expiresAt": NOW,
        "password": password,
        "proxyEndpoint": f"https://{_registry(region)}",
        "userName": "AWS",
        "region": region,
    }


def _parameter(args: Tree, scene: Scene) -> Tree:
    """The parameters under /aws/service: the current images and their versions."""
    if not str(args["name"]).startswith("/aws/service/"):
        raise Refused(f"couldn't find resource: SSM parameter {args['name']}")
    value = f"ami-{digest(args['name'])}" if args["name"].endswith("image_id") else "1.0.0-20260101"
    return {**args, "id": args["name"], "value": value, "type": "String", "version": 1, "region": _region(args, scene)}


def _offerings(args: Tree, scene: Scene) -> Tree:
    wanted: list[Any] = [
        value for item in args.get("filters", []) if item["name"] == "instance-type" for value in item["values"]
    ]
    region = _region(args, scene)
    return {
        **args,
        "id": region,
        "instanceTypes": wanted,
        "locations": [region] * len(wanted),
        "locationTypes": [args.get("locationType") or "region"] * len(wanted),
        "region": region,
    }


def _policy(args: Tree, scene: Scene) -> Tree:
    statements = [_statement(item) for item in args.get("statements", [])]
    document = {"Version": args.get("version") or "2012-10-17", "Statement": statements}
    text = json.dumps(document, indent=2)
    short_text = json.dumps(document, separators=(",", ":"))
    return {**args, "id": digest(text, length=10), "json": text, "minifiedJson": short_text}


def _statement(said: Tree) -> Tree:
    found: Tree = {"Effect": said.get("effect") or "Allow"}
    if said.get("sid"):
        found["Sid"] = said["sid"]
    for name, key in (("Action", "actions"), ("NotAction", "notActions"), ("Resource", "resources")):
        if said.get(key):
            found[name] = said[key][0] if len(said[key]) == 1 else said[key]
    principals: Tree = {}
    for item in said.get("principals", []):
        principals[item["type"]] = item["identifiers"][0] if len(item["identifiers"]) == 1 else item["identifiers"]
    if principals:
        found["Principal"] = "*" if principals == {"*": "*"} else principals
    for item in said.get("conditions", []):
        values = item["values"][0] if len(item["values"]) == 1 else item["values"]
        found.setdefault("Condition", {}).setdefault(item["test"], {})[item["variable"]] = values
    return found


ANSWERS: dict[str, Answer] = {
    "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
    "aws:index/getCallerIdentity:getCallerIdentity": _identity,
    "aws:iam/getSessionContext:getSessionContext": _session,
    "aws:index/getRegion:getRegion": _region_of,
    "aws:index/getPartition:getPartition": _partition,
    "aws:eks/getAddonVersion:getAddonVersion": _addon_version,
    "aws:eks/getClusterVersions:getClusterVersions": _versions,
    "aws:eks/getClusterAuth:getClusterAuth": _auth,
    "aws:ecr/getAuthorizationToken:getAuthorizationToken": _registry_login,
    "aws:ssm/getParameter:getParameter": _parameter,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": _offerings,
    "aws:iam/getPolicyDocument:getPolicyDocument": _policy,
}
