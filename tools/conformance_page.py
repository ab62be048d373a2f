#!/usr/bin/env python3
"""Writes the result table of docs/conformance.md from what `anytier conformance --json` printed, and nothing else.

usage: tools/conformance_page.py [--add] RESULT.json...

--add keeps the columns that are there, each with the date it was taken on, but those that the results are of.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[1] / "docs" / "conformance.md"
BLOCK = re.compile(r"(<!-- results: .*? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
MARKS = {"pass": "passes", "fail": "**fails**", "unsupported": "unsupported"}
SUMS = {"pass": "passed", "fail": "failed", "unsupported": "unsupported"}
UNSAID = ("date", "machine", "mode", "stack", "tier")  # said elsewhere, or no version
NOT_RUN = "not run"
Run = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """One run, as the page tells it. `cells`: by check. `titles`: the checks' own, in their order. `notes`: lines."""

    name: str
    cells: Mapping[str, str]
    titles: Mapping[str, str]
    notes: Sequence[str]


def main() -> int:
    files = [name for name in sys.argv[1:] if name != "--add"]
    if not files:
        print(__doc__, file=sys.stderr)
        return 2
    page = PAGE.read_text()
    new = [column(json.loads(Path(name).read_text())) for name in files]
    kept = columns(block(page)) if "--add" in sys.argv[1:] else []
    PAGE.write_text(within(page, table(joined(kept, new))))
    print(f"{PAGE.name}: {', '.join(item.name for item in new)}")
    return 0


def block(page: str) -> str:
    found = BLOCK.search(page)
    return found[2] if found else ""


def within(page: str, text: str) -> str:
    """The page with its block replaced."""
    return BLOCK.sub(lambda found: f"{found[1]}{text}\n{found[3]}", page)


def joined(kept: Sequence[Column], new: Sequence[Column]) -> list[Column]:
    """A new column takes the place of the one with its name."""
    named = {item.name: item for item in [*kept, *new]}
    return list(named.values())


def table(columns: Sequence[Column]) -> str:
    """A row a check, a column a run; then when and on what each was taken, and why a check is unsupported."""
    titles = max((item.titles for item in reversed(columns)), key=len)
    rows = [
        "| check | what is proved | " + " | ".join(item.name for item in columns) + " |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for check, title in titles.items():
        cells = [item.cells.get(check, NOT_RUN) for item in columns]
        rows.append(f"| `{check}` | {title} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", *(line for item in columns for line in item.notes)])


def column(run: Run) -> Column:
    checks = run["checks"]
    cells = {found["id"]: cell(found) for found in checks}
    return Column(name(run), cells, {found["id"]: found["title"] for found in checks}, taken(run))


def columns(text: str) -> list[Column]:
    """Those of a block that `table` has written."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    if not rows:
        return []
    (_, _, *names), *checks = rows
    titles = {check.strip("`"): title for check, title, *_ in checks}
    notes: dict[str, list[str]] = {name: [] for name in names}
    of = ""
    for line in text.splitlines():
        if line.startswith("- "):
            of = next(name for name in names if line.startswith(f"- {name}: "))
        if of:
            notes[of].append(line)
    cells = {name: {row[0].strip("`"): row[index] for row in checks} for index, name in enumerate(names, 2)}
    return [Column(name, cells[name], titles, notes[name]) for name in names]


def name(run: Run) -> str:
    place = run["environment"]
    return f"`{place['tier']}`" + (f", {place['mode']}" if place["mode"] else "")


def cell(found: Mapping[str, Any]) -> str:
    mark = MARKS[found["status"]]
    return f"{mark}, {found['seconds']:.0f} s" if found["seconds"] >= 1 else mark


def taken(run: Run) -> list[str]:
    """One line a run, with the versions of all that took part; a line below for each check that is unsupported."""
    place = run["environment"]
    parts = [f"{key} {value}" for key, value in sorted(place.items()) if key not in UNSAID]
    counts = ", ".join(f"{number} {SUMS[key]}" for key, number in run["counts"].items() if number)
    lines = [f"- {name(run)}: {counts}; {run['seconds']:.0f} s on {place['date'][:10]} with {', '.join(parts)}."]
    return lines + [
        f"  - `{found['id']}` is unsupported: {found['evidence']}"
        for found in run["checks"]
        if found["status"] == "unsupported"
    ]


if __name__ == "__main__":
    sys.exit(main())
