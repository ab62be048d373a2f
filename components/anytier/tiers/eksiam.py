"""Roles of an EKS cluster in IAM: who may be them, and AWS' own policies for what they may."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pulumi_aws import iam

import pulumi

POLICIES = "arn:aws:iam::aws:policy/"
CLUSTER = ("AmazonEKSClusterPolicy",)
AUTO_CLUSTER = (
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
)
NODES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
AUTO_NODES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")


class Role:
    """A role and what it may. `ready`: both; whoever is the role waits for it, and goes before it."""

    def __init__(
        self,
        name: str,
        service: str,
        policies: Iterable[str],
        tags: Mapping[str, str],
        parent: pulumi.Resource,
        *,
        tagged: bool = False,
    ) -> None:
        own = pulumi.ResourceOptions(parent=parent)
        self.role = iam.Role(
            f"{name}-role",
            assume_role_policy=trust(service, tagged),
            force_detach_policies=True,
            tags=dict(tags),
            opts=own,
        )
        self.arn = self.role.arn
        self.ready: list[pulumi.Resource] = [self.role]
        self.ready += [
            iam.RolePolicyAttachment(
                f"{name}-{policy.rpartition('/')[2]}",
                role=self.role.name,
                policy_arn=f"{POLICIES}{policy}",
                opts=own,
            )
            for policy in policies
        ]


def trust(service: str, tagged: bool) -> str:
    """`tagged`: sessions carry tags, as EKS itself sets them."""
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if tagged else [])]
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": actions}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, sort_keys=True)


def deployer() -> pulumi.Output[str]:
    """Whoever runs this, as IAM knows them: of a session, the role that it is of."""
    from pulumi_aws.get_caller_identity import get_caller_identity_output

    issuer: pulumi.Output[str] = iam.get_session_context_output(arn=get_caller_identity_output().arn).issuer_arn
    return issuer
