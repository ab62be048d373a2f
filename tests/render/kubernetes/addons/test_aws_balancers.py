"""The controller of AWS' load balancers: its objects as they were looked at once, and what must hold of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.kubernetes.addons import aws_balancers
from anytier.render.kubernetes.addons.aws_balancers import HEALTH, NAMESPACE, Choice

GOLDEN = Path(__file__).parent / "golden" / "aws-balancers.yaml"
CHOICE = Choice("anytier-prod-0a1b2c3d", "eu-central-1", "vpc-0a1b2c3d", "Y3J0", "a2V5", {"anytier.dev/stack": "prod"})


def objects(choice: Choice = CHOICE) -> dict[str, dict[str, Any]]:
    return {item.key: item.object for item in aws_balancers.render(choice)}


def pod(choice: Choice = CHOICE) -> dict[str, Any]:
    found: dict[str, Any] = objects(choice)["balancers"]["spec"]["template"]["spec"]
    return found


def flags(choice: Choice = CHOICE) -> dict[str, str]:
    (container,) = pod(choice)["containers"]
    return dict(word.removeprefix("--").split("=", 1) for word in container["args"])


def test_its_objects_are_those_that_were_looked_at(request: pytest.FixtureRequest) -> None:
    text = yaml.safe_dump_all([*objects().values()], sort_keys=False)
    if request.config.getoption("--accept"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text(), "changed: if that is meant, run it with --accept"


def test_each_comes_after_what_it_needs() -> None:
    seen: list[str] = []
    for item in aws_balancers.render(CHOICE):
        assert item.key not in seen and set(item.after) <= {*seen}, item.key
        seen.append(item.key)
    assert seen[-1] == "balancers" and seen[0] == "balancers.namespace"
    (last,) = [item for item in aws_balancers.render(CHOICE) if item.key == "balancers"]
    # Its rights, its definitions, its certificate and its ways are there when it starts.
    assert {"balancers.binding", "balancers.leads", "balancers.bindings", "balancers.classes"} <= set(last.after)
    assert {"balancers.certificate", "balancers.policy"} <= set(last.after)


def test_it_is_told_where_it_is_and_asks_no_machine() -> None:
    assert flags()["cluster-name"] == "$(CLUSTER)" and flags()["aws-vpc-id"] == "$(VPC)"
    assert flags()["aws-region"] == "eu-central-1" and flags()["default-tags"] == "anytier.dev/stack=prod"
    (container,) = pod()["containers"]
    env = {item["name"]: item["value"] for item in container["env"]}
    assert env == {"CLUSTER": CHOICE.cluster, "VPC": CHOICE.vpc, "AWS_EC2_METADATA_DISABLED": "true"}
    for rule in objects()["balancers.policy"]["spec"]["egress"]:
        for peer in rule.get("to", ()):
            block = peer["ipBlock"]
            assert block["cidr"] == "169.254.170.23/32" or block["except"] == ["169.254.0.0/16"]


def test_it_serves_services_of_its_class_and_nothing_else() -> None:
    gates = dict(item.split("=") for item in flags()["feature-gates"].split(","))
    assert gates == {"ServiceTypeLoadBalancerOnly": "true", "NLBGatewayAPI": "false", "ALBGatewayAPI": "false"}
    assert flags()["load-balancer-class"] == aws_balancers.CLASS
    assert {flags()[f"enable-{name}"] for name in ("shield", "waf", "wafv2")} == {"false"}
    kinds = {item["kind"] for item in objects().values()}
    assert not kinds & {"IngressClass", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration", "Service"}


def test_it_may_read_no_secret_and_change_little() -> None:
    changes = {
        (group, resource)
        for rule in objects()["balancers.role"]["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if {*rule["verbs"]} - {"get", "list", "watch"}
    }
    assert changes == {
        ("", "services"),
        ("", "services/status"),
        ("", "events"),
        ("elbv2.k8s.aws", "targetgroupbindings"),
        ("elbv2.k8s.aws", "targetgroupbindings/status"),
    }
    assert "secrets" not in json.dumps(objects()["balancers.role"])
    assert objects()["balancers.leader"]["metadata"]["namespace"] == NAMESPACE


def test_it_is_locked_in_and_two() -> None:
    labels = objects()["balancers.namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    (container,) = pod()["containers"]
    held = container["securityContext"]
    assert held["runAsNonRoot"] and held["readOnlyRootFilesystem"] and held["capabilities"] == {"drop": ["ALL"]}
    assert objects()["balancers"]["spec"]["replicas"] == 2
    closed = objects()["balancers.denied"]["spec"]
    assert closed == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (way_in,) = objects()["balancers.policy"]["spec"]["ingress"]
    assert way_in["ports"] == [{"protocol": "TCP", "port": HEALTH}]


@given(st.dictionaries(st.text("abcXYZ .:/@-", min_size=1), st.text("abc =.:/@-"), max_size=4), st.text(max_size=30))
def test_any_choice_is_json_and_its_tags_come_back(tags: dict[str, str], image: str) -> None:
    choice = Choice("c", "r", "v", "", "", tags, image)
    made = [*objects(choice).values()]
    assert json.loads(json.dumps(made)) == made and pod(choice)["containers"][0]["image"] == image
    told = flags(choice).get("default-tags")
    assert dict(item.split("=", 1) for item in told.split(",")) == tags if told is not None else tags == {}
