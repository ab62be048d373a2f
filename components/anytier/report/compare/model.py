"""What a comparison is: stacks as columns, rows in sections, and cells that say where they are from. Pure.

A cell that nobody knows says so (`known` is false); it is never left empty and never guessed.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import Field

from anytier.frozen import Frozen

# Who does a thing: `shared` is begun by you and done by the provider or by anytier.
By = Literal["you", "shared", "provider", "automatic", "none"]
FORMAT = "anytier.dev/comparison/v1"
UNKNOWN_TEXT = "unknown"


class Source(Frozen):
    """Where a cell is from. `url` is None for what lies in the project itself; `date` is that of the figure, else the
    day on which it was read."""

    name: str
    url: str | None = None
    date: datetime.date | None = None


class Cell(Frozen):
    """`text` is what a person reads, `value` and `unit` the figure in it, for programs and charts. `detail` are the
    lines behind it. `meets` is for a need: whether it is met, None where nobody knows. `caveat` is that part of
    `text` without which the figure would be misread, for whoever shows the figure alone."""

    text: str = Field(min_length=1)
    known: bool = True
    value: float | None = None
    unit: str = ""
    by: By | None = None
    meets: bool | None = None
    note: str = ""
    caveat: str = ""
    detail: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()


class Row(Frozen):
    """`cells` in the order of the columns. `key` is stable, for programs."""

    key: str
    title: str
    cells: tuple[Cell, ...]


class Section(Frozen):
    key: str
    title: str
    rows: tuple[Row, ...]


class Column(Frozen):
    """A stack. `errors`: why it has no plan."""

    stack: str
    tier: str
    mode: str | None = None
    app: str = ""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Comparison(Frozen):
    """The whole. `made` is the day on which it was made."""

    api_version: Literal["anytier.dev/comparison/v1"] = "anytier.dev/comparison/v1"
    made: datetime.date
    columns: tuple[Column, ...]
    sections: tuple[Section, ...]

    @cached_property
    def rows(self) -> dict[str, Row]:
        """By key."""
        return {row.key: row for section in self.sections for row in section.rows}

    @cached_property
    def sources(self) -> dict[Source, int]:
        """Each source once, numbered from 1 in the order in which it is first named."""
        found: dict[Source, int] = {}
        for source in self._named():
            found.setdefault(source, len(found) + 1)
        return found

    def _named(self) -> Iterator[Source]:
        for row in self.rows.values():
            for cell in row.cells:
                yield from cell.sources

    def cell(self, key: str, column: int) -> Cell:
        """KeyError for a row that is not there."""
        return self.rows[key].cells[column]


def unknown(note: str = "", *sources: Source) -> Cell:
    return Cell(text=UNKNOWN_TEXT, known=False, note=note, sources=sources)
