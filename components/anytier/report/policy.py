"""Rules and findings as text: for a terminal, as Markdown (docs/policy.md) and as JSON. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from anytier.policy.check import Finding, Report
from anytier.policy.registry import ELSEWHERE, SECTIONS
from anytier.policy.rule import SEVERITIES, Rule
from anytier.policy.waivers import Waiver
from anytier.report.table import table

# what a run found


def as_text(report: Report, most: int | None = None) -> str:
    """A line for each finding, the worst first; then what is waived, and a line that sums it up."""
    lines = []
    if report.findings:
        head = ["severity", "rule", "resource", "what"]
        lines.append(table([head, *(_row(item) for item in report.findings)], most))
        remedies = {item.rule.id: item.rule.remedy for item in report.findings}
        lines += ["", *(f"{name} -> {remedy}" for name, remedy in remedies.items())]
    lines += [f"waived: {item.waiver}" for item in report.waived]
    lines += [f"waives nothing: {waiver}" for waiver in report.idle]
    return "\n".join([*lines, *([""] if lines else []), summary(report)])


def summary(report: Report) -> str:
    if not report.findings:
        said = "every rule is kept"
    else:
        counts = [(name, sum(item.rule.severity == name for item in report.findings)) for name in SEVERITIES]
        said = ", ".join(f"{count} {name}" for name, count in counts if count)
    return said + (f"; {len(report.waived)} waived" if report.waived else "")


def as_json(report: Report) -> dict[str, Any]:
    return {
        "broken": report.broken,
        "findings": [finding_json(item) for item in report.findings],
        "waived": [finding_json(item) for item in report.waived],
        "idleWaivers": [_waiver_json(item) for item in report.idle],
    }


def finding_json(item: Finding) -> dict[str, Any]:
    out: dict[str, Any] = {
        "rule": item.rule.id,
        "severity": item.rule.severity,
        "mandatory": item.mandatory,
        "title": item.rule.title,
        "resource": item.resource.name,
        "type": item.resource.type,
        "path": item.path,
        "what": item.what,
        "do": item.rule.remedy,
        "references": list(item.rule.references),
    }
    if item.resource.urn:
        out["urn"] = item.resource.urn
    if item.waiver is not None:
        out["waiver"] = _waiver_json(item.waiver)
    if item.expired is not None:
        out["waiverEnded"] = item.expired.isoformat()
    return out


def _waiver_json(waiver: Waiver) -> dict[str, Any]:
    return waiver.wire()


def _row(item: Finding) -> list[str]:
    ended = f" (a waiver ended on {item.expired})" if item.expired else ""
    return [item.rule.severity, item.rule.id, item.resource.name, f"{item.path} {item.what}".strip() + ended]


# the rules


def rules_text(sections: Iterable[str], most: int | None = None) -> str:
    rows = [[rule.severity, rule.id, rule.title] for name in sections for rule in SECTIONS[name][1]]
    return table([["severity", "rule", "what holds"], *rows], most)


def rules_json(sections: Iterable[str]) -> list[dict[str, Any]]:
    return [_rule_json(name, rule) for name in sections for rule in SECTIONS[name][1]]


def _rule_json(section: str, rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "section": section,
        "severity": rule.severity,
        "mandatory": rule.mandatory,
        "title": rule.title,
        "do": rule.remedy,
        "types": list(rule.on),
        "references": list(rule.references),
        "wholeStack": rule.whole,
    }


def as_markdown() -> str:
    """The tables of docs/policy.md: every rule, section by section, and the lines that no rule can hold."""
    return "\n".join([*_tables(), *_elsewhere(), ""])


def refreshed(page: str) -> str:
    """The page with its tables made anew."""
    head, start, rest = page.partition(START)
    _, end, tail = rest.partition(END)
    return f"{head}{start}\n{as_markdown()}{end}{tail}"


START, END = "<!-- rules: made by `anytier policy list --markdown` -->", "<!-- end -->"


def _tables() -> Iterator[str]:
    for name, (title, rules) in SECTIONS.items():
        yield from ("", f"### {title}", "", f"`anytier policy list --section {name}`", "")
        yield from ("| rule | severity | what holds | what to do | known as |", "|---|---|---|---|---|")
        for rule in rules:
            known = ", ".join(rule.references)
            yield f"| `{rule.id}` | {rule.severity} | {_cell(rule.title)} | {_cell(rule.remedy)} | {known} |"


def _elsewhere() -> Sequence[str]:
    head = [
        "",
        "### What no rule can hold",
        "",
        "| line of the baseline | what holds it | and the tests |",
        "|---|---|---|",
    ]
    return [
        *head,
        *(f"| {item.line} | {_cell(item.how)} | {', '.join(map(_code, item.tests))} |" for item in ELSEWHERE),
    ]


def _code(text: str) -> str:
    return f"`{text}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")
