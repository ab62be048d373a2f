"""The cells of what `anytier measure` found on stacks that ran. Pure.

Figures of different machines stand side by side only with a word of warning: they are each machine's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from anytier.measure.record import Machine, Measurement
from anytier.report.compare.model import Cell, Source, unknown


def cells(name: str, found: Sequence[Measurement | None]) -> list[Cell]:
    several = len({item.machine for item in found if item is not None and name in item.figures}) > 1
    return [_cell(name, item, several) for item in found]


def _cell(name: str, item: Measurement | None, several: bool) -> Cell:
    figure = item.figures.get(name) if item else None
    if item is None or figure is None:
        return unknown("not measured")
    source = Source(name=f"`anytier measure -s {item.stack}`, with the conformance suite's app", date=item.date.date())
    said = [f"on {where(item.machine)}" if item.machine else "", "machines differ: do not compare" if several else ""]
    return Cell(
        text=f"{number(figure.value)} {figure.unit}".strip(),
        value=figure.value,
        unit=figure.unit,
        note="; ".join(text for text in said if text),
        detail=(f"samples: {', '.join(map(number, figure.samples))}",),
        sources=(source,),
    )


def where(machine: Machine) -> str:
    """`2 cores of AMD EPYC, 24,000 MiB, kernel 6.18`."""
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return f"{cores} of {machine.cpu}, {machine.memory:,} MiB, kernel {machine.kernel}"[:200]


def number(value: float) -> str:
    """Three digits that count, without an exponent: `0.0312`, `4.1`, `12,345`."""
    if value == 0:
        return "0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
