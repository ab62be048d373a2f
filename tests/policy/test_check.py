"""The check as a whole: in order, over any input, over a state; and rules that say what they need to."""

from __future__ import annotations

import copy
import datetime
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.policy.good import ALL, PARTS

from anytier.marks import UNKNOWN, Secret
from anytier.policy import plan
from anytier.policy.check import check
from anytier.policy.registry import ELSEWHERE, RULES, SECTIONS
from anytier.policy.rendered import rendered
from anytier.policy.resource import Resource
from anytier.policy.rule import SEVERITIES
from anytier.policy.state import resources

ROOT = Path(__file__).parents[2]
TODAY = datetime.date(2026, 11, 28)
UNKNOWN_TEXT = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
NUMBER = re.compile(r"CKV2?_(AWS|GCP|AZURE|K8S)_\d+|CIS (EKS|GKE|AKS|Kubernetes|Docker) \d+(\.\d+){1,2}")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def test_a_rule_says_all_that_a_person_needs() -> None:
    assert len(RULES) == sum(len(rules) for _, rules in SECTIONS.values())  # no id is there twice
    for rule in RULES.values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.id) and rule.severity in SEVERITIES
        assert rule.title[0].isupper() and not rule.title.endswith(".") and len(rule.title) <= 100, rule.id
        assert rule.remedy and not rule.remedy.endswith(".") and rule.on, rule.id
        assert all(NUMBER.fullmatch(item) for item in rule.references), rule.id


def test_what_no_rule_holds_a_test_of_ours_does() -> None:
    for item in ELSEWHERE:
        assert item.tests, item.line
        for test in item.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / file).read_text(), test


def test_findings_come_with_the_worst_first() -> None:
    broken = [Resource(item.type, item.name, {}) for item in ALL]
    found = check(broken, today=TODAY).findings
    order = [SEVERITIES.index(item.rule.severity) for item in found]
    assert order == sorted(order) and {"critical", "high", "medium", "low"} == {item.rule.severity for item in found}


def paths(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(tree, dict):
        return found + [below for key, value in tree.items() for below in paths(value, (*path, key))]
    if isinstance(tree, list):
        return found + [below for index, value in enumerate(tree) for below in paths(value, (*path, index))]
    return found


PLACES = [(item, path) for item in ALL for path in paths(dict(item.props))]


@settings(max_examples=60)
@given(st.sampled_from(PLACES), ANYTHING)
def test_no_value_anywhere_ends_the_check(place: tuple[Resource, tuple[Any, ...]], value: Any) -> None:
    """Also that of a stranger's spec: what a rule cannot read is a finding, never a traceback."""
    item, path = place
    props = copy.deepcopy(dict(item.props))
    at = props
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    others = [other for part in PARTS.values() if item in part for other in part if other is not item]
    for found in check([Resource(item.type, item.name, props, item.urn), *others], today=TODAY).findings:
        assert str(found) and "\n" not in found.path


def test_a_rule_that_cannot_tell_lets_nothing_pass() -> None:
    odd = Resource("kubernetes:apps/v1:Deployment", "odd", {"metadata": {"namespace": ["a"]}, "spec": {}})
    found = {item.rule.id: item.what for item in check([odd], today=TODAY).findings}
    assert "has a form in which this rule cannot be told" in found.values()


@pytest.mark.parametrize("item", ALL, ids=lambda item: item.name)
def test_whatever_can_be_rendered_is(item: Resource) -> None:
    """Else the rules about it would be kept by what they never see."""
    seen = {one.type for one in rendered(item)}
    wanted = {
        "anytier:host:Workload": {"rendered:systemd:Unit"} if item.name != "here" else set(),
        "anytier:docker:Workload": {"rendered:docker:Container"},
        "anytier:kubeadm:ControlPlane": {"rendered:kubeadm:Cluster"},
        "anytier:libvirt:Domain": {"rendered:libvirt:Domain"},
        "anytier:libvirt:Volume": {"rendered:libvirt:Volume"},
        "anytier:libvirt:SeedIso": {"rendered:libvirt:Volume"},
    }
    assert seen == wanted.get(item.type, set())


def test_a_state_is_read_with_its_secrets_sealed() -> None:
    sealed = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:x"}
    deployment = json.loads(json.dumps({
        "resources": [
            {"urn": "urn:pulumi:dev::a::t::old", "type": "t", "delete": True},
            {
                "urn": "urn:pulumi:dev::a::anytier:host:Machine::m",
                "type": "anytier:host:Machine",
                "inputs": {"machine": {"privateKey": sealed, "port": 22}, "late": UNKNOWN_TEXT},
                "outputs": {"hostKey": "k"},
                "dependencies": ["urn:x"],
                "propertyDependencies": {"machine": ["urn:x"], "none": None},
            },
        ]
    }))  # fmt: skip
    (found,) = resources(deployment)
    assert found.name == "m" and found.outputs == {"hostKey": "k"} and found.props["late"] is UNKNOWN
    assert isinstance(found.props["machine"]["privateKey"], Secret)
    assert found.property_dependencies == {"machine": ("urn:x",), "none": ()}
    assert list(resources({})) == []


def test_what_another_resource_will_say_is_not_judged_as_if_it_were_known() -> None:
    spec = {"containers": [{"name": "a", "image": "<web.ref>"}, {"name": "b", "image": "<mine.ref>"}]}
    kind = "kubernetes:core/v1:Pod"
    node = {"key": "t::pod", "type": kind, "name": "pod", "inputs": {"spec": spec}, "reads": {"spec": ["x::web"]}}
    (found,) = plan.resources({"resources": [node]})
    assert [item["image"] for item in found.props["spec"]["containers"]] == [UNKNOWN, "<mine.ref>"]
    (other,) = plan.resources({"resources": [{**node, "type": "anytier:docker:Workload"}]})
    assert other.props["spec"] == spec


def test_a_plan_says_where_secrets_are_and_what_only_a_run_knows() -> None:
    node = {
        "key": "t::m",
        "type": "t",
        "name": "m",
        "inputs": {"a": [{"b": "[secret]"}], "c": "[secret]", "d": "[unknown]", "e": {"f": "x"}},
        "secrets": [["a", 0, "b"], ["gone", 3], ["e"]],
        "unknown": [["d"], ["e", "f"]],
        "depends": ["t::n"],
        "reads": {"d": ["t::n"]},
    }
    (found,) = plan.resources({"resources": [node]})
    assert found.props["a"] == [{"b": Secret("[secret]")}] and found.props["c"] == "[secret]"
    assert found.props["d"] is UNKNOWN and found.props["e"] == Secret({"f": UNKNOWN})
    assert (found.urn, found.property_dependencies) == ("t::m", {"d": ("t::n",)})
