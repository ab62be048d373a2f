"""A comparison as one page to show to a team: no script, and nothing that is loaded from elsewhere. Pure.

Light or dark as the reader's system is; on a phone each row is a card; on paper what is folded is left out. All that is
written goes through `page`, which escapes it, and the page forbids itself to load anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from anytier.report.compare import charts, words
from anytier.report.compare.facts import PATCHES
from anytier.report.compare.model import Cell, Comparison, Row, Section, Source
from anytier.report.compare.page import Markup, element, join, link
from anytier.report.compare.recommend import Ranked, Recommendation, patches

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def as_html(found: Comparison, advice: Recommendation | None = None) -> str:
    """The whole file."""
    title = f"{words.apps(found)}: where to run it"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        element("link", rel="icon", href="data:,"),
        element("title", title),
        element("style", _style()),
    )
    return "<!doctype html>\n" + element("html", head, element("body", _body(found, title, advice)), lang="en") + "\n"


@cache
def _style() -> Markup:
    """Ours, and in a file of its own."""
    return Markup(Path(__file__).with_name("style.css").read_text(encoding="utf-8"))


def _body(found: Comparison, title: str, advice: Recommendation | None) -> Markup:
    stacks = ", ".join(words.title(column) for column in found.columns)
    lead = f"{stacks}, side by side from the same spec. Made on {found.made.isoformat()}."
    drawn = charts.all_of(found)
    main = [
        *_problems(found),
        element("section", [_glance(found, index) for index in range(len(found.columns))], class_="glance"),
        *([_answer(advice)] if advice is not None else []),
        *([element("section", drawn, class_="charts")] if drawn else []),
        *(_section(found, section) for section in found.sections),
        element("h2", "Sources"),
        element("ol", [_source(source, number) for source, number in found.sources.items()], class_="sources"),
        element("footer", "Small numbers lead to the source of a figure. What nobody knows is called unknown."),
    ]
    return join(element("header", element("h1", title), element("p", lead, class_="lead")), element("main", main))


def _problems(found: Comparison) -> Iterator[Markup]:
    for column in found.columns:
        if column.errors:
            lines = element("ul", [element("li", words.line(error, 1000)) for error in column.errors])
            yield element("div", element("b", words.title(column), ": no plan could be made"), lines, class_="problem")


# What a card at the top says of a stack: the row, and what it is called there.
_GLANCE = {
    "sla": "service level",
    "cost.total": "a month, as far as priced",
    "machines.all": "machines",
    "security.kept": "rules of the baseline kept",
    "app.lost": "fields of the app lost",
    "measured.deploy": "deploying an app took",
}


def _glance(found: Comparison, index: int) -> Markup:
    """A stack in a few figures, each with its way to the row."""
    mine = f"{patches(found, index):g} of {len(PATCHES)}"
    lines = [_figure("patch.control-plane", "parts that are yours to patch", mine, True)]
    for key, said in _GLANCE.items():
        cell = found.cell(key, index)
        lines.append(_figure(key, said, words.line(cell.text, 80), cell.known))
    return element("article", element("h3", words.title(found.columns[index])), element("dl", lines))


def _figure(key: str, said: str, text: str, known: bool) -> Markup:
    shown = element("dd", text, class_=None if known else "unknown")
    return element("div", element("dt", element("a", said, href=f"#{key}")), shown)


def _answer(advice: Recommendation) -> Markup:
    best = advice.best
    state = "none" if best is None else "open" if best.counts("against") + best.counts("unknown") else ""
    return element(
        "section",
        element("p", "Needed: ", words.needs(advice), class_="soft"),
        element("p", element("strong", words.verdict(advice))),
        element("p", words.reason(advice)),
        element("details", element("summary", "All stacks, and the rows that say so"), element("ol", _places(advice))),
        class_=f"answer {state}".strip(),
    )


def _places(advice: Recommendation) -> list[Markup]:
    return [element("li", words.line(item.stack, 80), _judgements(item)) for _, item in words.ranked(advice)]


def _judgements(item: Ranked) -> Markup:
    return element(
        "ul", [element("li", words.judgement(judgement), _rows(judgement.rows)) for judgement in item.judgements]
    )


def _rows(keys: tuple[str, ...]) -> Markup:
    """Links to the rows that a judgement is of."""
    return join(element("sup", " ", element("a", f"row {key}", href=f"#{key}"), " ") for key in keys)


def _section(found: Comparison, section: Section) -> Markup:
    head = element("tr", element("th", "", scope="col"), [_head(found, index) for index in range(len(found.columns))])
    rows = [_row(found, row) for row in section.rows]
    table = element("table", element("thead", head), element("tbody", rows))
    key = _KEY if section.key == "patches" else Markup("")
    return element(
        "section",
        element("h2", section.title),
        key,
        element("div", table, class_="wide many" if len(found.columns) > 5 else "wide"),
    )


def _head(found: Comparison, index: int) -> Markup:
    return element("th", words.title(found.columns[index]), scope="col")


_KEY = element(
    "ul",
    element("li", element("span", "you", class_="you")),
    element("li", element("span", "you begin it", class_="shared")),
    element("li", element("span", "somebody else, or nobody has to", class_="provider")),
    class_="key",
)


def _row(found: Comparison, row: Row) -> Markup:
    cells = [_cell(found, cell, words.line(found.columns[index].stack, 40)) for index, cell in enumerate(row.cells)]
    return element("tr", element("th", row.title, scope="row"), cells, id=row.key)


def _cell(found: Comparison, cell: Cell, stack: str) -> Markup:
    marks = [
        element("sup", element("a", str(number), href=f"#source-{number}")) for number in words.numbers(found, cell)
    ]
    note = element("span", _said(words.line(cell.note)), class_="note") if cell.note else ""
    said = element("div", _said(words.line(cell.text)), marks, note, _detail(cell))
    return element("td", said, class_=_kind(cell) or None, data_stack=stack)


def _said(text: str) -> Markup:
    """With what stands between backticks as code, where each has its other."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return join(text)
    return join(element("code", part) if index % 2 else part for index, part in enumerate(parts))


def _kind(cell: Cell) -> str:
    """What a cell's colour says."""
    if not cell.known:
        return "unknown"
    if cell.meets is not None:
        return "yes" if cell.meets else "no"
    return cell.by if cell.by in ("you", "shared", "provider", "automatic") else ""


def _detail(cell: Cell) -> Markup:
    if not cell.detail:
        return Markup("")
    lines = [element("li", words.line(line, 400)) for line in cell.detail]
    return element("details", element("summary", f"{len(lines)} in detail"), element("ul", lines))


def _source(source: Source, number: int) -> Markup:
    said = words.source(source)
    return element("li", link(source.url, said) if source.url else said, id=f"source-{number}", value=str(number))
