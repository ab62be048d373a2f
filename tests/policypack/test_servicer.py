"""The pack's service, called as the engine calls it."""

from __future__ import annotations

import json
import threading
from datetime import date, timedelta
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2 as proto

from anytier.marks import UNKNOWN, Secret
from anytier.policy.registry import RULES
from anytier.policypack.servicer import Servicer
from anytier.provider import values

CONTAINER = {"name": "web", "image": "sha256:01", "limits": {"memory": 1}}
SOON = (date.today() + timedelta(days=30)).isoformat()


class Refused(Exception):
    pass


class Call:
    """What the service sees of a call."""

    def abort(self, code: Any, text: str) -> None:
        raise Refused(text)


@pytest.fixture
def pack() -> Servicer:
    return Servicer("1.2.3", threading.Event())


def urn(type: str, name: str) -> str:
    return f"urn:pulumi:dev::anytier::{type}::{name}"


def analyze(pack: Servicer, type: str, name: str, props: dict[str, Any]) -> list[Any]:
    request = proto.AnalyzeRequest(type=type, name=name, urn=urn(type, name), properties=values.write(props))
    return list(pack.Analyze(request, Call()).diagnostics)


def workload(pack: Servicer, **changed: Any) -> list[Any]:
    given = {"endpoint": {"host": "unix:///s"}, "template": {"containers": [{**CONTAINER, **changed}]}}
    return analyze(pack, "anytier:docker:Workload", "web", given)


def waive(pack: Servicer, **changed: Any) -> None:
    waiver = {"id": "docker-not-root", "resource": "web", "reason": "the vendor wants it", "until": SOON, **changed}
    config = {"anytier:policy": json.dumps({"waive": [waiver]}), "anytier:tier": "docker"}
    pack.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack="dev", config=config), Call())


def test_it_names_every_rule_with_its_level(pack: Servicer) -> None:
    info = pack.GetAnalyzerInfo(Empty(), Call())
    told = {item.name: item for item in info.policies}
    assert set(told) == {*RULES, "waivers"} and (info.name, info.version) == ("anytier", "1.2.3")
    assert told["docker-not-root"].enforcementLevel == proto.MANDATORY
    assert told["docker-memory-limit"].enforcementLevel == proto.ADVISORY
    assert told["aks-audit-logs"].policy_type == proto.POLICY_TYPE_STACK
    assert "CKV_AWS_58" in told["eks-secrets-encrypted"].tags


def test_what_keeps_the_rules_is_passed_over(pack: Servicer) -> None:
    assert workload(pack) == []
    assert analyze(pack, "aws:s3/bucket:Bucket", "b", {"anything": 1}) == []


def test_what_breaks_one_is_told_with_what_to_do(pack: Servicer) -> None:
    (found,) = workload(pack, user="root")
    assert (found.policyName, found.enforcementLevel) == ("docker-not-root", proto.MANDATORY)
    assert found.severity == proto.POLICY_SEVERITY_HIGH and found.policyPackVersion == "1.2.3"
    assert "template.containers.0.user is root -> take user: root out" in found.message


def test_a_secret_in_the_open_is_seen_by_its_mark_and_not_shown(pack: Servicer) -> None:
    (found,) = workload(pack, env={"TOKEN": Secret("canary")})
    assert found.policyName == "docker-secret-variables" and "canary" not in found.message
    assert workload(pack, env={"TOKEN": "${secrets.token}"}, secretEnv={"A": "token"}) == []


def test_what_a_preview_does_not_know_breaks_nothing(pack: Servicer) -> None:
    assert workload(pack, image=UNKNOWN, user=UNKNOWN) == []


def test_what_becomes_of_a_resource_is_judged(pack: Servicer) -> None:
    laid = {"kubelet": {"readOnlyPort": 10255}}
    found = analyze(pack, "anytier:kubeadm:ControlPlane", "control-plane", laid)
    assert [item.policyName for item in found] == ["kubeadm-kubelet-read-only-port"]
    assert found[0].urn == urn("anytier:kubeadm:ControlPlane", "control-plane")


def test_rules_about_several_are_asked_at_the_end_over_what_was_registered(pack: Servicer) -> None:
    cluster, setting = "azure-native:containerservice:ManagedCluster", "azure-native:monitor:DiagnosticSetting"
    analyze(pack, cluster, "aks", {})
    analyze(pack, setting, "audit", {"workspaceId": "/w", "logs": [{"categoryGroup": "audit", "enabled": True}]})

    def ended(of: str) -> list[str]:
        behind = proto.AnalyzerPropertyDependencies(urns=[of])
        every = [
            proto.AnalyzerResource(type=cluster, name="aks", urn=urn(cluster, "aks")),
            proto.AnalyzerResource(
                type=setting, name="audit", urn=urn(setting, "audit"), propertyDependencies={"resourceUri": behind}
            ),
        ]
        answer = pack.AnalyzeStack(proto.AnalyzeStackRequest(resources=every), Call())
        return [item.policyName for item in answer.diagnostics]

    assert ended(urn(cluster, "aks")) == [] and ended("another") == ["aks-audit-logs"]


def test_a_waiver_makes_it_advice_that_says_why(pack: Servicer) -> None:
    waive(pack)
    (found,) = workload(pack, user="root")
    assert found.enforcementLevel == proto.ADVISORY
    assert f"waived until {SOON} (the vendor wants it)" in found.message
    assert list(pack.AnalyzeStack(proto.AnalyzeStackRequest(), Call()).diagnostics) == []


def test_a_waiver_of_no_use_is_told_at_the_end(pack: Servicer) -> None:
    waive(pack, resource="other")
    assert [item.enforcementLevel for item in workload(pack, user="root")] == [proto.MANDATORY]
    (told,) = pack.AnalyzeStack(proto.AnalyzeStackRequest(), Call()).diagnostics
    assert told.policyName == "waivers" and "docker-not-root on other" in told.message


def test_a_wrong_waiver_ends_the_run(pack: Servicer) -> None:
    with pytest.raises(Refused, match=r"anytier:policy.waive.0.reason: says nothing"):
        waive(pack, reason="")


@pytest.mark.parametrize(("level", "wanted"), [("DISABLED", []), ("ADVISORY", [proto.ADVISORY])])
def test_the_packs_config_sets_a_rules_level(pack: Servicer, level: str, wanted: list[int]) -> None:
    config = {"docker-not-root": proto.PolicyConfig(enforcementLevel=proto.EnforcementLevel.Value(level))}
    pack.Configure(proto.ConfigureAnalyzerRequest(policyConfig=config), Call())
    assert [item.enforcementLevel for item in workload(pack, user="root")] == wanted


def test_cancel_ends_it() -> None:
    done = threading.Event()
    Servicer("1", done).Cancel(Empty(), Call())
    assert done.is_set()
