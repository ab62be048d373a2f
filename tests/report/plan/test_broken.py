"""What a change breaks of the policy pack is told apart from what was broken before, and waivers are seen."""

from __future__ import annotations

from typing import Any

from anytier.report.plan import broken
from anytier.report.plan.broken import Broken, compared


def finding(rule: str, **more: Any) -> Broken:
    whole = {
        "severity": "high",
        "mandatory": True,
        "resource": "web",
        "key": "k",
        "path": "p",
        "what": "is x",
        "do": "y",
    }
    return Broken(**{**whole, "rule": rule, **more})


def test_the_new_ones_stand_first_and_a_new_waiver_is_news() -> None:
    base = [finding("old"), finding("waived-now")]
    head = [finding("old", what="is z"), finding("new"), finding("waived-now", waived=True, mandatory=False)]
    found = compared(head, base)
    assert [(item.rule, item.new) for item in found] == [("new", True), ("old", False), ("waived-now", True)]
    assert broken.counted(found) == "breaks 1 rule anew (1 mandatory), 1 as before, 1 waived (1 of them anew)"


def test_what_is_only_as_it_was_is_told_in_a_whole_sentence() -> None:
    assert broken.counted(compared([finding("r")], [finding("r")])) == "breaks 1 rule as before"
    assert broken.counted([finding("r", waived=True), finding("s", waived=True)]) == "breaks 2 rules waived"


def test_another_resource_or_place_is_another_finding() -> None:
    base = [finding("r")]
    assert [item.new for item in compared([finding("r", key="other")], base)] == [True]
    assert [item.new for item in compared([finding("r", path="other")], base)] == [True]
    assert [item.new for item in compared([finding("r")], base)] == [False]


def test_a_rule_that_a_waiver_let_pass_and_now_does_not_is_broken_anew() -> None:
    (found,) = compared([finding("r")], [finding("r", waived=True)])
    assert found.new


def test_as_markdown() -> None:
    assert broken.as_markdown([]) == "" and broken.counted([]) == ""
    shown = broken.as_markdown(compared([finding("r"), finding("w", waived=True, mandatory=False)], []))
    assert shown == (
        "<details open><summary>policy: breaks 1 rule anew (1 mandatory), 1 waived (1 of them anew)</summary>\n\n"
        "- **high** `r` `web` (new, mandatory): `p is x`\n"
        "  - `y`\n"
        "- **high** `w` `web` (new, waived): `p is x`\n\n"
        "</details>\n"
    )


def test_for_a_terminal() -> None:
    lines = broken.as_text(compared([finding("r", what="is\nx")], []))
    assert lines == ["policy: breaks 1 rule anew (1 mandatory)", "    new, high r web: p is\\nx -> y"]
