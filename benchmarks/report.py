"""Results for people: a table for the terminal, and the same in Markdown for docs/benchmarks.md. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from anytier.report.table import table
from benchmarks.results import Results, Section
from benchmarks.row import Row

HEAD = ("measured", "anytier", "beside it", "ratio", "limit", "verdict")
BEGIN, END = "<!-- benchmarks: written by `make bench` -->", "<!-- end -->"
SMALL = {"s": ("ms", 1000.0)}  # a figure below 1 is told in the smaller unit


def as_text(sections: Iterable[tuple[str, Section]]) -> str:
    return table([HEAD, *(cells for name, section in sections for cells in _section(name, section))])


def as_markdown(found: Iterable[Results]) -> str:
    """A table for each machine, and under it what it was taken on."""
    return "\n\n".join(map(_table, found))


def _table(results: Results) -> str:
    lines = [f"| {' | '.join(HEAD)} |", "|---|---:|---|---:|---:|---|"]
    for name, section in results.sections.items():
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |" for cells in _section(name, section)]
    return "\n".join([*lines, "", _where(results)])


def in_place(page: str, markdown: str) -> str:
    """The page with `markdown` between its marks. ValueError if it has none."""
    found = re.compile(f"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return found.sub(lambda _: f"{BEGIN}\n{markdown}\n{END}", page, count=1)


def figure(value: float, unit: str) -> str:
    """Three significant digits: `0.0421` s is `42.1 ms`, `1234.5` requests/s is `1,230 requests/s`."""
    if unit in SMALL and 0 < abs(value) < 1:
        unit, factor = SMALL[unit]
        value *= factor
    digits = max(0, 3 - len(str(int(abs(value))))) if abs(value) < 1000 else 0
    rounded = round(value, -(len(str(int(abs(value)))) - 3)) if abs(value) >= 1000 else value
    return f"{rounded:,.{digits}f} {unit}"


def _section(name: str, section: Section) -> list[Sequence[str]]:
    if section.failed:
        return [(name, "-", "-", "-", "-", f"failed: {section.failed.splitlines()[0]}")]
    return [_row(row) for row in section.rows]


def _row(row: Row) -> Sequence[str]:
    beside = f"{row.beside}: {figure(row.other, row.unit)}" if row.other is not None else "-"
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else "-"
    return (row.what, figure(row.mine, row.unit), beside, ratio, _limit(row), row.verdict)


def _limit(row: Row) -> str:
    if row.limit is None:
        return "-"
    return f"ratio {row.limit.most:g}" if row.limit.of == "ratio" else f"{row.limit.most:g} {row.unit}"


def _where(results: Results) -> str:
    machine, versions = results.machine, results.versions
    loads = [number for section in results.sections.values() for number in section.load]
    samples = [len(row.ours) for section in results.sections.values() for row in section.rows]
    dates = sorted(section.date for section in results.sections.values())
    when = _range(dates[0][:10], dates[-1][:10])
    place = f"{machine['cores']} cores of {machine['processor']}, {machine['memory GiB']} GiB"
    with_ = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"Taken on {when} on {place}; each figure is the median of "
        f"{_range(min(samples, default=0), max(samples, default=0))} samples, taken in turns. "
        "Load average of the machine meanwhile: "
        f"{_range(f'{min(loads):g}', f'{max(loads):g}')}. With {with_}."
    )


def _range(least: object, most: object) -> str:
    """`3 to 12`, or `3` where there is but one."""
    return " to ".join(dict.fromkeys([str(least), str(most)]))
