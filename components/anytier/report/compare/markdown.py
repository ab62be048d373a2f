"""A comparison as Markdown: tables with footnote numbers, and the sources as a list. Pure.

What is made of plain letters stands as it is; anything else is a code span, in which Markdown means nothing. A `|`
would end a cell even there, so it is escaped, as GitHub's tables want it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from anytier.report.compare import words
from anytier.report.compare.model import Cell, Comparison, Source
from anytier.report.compare.recommend import Recommendation
from anytier.report.plan.markdown import code

_PLAIN = re.compile(r"[A-Za-z0-9 ,.;:%$/()'×·–+=-]+")
# Starts a link, a list, a heading or a formula by itself, or is for GitHub an issue, a commit or an emoji.
_MEANT = re.compile(
    r"www\.|//|^([-+=]|[0-9]+[.)])(\s|$)|^\s|\s$|-{3}|={3}|\$.*\$|\bGH-\d|\b[0-9a-f]{7,40}\b|:[a-z0-9+-]+:",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    """A text as it is where that is safe, else in a code span. On one line, and fit for a table's cell."""
    shown = words.line(text, 1000)
    if shown and _PLAIN.fullmatch(shown) and not _MEANT.search(shown):
        return shown
    # Behind a backslash an escaped `|` would be one that is not: there another sign stands for it.
    return code(shown.replace("\\|", "\\¦")).replace("|", "\\|")


def as_markdown(found: Comparison, advice: Recommendation | None = None) -> str:
    lines = [f"# {plain(words.apps(found))}: where to run it", "", f"Made on {found.made.isoformat()}.", ""]
    lines += [*_problems(found), *(_advice(advice) if advice is not None else ())]
    head = [plain(words.title(column)) for column in found.columns]
    for section in found.sections:
        lines += [f"## {section.title}", "", _line(["", *head]), _line(["---"] * (len(head) + 1))]
        lines += [_line([plain(row.title), *(_cell(found, cell) for cell in row.cells)]) for row in section.rows]
        lines.append("")
    lines += ["## Sources", "", *(_source(source, number) for source, number in found.sources.items()), ""]
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(found: Comparison, cell: Cell) -> str:
    marks = ", ".join(map(str, words.numbers(found, cell)))
    shown = plain(cell.text) if cell.known else "*unknown*"
    note = f" ({plain(cell.note)})" if cell.note else ""
    return shown + note + (f" <sup>{marks}</sup>" if marks else "")


def _problems(found: Comparison) -> Iterator[str]:
    for column in found.columns:
        if column.errors:
            yield f"**{plain(words.title(column))}: no plan could be made.**"
            yield ""
            yield from (f"- {code(error)}" for error in column.errors[:20])
            yield ""


def _advice(advice: Recommendation) -> Iterator[str]:
    yield from ("## Recommended", "", f"**{plain(words.verdict(advice))}** {plain(words.reason(advice))}", "")
    yield from (f"Needed: {plain(words.needs(advice))}.", "")
    for place, item in words.ranked(advice):
        yield f"{place}. {plain(item.stack)}, parts to patch: {item.patches:g}"
        yield from (f"   - {plain(words.judgement(judgement))}" for judgement in item.judgements)
    yield ""


def _source(source: Source, number: int) -> str:
    """The address stands between angle brackets, where nothing but `<`, `>` and a space could leave it."""
    shown = f"{number}. {plain(words.source(source))}"
    if source.url is None:
        return shown
    address = words.line(source.url, 500)
    safe = re.fullmatch(r"https?://[A-Za-z0-9._~:/?#@!$&'()*+,;=%-]+", address)
    return f"{shown}: <{address}>" if safe else f"{shown}: {code(address)}"
