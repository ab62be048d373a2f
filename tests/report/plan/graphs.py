"""Graphs for tests: small ones by hand, and any at all by Hypothesis, with names that mean harm."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from anytier.report.plan.graph import Graph, Node, graph_of

# A graph takes its time to draw, and a handful of nodes shows all that can go wrong.
FEW = settings(max_examples=20)

# What breaks terminals, Markdown and XML where it is not taken care of.
HOSTILE = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(
        [
            "\x1b[2J\x1b[31mred",
            "a\nb",
            "\r\n\r\n# heading",
            "`code`",
            "``a` b``",
            "`",
            " ` ",
            "|",
            "<script>alert(1)</script>",
            "</details>",
            "![x](https://example.org/x.png)",
            "@everyone",
            "a]]>b",
            "&lt;",
            "\u202egnp.exe",
            "\ufffe",
            "漢字" * 30,
            "e\u0301" * 20,
            "<web.id>",
            "[secret]",
            "\\",
            "x" * 500,
            "https://example.org",
            "www.example.org",
            "a@example.org",
            "[x]: https://example.org",
            "[^1]",
            "#12 and GH-12",
            "1f8fe4a7",
            ":tada:",
            "$x$",
            "~~x~~",
            "*x* __y__",
            "- [ ] x",
            "1. x",
            "> x",
            "a | b \\| c",
            "<!-- x",
            "<b onclick=x>",
        ]
    ),
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), HOSTILE
)
VALUES = st.recursive(
    LEAVES,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(HOSTILE, below, max_size=3)),
    max_leaves=4,
)
TYPES = st.one_of(
    st.sampled_from(
        [
            "anytier:docker:Workload",
            "anytier:docker:Volume",
            "anytier:index:Secret",
            "kubernetes:apps/v1:Deployment",
            "kubernetes:core/v1:Secret",
            "kubernetes:example.org/v1:Thing",
            "aws:ec2/subnet:Subnet",
            "pulumi:providers:kubernetes",
        ]
    ),
    HOSTILE,
)


@st.composite
def graphs(draw: st.DrawFn, most: int = 5) -> Graph:
    """Any graph: every node may wait for, and read, those before it."""
    nodes: list[Node] = []
    for index in range(draw(st.integers(0, most))):
        before = [node.key for node in nodes]
        chosen = st.lists(st.sampled_from(before), unique=True, max_size=3) if before else st.just([])
        inputs = draw(st.dictionaries(HOSTILE, VALUES, max_size=3))
        sealed = draw(st.sampled_from(sorted(inputs))) if inputs and draw(st.booleans()) else None
        if sealed is not None:
            inputs[sealed] = "[secret]"
        type, name = draw(TYPES), draw(HOSTILE)
        needs = draw(chosen)
        nodes.append(
            Node(
                key=f"{type}::{index}{name}",
                type=type,
                name=name,
                parent=draw(st.sampled_from([None, *before])),
                component=draw(st.booleans()) and draw(st.booleans()),
                inputs=inputs,
                secrets=((sealed,),) if sealed is not None else (),
                depends=tuple(sorted(needs)),
                reads={key: tuple(sorted(needs)) for key in list(inputs)[:1] if needs},
                provider=draw(st.sampled_from([None, *before])),
                protect=draw(st.booleans()),
                retain_on_delete=draw(st.booleans()),
            )
        )
    return graph_of("project", draw(HOSTILE), nodes, draw(st.dictionaries(HOSTILE, VALUES, max_size=2)))


def node(type: str, name: str, inputs: dict[str, Any] | None = None, **more: Any) -> Node:
    return Node(key=f"{type}::{name}", type=type, name=name, inputs=inputs or {}, **more)


def graph(*nodes: Node, stack: str = "dev") -> Graph:
    return graph_of("project", stack, nodes)
