"""What `anytier measure` found on a stack that ran, and its cells. Pure.

Figures of different machines stand side by side only with a word of warning: they are each machine's own.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator

from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.report.compare.model import Cell, Source, unknown

_MOST = 4 << 20  # bytes of a file
# Name -> what it is called. Others in a file are nobody's business here.
FIGURES: Mapping[str, str] = {
    "create": "machines and cluster are made",
    "deploy": "the app comes",
    "noop": "a run that changes nothing",
    "update": "a new version, under load",
    "update.lost": "requests lost meanwhile",
    "recovery.process": "serving again after the app's process is killed",
    "recovery.instance": "serving again after a whole instance is killed",
    "platform.memory": "memory that the platform takes",
    "platform.cpu": "CPU that the platform takes",
    "requests": "requests answered through its own way in",
}


class Figure(Frozen):
    """`value` in `unit`: the median of `samples`, where there are several."""

    value: float
    unit: str = ""
    samples: tuple[float, ...] = ()

    @field_validator("value")
    @classmethod
    def _finite(cls, value: float) -> float:
        if not math.isfinite(value) or value < 0:
            raise ValueError("is not a number from 0 on")
        return value

    @field_validator("samples", mode="before")
    @classmethod
    def _all(cls, value: Any) -> Any:
        """Some write how many samples there were, and not what they were."""
        return () if isinstance(value, int) else value


class Measurement(Frozen):
    api_version: Literal["anytier.dev/measurement/v1"]
    stack: str
    tier: str
    mode: str | None = None
    date: datetime.date
    machine: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, Any] = Field(default_factory=dict)
    figures: dict[str, Figure] = Field(default_factory=dict)

    @field_validator("date", mode="before")
    @classmethod
    def _day(cls, value: Any) -> Any:
        """A moment's day."""
        return value[:10] if isinstance(value, str) else value

    @property
    def where(self) -> str:
        """The machine in a line: `cores 2, processor AMD EPYC`."""
        return ", ".join(f"{name} {value}" for name, value in sorted(self.machine.items()))[:200]


def parse(data: bytes, path: str) -> Measurement:
    """What a file holds. ConfigError, at `path`, for anything else."""
    do = "measure again: `anytier measure -s STACK`"
    if len(data) > _MOST:
        raise ConfigError(path, f"has more than {_MOST >> 20} MiB", do)
    try:
        return Measurement.model_validate(json.loads(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        at = f"{where}: " if where else ""
        raise ConfigError(path, f"is no measurement: {at}{what[:1].lower()}{what[1:]}", do) from None
    except (ValueError, RecursionError):
        raise ConfigError(path, "is no JSON", do) from None


def cells(name: str, found: Sequence[Measurement | None]) -> list[Cell]:
    several = len({item.where for item in found if item is not None and name in item.figures}) > 1
    return [_cell(name, item, several) for item in found]


def _cell(name: str, item: Measurement | None, several: bool) -> Cell:
    figure = item.figures.get(name) if item else None
    if item is None or figure is None:
        return unknown("not measured")
    source = Source(name=f"`anytier measure -s {item.stack}`, with the conformance suite's app", date=item.date)
    said = [f"on {item.where}" if item.where else "", "machines differ: do not compare" if several else ""]
    return Cell(
        text=f"{number(figure.value)} {figure.unit}".strip(),
        value=figure.value,
        unit=figure.unit,
        note="; ".join(text for text in said if text),
        detail=(f"samples: {', '.join(map(number, figure.samples))}",) if figure.samples else (),
        sources=(source,),
    )


def number(value: float) -> str:
    """Three digits that count, without an exponent: `0.0312`, `4.1`, `12,345`."""
    if value == 0:
        return "0"
    digits = max(2 - math.floor(math.log10(abs(value))), 0)
    text = f"{value:,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
