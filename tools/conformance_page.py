#!/usr/bin/env python3
"""Writes the result table of docs/conformance.md from what `anytier conformance --json` printed, and nothing else.

usage: tools/conformance_page.py RESULT.json...
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
BLOCK = re.compile(r"(<!-- results: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
MARKS = {"pass": "passes", "fail": "**fails**", "unsupported": "unsupported"}
SUMS = {"pass": "passed", "fail": "failed", "unsupported": "unsupported"}
UNSAID = ("date", "machine", "mode", "stack", "tier")  # said elsewhere, or no version
Run = dict[str, Any]


def main() -> int:
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    runs = [json.loads(Path(name).read_text()) for name in sys.argv[1:]]
    PAGE.write_text(within(PAGE.read_text(), table(runs)))
    print(f"{PAGE.name}: {', '.join(name(run) for run in runs)}")
    return 0


def within(page: str, text: str) -> str:
    """The page with its block replaced."""
    return BLOCK.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def table(runs: list[Run]) -> str:
    """A row a check, a column a run; then when and on what each was taken, and why a check is unsupported."""
    rows = [
        "| check | what is proved | " + " | ".join(name(run) for run in runs) + " |",
        "|---" * (len(runs) + 2) + "|",
    ]
    for check in runs[0]["checks"]:
        cells = [cell(run, check["id"]) for run in runs]
        rows.append(f"| `{check['id']}` | {check['title']} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", *(taken(run) for run in runs)])


def name(run: Run) -> str:
    place = run["environment"]
    return f"`{place['tier']}`" + (f", {place['mode']}" if place["mode"] else "")


def cell(run: Run, check: str) -> str:
    for found in run["checks"]:
        if found["id"] == check:
            return (
                f"{MARKS[found['status']]}, {found['seconds']:.0f} s"
                if found["seconds"] >= 1
                else MARKS[found["status"]]
            )
    return "not run"


def taken(run: Run) -> str:
    """One line a run, with the versions of all that took part."""
    place = run["environment"]
    parts = [f"{key} {value}" for key, value in sorted(place.items()) if key not in UNSAID]
    counts = ", ".join(f"{number} {SUMS[key]}" for key, number in run["counts"].items() if number)
    lines = [f"- {name(run)}: {counts}; {run['seconds']:.0f} s on {place['date'][:10]} with {', '.join(parts)}."]
    lines += [
        f"  - `{found['id']}` is unsupported: {found['evidence']}"
        for found in run["checks"]
        if found["status"] == "unsupported"
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
