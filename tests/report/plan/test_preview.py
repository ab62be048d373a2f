"""One comment for all stacks: the gravest first, failures above all, nobody without a line, none too long."""

from __future__ import annotations

import json
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gfm import Rendered
from tests.report.plan.graphs import FEW, HOSTILE, graph, graphs, node
from tests.report.plan.test_engine import digests
from tests.report.plan.test_markdown import ELEMENTS, LINE, without_code

from anytier.policy.rule import SEVERITIES
from anytier.report.plan import preview, words
from anytier.report.plan.broken import Broken
from anytier.report.plan.engine import Previewed, read
from anytier.report.plan.graph import Graph
from anytier.report.plan.preview import MARK, PLANNED, TITLE, Outcome, outcome, seen

MORE = re.compile(
    r"|".join(
        (
            re.escape(MARK),
            re.escape(TITLE),
            re.escape(PLANNED),
            r"- (🟢|⚪|🟡|🟠|🔴|✅) \*\*§\*\*: [a-z0-9, ()]+(; breaks [a-z0-9, ()]+)?( \([a-z,;: ]+\))?",
            (
                r"- ❌ \*\*§\*\*: (no plan [a-z ]*could be made|§ failed) \(\d+ errors?\)"
                r"(; by its plan [a-z0-9, ]+)?(; breaks [a-z0-9, ()]+)?( \([a-z,;: ]+\))?"
            ),
            r"- out of reach: §",
            r"  - §",
            r"<details( open)?><summary>policy: breaks [a-z0-9, ()]+</summary>",
            r"- \*\*[a-z]+\*\* § §( \([a-z, ]+\))?: §",
            r"- and \d+ more findings?",
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


BROKEN = st.builds(
    Broken,
    rule=HOSTILE,
    severity=st.sampled_from(SEVERITIES),
    mandatory=st.booleans(),
    resource=HOSTILE,
    key=HOSTILE,
    path=HOSTILE,
    what=HOSTILE,
    do=HOSTILE,
    waived=st.booleans(),
    new=st.booleans(),
)


@st.composite
def outcomes(draw: st.DrawFn) -> Outcome:
    base, head = (draw(st.one_of(st.none(), graphs(3))) for _ in range(2))
    errors, earlier = (draw(st.lists(HOSTILE, max_size=2)) for _ in range(2))
    made = outcome(draw(HOSTILE), base, head, errors, earlier, draw(st.lists(HOSTILE, max_size=2)))
    way = draw(st.sampled_from(["plan", "engine", "not deployed", "out of reach"]))
    if way == "engine":
        code, said = draw(st.integers(0, 1)), draw(HOSTILE)
        made = seen(made, read(made.stack, json.dumps(draw(digests())), code, said))
    more = {"broken": tuple(draw(st.lists(BROKEN, max_size=3))), "way": way}
    reason = draw(HOSTILE) if way == "out of reach" else ""
    return made.model_copy(update={**more, "reason": reason})


@FEW
@given(st.lists(outcomes(), max_size=3), st.sampled_from([1500, 60_000]))
def test_nothing_that_is_not_ours_leaves_its_code_span(found: list[Outcome], most: int) -> None:
    text = preview.as_markdown(found, most)
    assert len(text) <= max(most, 300 * len(found) + 1000)
    for line in text.split("\n"):
        assert LINE.fullmatch(without_code(line)) or MORE.fullmatch(without_code(line)), line


@FEW
@given(st.lists(outcomes(), max_size=3))
def test_github_makes_nothing_of_what_is_not_ours(found: list[Outcome]) -> None:
    shown = Rendered(preview.as_markdown(found))
    assert shown.elements <= ELEMENTS | {"h3"} and not shown.links
    assert not shown.found_by_github and shown.comments == [" anytier preview "]
    assert set(shown.headings) <= {f"`{words.name(item.stack, 400) or ' '}`" for item in found}


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
    assert "### `same`" not in lines and PLANNED in lines
    engine = [item.model_copy(update={"way": "engine"}) for item in stacks()]
    assert PLANNED not in preview.as_markdown(engine) + preview.as_markdown([])
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


def test_what_the_engine_says_takes_the_plans_place_and_its_failure_is_one() -> None:
    planned = outcome("s", graph(NETWORK), graph(NETWORK))
    failed = seen(planned, Previewed(errors=("no credentials",)))
    assert failed.failed and not failed.as_it_is and failed.graded == "failed"
    (line,) = [line for line in preview.as_markdown([failed]).split("\n") if line.startswith("- ❌")]
    assert line == "- ❌ **`s`**: `pulumi preview` failed (1 error); by its plan no changes"
    wrong = outcome("s", None, None, errors=["is wrong"])
    same = read("s", '{"changeSummary": {"same": 3}}', 0)
    assert seen(wrong, same).state == "failed"
    before = outcome("s", None, graph(NETWORK), base_errors=["was wrong"])
    assert seen(before, same).as_it_is and seen(before, same).errors == ()


def test_only_the_engine_is_sure_that_nothing_would_change() -> None:
    same = outcome("s", graph(NETWORK), graph(NETWORK))
    sure = {way: same.model_copy(update={"way": way}).as_it_is for way in ("plan", "out of reach", "not deployed")}
    assert sure == {"plan": False, "out of reach": False, "not deployed": True}
    assert not outcome("s", None, None, errors=["is wrong"]).model_copy(update={"way": "not deployed"}).as_it_is


def test_a_long_list_of_rules_leaves_room_for_what_changes() -> None:
    one = Broken(
        rule="r", severity="high", mandatory=True, resource="x", key="x", path="p", what="w" * 300, do="d", new=True
    )
    many = graph(*(node("anytier:docker:Volume", f"v{number}", {"name": "n"}) for number in range(50)))
    found = outcome("s", many, graph()).model_copy(update={"broken": (one,) * 200})
    text = preview.as_markdown([found], 20_000)
    assert len(text) <= 20_000 and "more finding" in text
    assert text.index("data loss: 50 changes") < text.index("policy: breaks 200 rules anew (200 mandatory)")
