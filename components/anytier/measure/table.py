"""A measurement as people read it: a table, and of what each sum consists. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anytier.measure.record import Figure, Measurement
from anytier.report.table import table
from anytier.report.text import clean

MOST_PARTS = 8


def as_text(measurement: Measurement, failed: Mapping[str, str], most: int | None = None) -> str:
    """`failed`: why, by the figures' names. `most`: columns of the terminal."""
    rows = [("figure", "value", "unit", "samples", "note")]
    rows += [
        (name, shown(item.value), item.unit, spread(item), item.note) for name, item in measurement.figures.items()
    ]
    rows += [(name, "failed", "", "", why) for name, why in failed.items()]
    lines = [heading(measurement), "", table(rows, most), *sums(measurement)]
    return "\n".join(lines)


def heading(measurement: Measurement) -> str:
    where = f"{measurement.tier} ({measurement.mode})" if measurement.mode else measurement.tier
    text = f"stack {measurement.stack}, {where}, {measurement.date:%Y-%m-%d %H:%M} UTC"
    machine = measurement.machine
    if machine is not None:
        text += f", {machine.cores} cores, {machine.memory / 1024:.0f} GiB"
        text += f", load before {machine.load:g}" if machine.load is not None else ""
    return clean(text)


def sums(measurement: Measurement) -> Iterator[str]:
    for name, item in measurement.figures.items():
        if len(item.parts) > 1:
            parts = [f"{part} {shown(value)}" for part, value in list(item.parts.items())[:MOST_PARTS]]
            more = [f"{len(item.parts) - MOST_PARTS} more"] if len(item.parts) > MOST_PARTS else []
            yield clean(f"{name}, the last sample: {', '.join(parts + more)}")


def spread(item: Figure) -> str:
    count = len(item.samples)
    return "1" if count == 1 else f"{count}: {shown(min(item.samples))} to {shown(max(item.samples))}"


def shown(value: float) -> str:
    """Three digits where there are three to tell."""
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
