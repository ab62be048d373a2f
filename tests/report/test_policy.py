"""Rules and findings as text, JSON and Markdown."""

from __future__ import annotations

import datetime
import json

from anytier.policy.check import Report, check
from anytier.policy.registry import RULES, SECTIONS
from anytier.policy.resource import Resource
from anytier.policy.waivers import Waiver
from anytier.report import policy

TODAY = datetime.date(2026, 11, 28)
TEMPLATE = {"containers": [{"name": "a", "image": "i", "user": "root"}]}
WEB = Resource("anytier:docker:Workload", "web", {"template": TEMPLATE}, urn="urn:web")


def waiver(resource: str, until: datetime.date = datetime.date(2027, 1, 1)) -> Waiver:
    return Waiver(id="docker-not-root", resource=resource, reason="the vendor wants it", until=until)


def test_the_worst_comes_first_and_each_remedy_once() -> None:
    text = policy.as_text(check([WEB], today=TODAY))
    lines = text.splitlines()
    assert lines[0].split() == ["SEVERITY", "RULE", "RESOURCE", "WHAT"]
    assert lines[1].split()[:3] == ["high", "docker-not-root", "web"] and lines[2].startswith("low")
    assert text.count("-> take user: root out") == 1 and lines[-1] == "1 high, 1 low"


def test_a_narrow_terminal_gets_shorter_lines() -> None:
    head = policy.as_text(check([WEB], today=TODAY), 60).splitlines()[:3]
    assert max(map(len, head)) <= 60


def test_all_well_is_said() -> None:
    assert policy.as_text(Report([], [], [])) == "every rule is kept"


def test_waivers_are_told_also_those_of_no_use_or_over() -> None:
    text = policy.as_text(check([WEB], [waiver("web"), waiver("other")], TODAY))
    assert "waived: docker-not-root on web until 2027-01-01: the vendor wants it" in text
    assert "waives nothing: docker-not-root on other" in text and text.endswith("1 low; 1 waived")
    assert "(a waiver ended on 2026-11-28)" in policy.as_text(check([WEB], [waiver("web", TODAY)], TODAY))


def test_a_terminal_is_not_moved_by_a_name() -> None:
    odd = Resource("anytier:docker:Workload", "a\x1b[2J", {"template": TEMPLATE})
    assert "\x1b" not in policy.as_text(check([odd], today=TODAY)).replace("\n", "")


def test_a_program_gets_everything() -> None:
    found = json.loads(json.dumps(policy.as_json(check([WEB], [waiver("web")], TODAY))))
    assert found["broken"] is False and [item["rule"] for item in found["findings"]] == ["docker-memory-limit"]
    (waived,) = found["waived"]
    assert waived["waiver"]["until"] == "2027-01-01" and waived["urn"] == "urn:web"
    assert waived["path"] == "template.containers.0.user" and waived["do"] and waived["mandatory"] is False


def test_every_rule_is_in_each_form() -> None:
    rows = policy.rules_json(SECTIONS)
    assert {item["id"] for item in rows} == set(RULES)
    text, page = policy.rules_text(SECTIONS), policy.as_markdown()
    assert all(f" {name} " in text and f"| `{name}` |" in page for name in RULES)
    for line in page.splitlines():  # no text of a rule ends a cell
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") == 6, line
