"""Charts of a comparison as inline SVG: bars by stack, and bars in parts. Pure; colours come from the page's style.

A chart says nothing that the tables do not say; one with nothing to show is not drawn, and an unknown bar says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anytier.report.compare import words
from anytier.report.compare.measured import number
from anytier.report.compare.model import Cell, Comparison
from anytier.report.compare.page import Markup, element, join
from anytier.report.text import fit

_WIDTH, _BAR, _STEP, _LEFT, _RIGHT = 360.0, 16.0, 30.0, 92.0, 112.0
_PARTS = ("machines", "docker", "cluster", "kubernetes", "secrets", "aws", "gcp", "azure-native", "providers", "other")


@dataclass(frozen=True)
class Piece:
    """A part of a bar: what it is, how much, and its class in the page's style."""

    name: str
    value: float
    style: str


def all_of(found: Comparison) -> list[Markup]:
    """Every chart that has something to show."""
    drawn = [
        stacked(found, "Resources to own, by kind", resources(found)),
        bars(found, "Cost a month: what is priced", "cost.total"),
        stacked(found, "Fields of this app", fields(found)),
        bars(found, "Rules of the baseline kept, of 100", "security.kept"),
        *(
            bars(found, f"{row.title[:1].upper()}{row.title[1:]}", row.key)
            for key, row in found.rows.items()
            if key.startswith("measured.") and len({cell.unit for cell in row.cells if cell.value is not None}) == 1
        ),
    ]
    return [chart for chart in drawn if chart]


def resources(found: Comparison) -> list[list[Piece]]:
    rows = [(family, found.rows[f"resources.{family}"]) for family in _PARTS if f"resources.{family}" in found.rows]
    return [
        [
            Piece(row.title.removeprefix("of these: "), row.cells[column].value or 0, f"part{_PARTS.index(family)}")
            for family, row in rows
        ]
        for column in range(len(found.columns))
    ]


def fields(found: Comparison) -> list[list[Piece]]:
    kinds = (("native", "good"), ("emulated", "fair"), ("lost", "bad"))
    return [
        [Piece(kind, found.cell(f"app.{kind}", column).value or 0, style) for kind, style in kinds]
        for column in range(len(found.columns))
    ]


def bars(found: Comparison, title: str, key: str) -> Markup:
    cells = found.rows[key].cells
    most = max((cell.value or 0 for cell in cells if cell.known), default=0)
    if not most:
        return Markup("")
    drawn = []
    for index, cell in enumerate(cells):
        y = index * _STEP
        drawn.append(_label(found, index, y))
        if cell.known and cell.value is not None:
            width = _room() * cell.value / most
            drawn.append(_bar(_LEFT, y, width, "bar", f"{words.title(found.columns[index])}: {words.text(cell)}"))
            drawn.append(_text(_LEFT + width + 6, y + 12, _short(cell), "value"))
        else:
            drawn.append(_text(_LEFT, y + 12, fit(words.line(cell.text), 30), "value faint"))
    return _figure(title, drawn, len(cells), notes=sorted({cell.caveat for cell in cells if cell.caveat}))


def stacked(found: Comparison, title: str, pieces: Sequence[Sequence[Piece]]) -> Markup:
    most = max((sum(piece.value for piece in bar) for bar in pieces), default=0)
    if not most:
        return Markup("")
    drawn = []
    for index, bar in enumerate(pieces):
        x, y, total = _LEFT, index * _STEP, sum(piece.value for piece in bar)
        drawn.append(_label(found, index, y))
        for piece in bar:
            width = _room() * piece.value / most
            if piece.value:
                drawn.append(_bar(x, y, width, piece.style, f"{piece.name}: {number(piece.value)}"))
            x += width
        drawn.append(_text(x + 6, y + 12, number(total) if total else "unknown", "value" if total else "value faint"))
    present = {piece.name for bar in pieces for piece in bar if piece.value}
    legend = [piece for piece in pieces[0] if piece.name in present]
    return _figure(title, drawn, len(pieces), legend)


def _room() -> float:
    return _WIDTH - _LEFT - _RIGHT


def _short(cell: Cell) -> str:
    value = number(cell.value or 0)
    said = f"${value}" if cell.unit == "USD" else f"{value} {cell.unit}".strip()
    return f"{said} *" if cell.caveat else said


def _label(found: Comparison, index: int, y: float) -> Markup:
    return _text(_LEFT - 8, y + 12, fit(words.line(found.columns[index].stack, 80), 12), "label")


def _bar(x: float, y: float, width: float, style: str, title: str) -> Markup:
    return element(
        "rect",
        element("title", title),
        class_=style,
        x=_round(x),
        y=_round(y),
        width=_round(max(width, 1)),
        height=_round(_BAR),
    )


def _text(x: float, y: float, text: str, style: str) -> Markup:
    return element("text", text, x=_round(x), y=_round(y), class_=style)


def _round(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _figure(
    title: str, drawn: Sequence[Markup], count: int, legend: Sequence[Piece] = (), notes: Sequence[str] = ()
) -> Markup:
    tall = count * _STEP
    box = f"0 0 {_WIDTH:.0f} {tall:.0f}"
    svg = element("svg", drawn, viewBox=box, role="img", aria_label=title, preserveAspectRatio="xMinYMin meet")
    marks = [element("li", element("i", class_=piece.style), piece.name) for piece in legend]
    marks += [element("li", f"* {words.line(note)}") for note in notes]
    return element(
        "figure", element("figcaption", title), svg, join(element("ul", marks, class_="legend") if marks else "")
    )
