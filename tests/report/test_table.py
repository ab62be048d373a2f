"""Tables: aligned in any script, never wider than asked, and whole where nobody asks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anytier.report.table import table
from anytier.report.text import clean, width

ROWS = st.integers(1, 6).flatmap(
    lambda columns: st.lists(st.lists(st.text(max_size=60), min_size=columns, max_size=columns), min_size=1, max_size=8)
)


def test_columns_are_aligned_under_a_head_in_capitals() -> None:
    assert table([["name", "n"], ["web", "12"], ["store-of-data", ""]]) == (
        "NAME           N\nweb            12\nstore-of-data"
    )


def test_nothing_is_nothing() -> None:
    assert table([]) == ""


def test_the_widest_column_gives_first() -> None:
    made = table([["a", "b"], ["short", "x" * 60]], 30)
    assert made.splitlines()[1] == "short  " + "x" * 22 + "…"


@given(ROWS, st.integers(1, 120))
def test_no_line_is_wider_than_asked(rows: list[list[str]], most: int) -> None:
    for line in table(rows, most).split("\n"):
        assert width(line) <= most


@given(ROWS)
def test_without_a_limit_every_cell_is_there_on_its_own_line(rows: list[list[str]]) -> None:
    lines = table(rows).split("\n")
    assert len(lines) == len(rows)
    for line, row in zip(lines[1:], rows[1:], strict=True):
        at = 0
        for cell in row:
            shown = clean(cell).rstrip()
            at = line.index(shown, at) + len(shown)


@given(ROWS)
def test_every_column_starts_at_the_same_place(rows: list[list[str]]) -> None:
    marked = [[f"|{cell}" for cell in row] for row in rows]
    lines = table(marked).split("\n")
    starts = {
        tuple(width(line[:at]) for at in _bars(line, [clean(cell) for cell in row]))
        for line, row in zip(lines[1:], marked[1:], strict=True)
    }
    assert len(starts) <= 1


def _bars(line: str, row: list[str]) -> list[int]:
    found, at = [], 0
    for cell in row:
        at = line.index(cell.rstrip(), at)
        found.append(at)
        at += len(cell.rstrip())
    return found
