"""The graph itself: to JSON and back, one order, and what is refused as a plan."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.plan.graphs import FEW, graph, graphs, node

from anytier.errors import UsageError
from anytier.report.plan.graph import Graph, graph_of, parse, short


@FEW
@given(graphs())
def test_a_graph_goes_to_json_and_back(made: Graph) -> None:
    again = parse(made.text(), "--diff")
    assert again == made
    assert again.text() == made.text()
    assert made.text().isascii()


@FEW
@given(graphs(), st.randoms())
def test_the_order_of_registration_does_not_show(made: Graph, chance: random.Random) -> None:
    shuffled = list(made.resources)
    chance.shuffle(shuffled)
    assert graph_of(made.project, made.stack, shuffled, made.exports) == made


@FEW
@given(graphs())
def test_each_comes_after_what_it_needs(made: Graph) -> None:
    seen: set[str | None] = {None}
    for item in made.resources:
        assert {item.parent, *item.first} <= seen
        seen.add(item.key)
    assert made.children.keys() <= seen


@FEW
@given(graphs())
def test_what_is_implied_is_not_told_again_and_nothing_is_lost(made: Graph) -> None:
    def reach(key: str) -> set[str]:
        direct = made.direct[key]
        return set(direct).union(*(reach(other) for other in direct))

    for item in made.resources:
        wanted = {key for key in item.first if not made.nodes[key].component}
        assert wanted <= reach(item.key)
        for key in made.direct[item.key]:
            others = [other for other in made.direct[item.key] if other != key]
            assert key not in set().union(*(reach(other) for other in others))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "is no plan"),
        ('{"format": 2, "project": "p", "stack": "s"}', "format"),
        ('{"format": 1, "project": "p"}', "stack: field required"),
        ('{"format": 1, "project": "p", "stack": "s", "more": 1}', "more"),
        ('{"version": 3, "deployment": {}}', "is no plan"),
    ],
)
def test_what_is_no_plan_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(text, "--diff")
    assert caught.value.path == "--diff" and said in caught.value.what and "--json" in caught.value.do


def test_a_plan_that_contradicts_itself_is_refused() -> None:
    twice = json.loads(graph(node("a:b:C", "x")).text())
    twice["resources"] *= 2
    lost = json.loads(graph(node("a:b:C", "x")).text())
    lost["resources"][0]["depends"] = ["gone"]
    for wrong, said in ((twice, "two resources have the key"), (lost, "comes before what it needs")):
        with pytest.raises(UsageError, match=said):
            parse(json.dumps(wrong), "--diff")


@pytest.mark.parametrize(
    ("type", "said"),
    [
        ("anytier:docker:Workload", "docker:Workload"),
        ("kubernetes:apps/v1:Deployment", "Deployment apps/v1"),
        ("kubernetes:core/v1:Secret", "Secret v1"),
        ("aws:ec2/subnet:Subnet", "aws ec2 Subnet"),
        ("azure-native:network:Subnet", "azure-native network Subnet"),
        ("pulumi:providers:aws", "provider aws"),
    ],
)
def test_a_type_has_a_short_name(type: str, said: str) -> None:
    assert short(type) == said
