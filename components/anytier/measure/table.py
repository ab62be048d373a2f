"""A measurement as people read it: a table, and of what each sum consists. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from anytier.measure.record import Figure, Measurement
from anytier.report.table import table
from anytier.report.text import clean

MOST_PARTS = 8


@dataclass(frozen=True)
class Remarks:
    """What a reader must know to judge figures, by their names. `parts`: of what a sum consisted, the last time;
    `failed`: why figures are not there; `load`: processes that ran there or wanted to, in the minute before."""

    notes: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)
    load: float | None = None


def as_text(measurement: Measurement, remarks: Remarks, most: int | None = None) -> str:
    """`most`: columns of the terminal."""
    rows = [("figure", "value", "unit", "samples", "note")]
    for name, item in measurement.figures.items():
        rows.append((name, shown(item.value), item.unit, spread(item), remarks.notes.get(name, "")))
    rows += [(name, "failed", "", "", why) for name, why in remarks.failed.items()]
    return "\n".join([heading(measurement, remarks.load), "", table(rows, most), *sums(remarks)])


def heading(measurement: Measurement, load: float | None) -> str:
    where = f"{measurement.tier} ({measurement.mode})" if measurement.mode else measurement.tier
    text = f"stack {measurement.stack}, {where}, {measurement.date:%Y-%m-%d %H:%M} UTC"
    machine = measurement.machine
    if machine is not None:
        text += f", {machine.cores} cores, {machine.memory / 1024:.0f} GiB"
        text += f", load before {load:g}" if load is not None else ""
    return clean(text)


def sums(remarks: Remarks) -> Iterator[str]:
    for name, found in remarks.parts.items():
        parts = [f"{part} {shown(value)}" for part, value in list(found.items())[:MOST_PARTS]]
        more = [f"{len(found) - MOST_PARTS} more"] if len(found) > MOST_PARTS else []
        yield clean(f"{name}, the last sample: {', '.join(parts + more)}")


def spread(item: Figure) -> str:
    count = len(item.samples)
    return "1" if count == 1 else f"{count}: {shown(min(item.samples))} to {shown(max(item.samples))}"


def shown(value: float) -> str:
    """Three digits where there are three to tell."""
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
