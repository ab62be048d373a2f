"""A plan and a diff on a terminal: what stands where, and that nothing moves the terminal."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.report.plan.graphs import FEW, graph, graphs, node

from anytier.report.plan import terminal, words
from anytier.report.plan.diff import compare
from anytier.report.plan.graph import Graph, graph_of
from anytier.report.text import width


@FEW
@given(graphs(), st.one_of(st.none(), st.integers(20, 120)))
def test_a_tree_has_a_line_for_each_and_nothing_that_moves_a_terminal(made: Graph, room: int | None) -> None:
    text = terminal.tree(made, room)
    lines = text.split("\n")
    assert all(line.isprintable() for line in lines)
    assert room is None or all(width(line) <= room for line in lines)
    body = lines[2 : lines.index("exports") - 1] if "exports" in lines else lines[2:]
    assert len(body) == len(made.resources)


@FEW
@given(graphs(), graphs())
def test_a_diff_is_told_line_by_line(one: Graph, other: Graph) -> None:
    found = compare(one, other)
    text = terminal.changes(found, words.Names(other))
    assert all(line.isprintable() for line in text.split("\n"))
    heads = [line for line in text.split("\n") if re.match(r"[+~±-] (add|change|replace|remove) ", line)]
    assert len(heads) == len(found.changes)


def test_a_tree_says_what_waits_for_what() -> None:
    tier = node("anytier:tier:Docker", "docker", component=True)
    app = node("anytier:index:App", "shop", component=True)
    net = node("anytier:docker:Network", "net", {"name": "n", "labels": {}}, parent=app.key)
    web = node(
        "anytier:docker:Workload",
        "web",
        {"replicas": 2, "secrets": "[secret]"},
        secrets=(("secrets",),),
        parent=app.key,
        depends=(net.key,),
    )
    made = graph_of("p", "dev", [web, net, app, tier], {"url": "http://localhost/"})
    assert terminal.tree(made, inputs=True).split("\n") == [
        "stack dev: 2 resources of 2 kinds",
        "",
        "docker  tier:Docker",
        "shop    index:App",
        "├─ net  docker:Network",
        '│      name = "n"',
        "│      labels = {}",
        "└─ web  docker:Workload  after net",
        "       replicas = 2",
        "       secrets = [secret]",
        "",
        "exports",
        '  url = "http://localhost/"',
    ]


def test_two_of_one_name_are_told_apart() -> None:
    names = words.Names(graph(node("kubernetes:apps/v1:Deployment", "web"), node("anytier:kubernetes:Rollout", "web")))
    assert names.of("kubernetes:apps/v1:Deployment::web") == "Deployment apps/v1 web"
    assert names.of("a$b::gone") == "gone"


def test_a_diff_says_what_happens_and_why() -> None:
    base = graph(node("anytier:docker:Volume", "data", {"name": "a"}), stack="dev")
    head = graph(node("anytier:docker:Volume", "data", {"name": "b", "labels": {"x": "y"}}), stack="dev")
    text = terminal.changes(compare(base, head), words.Names(head), color=True)
    assert text.split("\n") == [
        "stack dev: 1 to replace, 0 as before; at worst: data loss",
        "",
        "\033[1;31m± replace docker:Volume data  [data loss]: the data in the volume goes\033[0m",
        '    name: "a" -> "b"  (makes it anew)',
        '    labels: - -> {"x": "y"}',
    ]


def test_two_stacks_are_named() -> None:
    found = compare(graph(stack="a"), graph(stack="b"))
    assert (
        terminal.changes(found, words.Names(graph()))
        == "stack b: no changes, 0 as before (from project/a to project/b)"
    )
