"""The cells of what `anytier measure` found on stacks that ran. Pure.

Figures of different machines stand side by side only with a word of warning: they are each machine's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from anytier.measure.figures import MAKES
from anytier.measure.record import EMULATED, Measurement
from anytier.report.compare.model import Cell, Source, unknown
from anytier.report.compare.subject import Subject


def cells(name: str, found: Sequence[Subject]) -> list[Cell]:
    taken = [item.measurement for item in found]
    machines = {(item.machine, item.emulated) for item in taken if item is not None and name in item.figures}
    return [_cell(name, item, len(machines) > 1) for item in found]


def _cell(name: str, item: Subject, several: bool) -> Cell:
    if name == "create" and item.tier not in MAKES:
        return Cell(text="nothing to make", sources=(Source(name="docs/measure.md"),))
    found = item.measurement
    figure = found.figures.get(name) if found else None
    if found is None or figure is None:
        return unknown("not measured")
    caveat = f"{EMULATED} processor" if found.emulated else ""
    source = Source(
        name=f"`anytier measure -s {found.stack}`, with the conformance suite's app", date=found.date.date()
    )
    said = [f"on {machine}" if (machine := where(found)) else "", "machines differ: do not compare" if several else ""]
    return Cell(
        text=f"{number(figure.value)} {figure.unit}".strip() + (f", {caveat}" if caveat else ""),
        value=figure.value,
        unit=figure.unit,
        note="; ".join(text for text in said if text),
        caveat=caveat,
        detail=(f"samples: {', '.join(map(number, figure.samples))}",),
        sources=(source,),
    )


def where(found: Measurement) -> str:
    """`2 cores of AMD EPYC, 24,000 MiB, kernel 6.18`; nothing where the place cannot tell."""
    machine = found.machine
    if machine is None:
        return ""
    cores = "core" if machine.cores == 1 else "cores"
    kind = f"{EMULATED} {cores}" if found.emulated else cores
    return f"{machine.cores} {kind} of {machine.cpu}, {machine.memory:,} MiB, kernel {machine.kernel}"[:200]


def number(value: float) -> str:
    """Three digits that count, without an exponent: `0.0312`, `4.1`, `12,345`."""
    if value == 0:
        return "0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
