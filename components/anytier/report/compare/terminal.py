"""A comparison for a terminal: a table a section, each cell with its sources' numbers, the sources at the end. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from anytier.report.compare import words
from anytier.report.compare.model import Cell, Comparison
from anytier.report.compare.recommend import Recommendation
from anytier.report.table import table

_LONGEST = 90  # columns of a cell where there is no limit


def as_text(found: Comparison, room: int | None = None, advice: Recommendation | None = None) -> str:
    parts = [f"{words.apps(found)}, compared on {found.made.isoformat()}", *_problems(found)]
    if advice is not None:
        parts.append("\n".join(line for item in advice_lines(advice) for line in _wrapped(item, room)))
    titles = [words.title(column) for column in found.columns]
    for section in found.sections:
        body = [[row.title, *(_cell(found, cell) for cell in row.cells)] for row in section.rows]
        parts.append(table([[section.title, *titles], *body], room))
    return "\n\n".join([*parts, "\n".join(_sources(found))])


def _cell(found: Comparison, cell: Cell) -> str:
    """The numbers come first: they must not be what is cut off."""
    marks = ",".join(map(str, words.numbers(found, cell)))
    return f"[{marks}] {words.line(cell.text, _LONGEST)}" if marks else words.line(cell.text, _LONGEST)


def _problems(found: Comparison) -> Iterator[str]:
    for column in found.columns:
        if column.errors:
            lines = [f"    {words.line(error, 1000)}" for error in column.errors]
            yield "\n".join([f"{words.title(column)}: no plan could be made", *lines])


def advice_lines(advice: Recommendation) -> Iterator[str]:
    """From the answer to its reasons, stack by stack."""
    yield f"needed: {words.needs(advice)}"
    yield f"recommended: {words.verdict(advice)}"
    yield f"    {words.reason(advice)}"
    for place, item in words.ranked(advice):
        yield f"  {place}. {words.line(item.stack, 80)}, parts to patch: {item.patches:g}"
        for judgement in item.judgements:
            yield f"       {words.judgement(judgement)} [{', '.join(judgement.rows)}]"


def _wrapped(text: str, room: int | None) -> list[str]:
    """What comes after the first line is set in as far as that, and a bit."""
    if room is None:
        return [text]
    indent = " " * (len(text) - len(text.lstrip()) + 4)
    return textwrap.wrap(text, max(room, 40), subsequent_indent=indent, break_on_hyphens=False) or [text]


def _sources(found: Comparison) -> Iterator[str]:
    yield "SOURCES"
    for source, number in found.sources.items():
        yield f"[{number}] {words.source(source)}" + (f" <{words.line(source.url, 400)}>" if source.url else "")
