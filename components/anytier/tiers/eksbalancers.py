"""What the AWS Load Balancer Controller may at AWS, for Services and their network load balancers alone. Pure.

The actions are those of the project's own policy (3.5), without what it lists for ALBs, certificates, WAF and Shield.
What is changed has to be the cluster's own: the controller tags what it makes with the cluster's name, and EKS the
security group of the machines.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

_OWN = "elbv2.k8s.aws/cluster"
_BALANCING = "elasticloadbalancing"
_LOOKS = (
    "ec2:DescribeAccountAttributes",
    "ec2:DescribeAddresses",
    "ec2:DescribeAvailabilityZones",
    "ec2:DescribeInstances",
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeRouteTables",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeTags",
    "ec2:DescribeVpcs",
    "ec2:GetSecurityGroupsForVpc",
    *(
        f"{_BALANCING}:Describe{what}"
        for what in (
            "CapacityReservation",
            "ListenerAttributes",
            "ListenerCertificates",
            "Listeners",
            "LoadBalancerAttributes",
            "LoadBalancers",
            "Rules",
            "SSLPolicies",
            "Tags",
            "TargetGroupAttributes",
            "TargetGroups",
            "TargetHealth",
        )
    ),
)
_RULES = ("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
_CHANGES = (
    "DeleteLoadBalancer",
    "DeleteTargetGroup",
    "ModifyListenerAttributes",
    "ModifyLoadBalancerAttributes",
    "ModifyTargetGroup",
    "ModifyTargetGroupAttributes",
    "SetIpAddressType",
    "SetSecurityGroups",
    "SetSubnets",
)
_LISTENERS = ("CreateListener", "DeleteListener", "ModifyListener")
_TARGETS = ("DeregisterTargets", "RegisterTargets")


def policy(cluster: str) -> str:
    """JSON for IAM. `cluster`: its name."""
    groups = "arn:aws:ec2:*:*:security-group/*"
    target_groups = f"arn:aws:{_BALANCING}:*:*:targetgroup/*/*"
    made = [target_groups, f"arn:aws:{_BALANCING}:*:*:loadbalancer/net/*/*"]
    asked, held = {f"aws:RequestTag/{_OWN}": cluster}, {f"aws:ResourceTag/{_OWN}": cluster}
    kept = {f"aws:RequestTag/{_OWN}": "true"}  # under `Null`: this tag is not among those that are set or taken away
    of_machines = {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"}
    service = {"iam:AWSServiceName": "elasticloadbalancing.amazonaws.com"}
    statements = [
        _may(_LOOKS),
        _may(["iam:CreateServiceLinkedRole"], StringEquals=service),
        # security groups
        _may(["ec2:CreateSecurityGroup"]),
        _may(["ec2:CreateTags"], groups, StringEquals={"ec2:CreateAction": "CreateSecurityGroup", **asked}),
        _may(["ec2:CreateTags", "ec2:DeleteTags"], groups, Null=kept, StringEquals=held),
        _may([*_RULES, "ec2:DeleteSecurityGroup"], StringEquals=held),
        _may(_RULES, StringEquals=of_machines),
        # load balancers and what they lead to
        _may(_of(("CreateLoadBalancer", "CreateTargetGroup")), StringEquals=asked),
        _may(
            _of(("AddTags",)),
            made,
            StringEquals={f"{_BALANCING}:CreateAction": ["CreateLoadBalancer", "CreateTargetGroup"], **asked},
        ),
        _may(_of(("AddTags", "RemoveTags")), made, Null=kept, StringEquals=held),
        _may(_of(("AddTags", "RemoveTags")), f"arn:aws:{_BALANCING}:*:*:listener/net/*/*/*"),
        _may(_of(_CHANGES), StringEquals=held),
        _may(_of(_LISTENERS)),
        _may(_of(_TARGETS), target_groups),
    ]
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, sort_keys=True)


def _of(names: Sequence[str]) -> list[str]:
    return [f"{_BALANCING}:{name}" for name in names]


def _may(actions: Sequence[str], on: str | list[str] = "*", **condition: Any) -> dict[str, Any]:
    held = {"Condition": condition} if condition else {}
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **held}
