"""The table of docs/measure.md: what the project keeps of each of its stacks, side by side.

usage: python -m anytier.measure.page docs/measure.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from anytier.capabilities import TIERS
from anytier.measure.figures import KINDS
from anytier.measure.record import EMULATED, FOLDER, Measurement, parse
from anytier.measure.table import shown

START, END = "<!-- measurements: made by `python -m anytier.measure.page docs/measure.md` -->", "<!-- end -->"


def main(page: Path) -> None:
    root = page.resolve().parents[1]
    page.write_text(refreshed(page.read_text(encoding="utf-8"), kept(root)), encoding="utf-8")


def kept(root: Path) -> list[Measurement]:
    """Those of the project's folder, in the order of tiers."""
    found = [parse(file.read_bytes(), file.name) for file in (root / FOLDER).glob("*.json")]
    return sorted(found, key=lambda item: (TIERS.index(item.tier), item.stack))


def refreshed(page: str, found: Sequence[Measurement]) -> str:
    """The page with its table made anew. Pure."""
    head, start, rest = page.partition(START)
    _, end, tail = rest.partition(END)
    return "".join([head, start, "\n", *(f"{line}\n" for line in table(found)), end, tail])


def table(found: Sequence[Measurement]) -> Iterator[str]:
    yield f"| figure | unit | {' | '.join(_head(item) for item in found)} |"
    yield "|---" * (len(found) + 2) + "|"
    for name, kind in KINDS.items():
        values = [shown(item.figures[name].value) if name in item.figures else "" for item in found]
        yield f"| `{name}` | {kind.unit} | {' | '.join(values)} |"
    yield f"| on | | {' | '.join(f'{item.date:%Y-%m-%d}' for item in found)} |"


def _head(item: Measurement) -> str:
    more = ", ".join(word for word in (item.mode, EMULATED if item.emulated else None) if word)
    return f"{item.tier} ({more})" if more else item.tier


if __name__ == "__main__":
    main(Path(sys.argv[1]))
