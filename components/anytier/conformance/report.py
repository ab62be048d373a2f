"""What a run of the suite says: a line a check while it runs, a summary, and JSON. Pure text out of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anytier.conformance.check import Check, Result

MARKS = {"pass": "ok", "fail": "FAIL", "unsupported": "--"}
COLOURS = {"pass": "32", "fail": "31;1", "unsupported": "33"}


def begun(check: Check) -> str:
    return f"  ..   {check.id:<16} {check.title}"


def line(result: Result, colour: bool = False) -> str:
    mark = f"{MARKS[result.status]:<4}"
    shown = f"\x1b[{COLOURS[result.status]}m{mark}\x1b[0m" if colour else mark
    text = f"  {shown} {result.check.id:<16} {result.seconds:6.1f} s  "
    said = f"unsupported: {result.evidence}" if result.status == "unsupported" else result.evidence
    return text + said


def detail(result: Result) -> str:
    """The long output of a failure, indented."""
    return "\n".join(f"         | {text}" for text in result.detail.splitlines())


def counts(results: Sequence[Result]) -> dict[str, int]:
    return {status: sum(result.status == status for result in results) for status in ("pass", "fail", "unsupported")}


def summary(results: Sequence[Result], seconds: float, tier: str) -> str:
    found = counts(results)
    failed = [result.check.id for result in results if result.status == "fail"]
    text = (
        f"{tier}: {found['pass']} passed, {found['fail']} failed, {found['unsupported']} unsupported in {seconds:.0f} s"
    )
    return text + (f"\nfailed: {', '.join(failed)}" if failed else "")


def as_json(results: Sequence[Result], environment: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    return {
        "environment": dict(environment),
        "seconds": round(seconds, 1),
        "counts": counts(results),
        "checks": [
            {
                "id": result.check.id,
                "title": result.check.title,
                "fields": list(result.check.fields),
                "status": result.status,
                "evidence": result.evidence,
                "seconds": round(result.seconds, 2),
                **({"detail": result.detail} if result.detail else {}),
            }
            for result in results
        ],
    }
