"""One comment for all stacks: the gravest first, failures above all, nobody without a line, none too long."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.report.plan.graphs import FEW, HOSTILE, graph, graphs, node
from tests.report.plan.test_markdown import LINE, without_code

from anytier.report.plan import preview
from anytier.report.plan.graph import Graph
from anytier.report.plan.preview import MARK, Outcome, outcome

MORE = re.compile(
    r"|".join(
        (
            re.escape(MARK),
            r"- (🟢|⚪|🟡|🟠|🔴|✅) \*\*§\*\*: [a-z0-9, ()]+( \(the stack is taken out, [a-z ]+\))?",
            r"- ❌ \*\*§\*\*: no plan [a-z ]*could be made \(\d+ errors?\)",
            r"### §",
            r"- §",
            r"- warning: §",
            r"- and \d+ more errors?",
            r"left out here: it would be too long\.",
        )
    )
)
NETWORK = node("anytier:docker:Network", "net", {"name": "n"})
VOLUME = node("anytier:docker:Volume", "data", {"name": "a"})


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    base, head = (draw(st.one_of(st.none(), graphs(3))) for _ in range(2))
    errors, earlier = (draw(st.lists(HOSTILE, max_size=2)) for _ in range(2))
    return outcome(draw(HOSTILE), base, head, errors, earlier, draw(st.lists(HOSTILE, max_size=2)))


@FEW
@given(st.lists(outcomes(), max_size=3), st.sampled_from([1500, 60_000]))
def test_nothing_that_is_not_ours_leaves_its_code_span(found: list[Outcome], most: int) -> None:
    text = preview.as_markdown(found, most)
    assert len(text) <= max(most, 300 * len(found) + 1000)
    for line in text.split("\n"):
        assert LINE.fullmatch(without_code(line)) or MORE.fullmatch(without_code(line)), line


@settings(max_examples=10)
@given(st.lists(outcomes(), max_size=3))
def test_outcomes_go_to_json_and_back(found: list[Outcome]) -> None:
    for item in found:
        assert Outcome.model_validate_json(item.model_dump_json(by_alias=True)) == item


def stacks() -> list[Outcome]:
    with_data, without = graph(NETWORK, VOLUME), graph(NETWORK)
    return [
        outcome("same", without, without),
        outcome("new", None, without),
        outcome("gone", with_data, None),
        outcome("safe", without, with_data),
        outcome("wrong", without, None, errors=["app.yaml:1:1: is wrong -> mend it"]),
        outcome("was-wrong", None, without, base_errors=["app.yaml:1:1: was wrong"]),
    ]


def test_a_stack_without_a_plan_is_no_stack_without_changes() -> None:
    text = preview.as_markdown(stacks())
    lines = text.split("\n")
    assert lines[0] == MARK
    gone = "the stack is taken out, which destroys nothing by itself"
    assert [line for line in lines if line.startswith("- ") and "**`" in line] == [
        "- ❌ **`was-wrong`**: no plan of what was before could be made (1 error)",
        "- ❌ **`wrong`**: no plan could be made (1 error)",
        f"- 🔴 **`gone`**: 2 to remove (1 data loss, 1 disruptive) ({gone})",
        "- 🟢 **`new`**: 1 to add (1 safe) (a new stack)",
        "- 🟢 **`safe`**: 1 to add (1 safe)",
        "- ✅ **`same`**: no changes",
    ]
    assert "- `app.yaml:1:1: is wrong -> mend it`" in lines
    assert "### `same`" not in lines
    shown = preview.as_text(stacks())
    assert "stack wrong: failed: no plan could be made" in shown and "stack same: no changes" in shown


def test_every_stack_has_its_line_however_long_the_others_are() -> None:
    many = graph(*(node("anytier:docker:Volume", f"v{number}", {"name": "n"}) for number in range(300)))
    found = [outcome(f"s{number}", many, graph()) for number in range(8)]
    text = preview.as_markdown(found, most=20_000)
    assert len(text) <= 20_000
    assert sum(line.startswith("- 🔴 **`s") for line in text.split("\n")) == 8
    assert text.count("<details") == text.count("</details>") == 8


def test_another_project_name_is_no_difference() -> None:
    one, other = (Graph(project=name, stack="s", resources=(NETWORK,)) for name in "ab")
    assert outcome("s", one, other).grade == -1
