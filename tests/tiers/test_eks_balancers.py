"""Tier eks in standard mode: the controller of load balancers, what it may at AWS, and when it comes and goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.runtimes.record import Recording, Secret
from tests.tiers.test_eks import ANSWERS, app_file, args, day, decided, of, reach, tier, whole

from anytier.render.kubernetes.addons import aws_balancers
from anytier.tiers import eksbalancers, eksplan

__all__ = ["app_file", "day"]  # fixtures

pytest.importorskip("pulumi_aws", reason="make test-clouds")

CLUSTER = "anytier-prod-0a1b2c3d"
CONTROLLER = "kubernetes:apps/v1:Deployment"


def kubernetes(made: Recording, kind: str) -> list[Any]:
    return [item for item in made.resources if item.type.startswith("kubernetes:") and item.type.endswith(f":{kind}")]


@pytest.fixture(scope="module")
def standard() -> Recording:
    return tier()


# which stacks have it


@pytest.mark.parametrize(
    ("options", "there"),
    [
        ({}, True),
        ({"loadBalancerController": "aws"}, True),
        ({"loadBalancerController": "none"}, False),
        ({"nat": "none"}, False),
        ({"nat": "none", "loadBalancerImage": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/lbc:3.5.0"}, True),
        ({"mode": "auto"}, False),
    ],
)
def test_it_is_there_in_standard_mode_unless_left_out(options: dict[str, Any], there: bool) -> None:
    assert eksplan.has_controller(args(**options)) is there is decided(**options).controller
    assert eksplan.balancer_class(args(**options)) == (aws_balancers.CLASS if there else None)
    made = tier(**options)
    assert bool(kubernetes(made, "Deployment")) is there
    assert bool(of(made, "iam/rolePolicy:RolePolicy")) is there
    assert bool(made.of("index:Certificate")) is there


def test_its_image_is_pinned_and_may_be_another_one(standard: Recording) -> None:
    for made, image in (
        (standard, aws_balancers.IMAGE),
        (tier(loadBalancerImage="example.org/lbc:1"), "example.org/lbc:1"),
    ):
        (container,) = made["balancers"].inputs["spec"]["template"]["spec"]["containers"]
        assert container["image"] == image


# what it is told


def test_it_is_told_the_clusters_name_and_its_network(standard: Recording) -> None:
    (container,) = standard["balancers"].inputs["spec"]["template"]["spec"]["containers"]
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env["CLUSTER"] == standard["control-plane"].inputs["name"] and env["VPC"] == "vpc-id"
    assert "--aws-region=eu-central-1" in container["args"]


def test_its_certificates_key_is_a_secret_wherever_it_is(standard: Recording) -> None:
    data = standard["balancers.certificate"].inputs["data"]
    assert isinstance(data, Secret) or isinstance(data["tls.key"], Secret)
    assert standard["load-balancers"].inputs == {"names": [aws_balancers.SERVER]}


# who it is at AWS


def test_it_has_a_role_of_its_own_for_its_own_account(standard: Recording) -> None:
    held = standard["load-balancers-identity"].inputs
    assert (held["namespace"], held["serviceAccount"]) == (aws_balancers.NAMESPACE, aws_balancers.NAME)
    assert held["roleArn"] == ANSWERS["aws:iam/role:Role"]["arn"]
    assert {"load-balancers-may", "load-balancers-role"} <= standard.after("load-balancers-identity")
    policy = json.loads(standard["load-balancers-may"].inputs["policy"])
    assert policy == json.loads(eksbalancers.policy(standard["control-plane"].inputs["name"]))


def statements() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(eksbalancers.policy(CLUSTER))["Statement"]
    return found


def test_its_policy_fits_into_a_role_and_names_every_action() -> None:
    # IAM: 10,240 characters for all policies that lie in one role, white space not counted
    assert len("".join(eksbalancers.policy("x" * 100).split())) < 10_240
    for item in statements():
        assert item["Effect"] == "Allow" and item["Action"] and "Resource" in item
        for action in item["Action"]:
            service, _, name = action.partition(":")
            assert service in ("ec2", "elasticloadbalancing", "iam") and "*" not in name


def test_what_it_changes_is_the_clusters_own() -> None:
    """But for what AWS makes without a tag, and for what hangs on a load balancer that it must have made."""
    free = {
        "ec2:CreateSecurityGroup",
        *(f"elasticloadbalancing:{name}" for name in ("CreateListener", "DeleteListener", "ModifyListener")),
        *(f"elasticloadbalancing:{name}" for name in ("RegisterTargets", "DeregisterTargets")),
    }
    for item in statements():
        changing = {name for name in item["Action"] if not name.partition(":")[2].startswith(("Describe", "Get"))}
        if "Condition" in item:
            equal = item["Condition"]["StringEquals"]
            of_the_cluster = {value for value in equal.values() if value == CLUSTER}
            of_machines = equal.get(f"aws:ResourceTag/kubernetes.io/cluster/{CLUSTER}") == "owned"
            assert of_the_cluster or of_machines or changing == {"iam:CreateServiceLinkedRole"}, item
        else:
            on_listeners = "listener/net/" in str(item["Resource"])
            assert changing <= free or (
                on_listeners and changing <= {f"elasticloadbalancing:{n}Tags" for n in ("Add", "Remove")}
            )


def test_the_mark_of_the_cluster_is_never_set_or_taken_from_what_is_there() -> None:
    tag = "aws:RequestTag/elbv2.k8s.aws/cluster"
    for item in statements():
        tags = {"ec2:CreateTags", "ec2:DeleteTags", "elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"}
        if tags & {*item["Action"]} and "listener/net/" not in str(item["Resource"]):
            made_now = item["Condition"]["StringEquals"].get(tag) == CLUSTER
            assert made_now or item["Condition"]["Null"] == {tag: "true"}


# the order


def test_it_comes_after_who_it_is_and_before_the_app(app_file: Path) -> None:
    made = whole(app_file)
    (controller,) = [item for item in made.resources if (item.type, item.name) == (CONTROLLER, "balancers")]
    before = reach(made, controller)
    assert {
        "load-balancers-identity",
        "load-balancers-may",
        "nodes-main",
        "vpc-cni",
        "eks-pod-identity-agent",
    } <= before
    assert {"balancers.bindings", "balancers.classes", "balancers.policy", "balancers.certificate"} <= before
    services = [item for item in kubernetes(made, "Service") if item.inputs["spec"].get("type") == "LoadBalancer"]
    assert services
    for item in (*services, *kubernetes(made, "Namespace")):
        if item.name != "balancers.namespace":
            assert "balancers" in reach(made, item), item.name
    # The engine orders what goes in one run by their own arrows, not by the way over what stays.
    assert all("balancers" in item.depends for item in services)


def test_it_starts_once_its_definitions_are_in_force(standard: Recording) -> None:
    waited = {
        item.name
        for item in standard.resources
        if item.name.startswith("balancers")
        and "pulumi.com/skipAwait" not in item.inputs["metadata"].get("annotations", {})
    }
    assert waited == {*aws_balancers.DEFINITIONS} == {"balancers.bindings", "balancers.classes"}


def test_whole_clusters_end_takes_it_along(standard: Recording) -> None:
    for item in standard.resources:
        if item.name.startswith("balancers"):
            assert item.gone_with == "control-plane", item.name


def test_nothing_of_the_api_servers_waits_for_it(standard: Recording) -> None:
    assert not [item for item in standard.resources if "WebhookConfiguration" in item.type]
