"""The record of one run: every sample, and where, when and of what it was taken. Pure; goes to JSON and back.

A file holds one run as a whole, so that its date, machine and versions are those of each figure in it. A figure that
was not taken is not in it: unknown is no number.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, ValidationError, model_validator

from anytier.errors import UsageError
from anytier.frozen import Frozen

FORMAT: Literal["anytier.dev/measurement/v1"] = "anytier.dev/measurement/v1"
FOLDER = "measurements"  # of a project; a file in it is called as its stack is
_MOST = 1 << 20  # bytes of a file

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Of = Literal["median", "worst"]


class Figure(Frozen):
    """`value` stands for the samples, all in `unit`: s, MiB, `% of a core`, `requests/s`, or requests.

    `note` is what a reader must know to judge it, `parts` what it is the sum of, in the same unit.
    """

    value: Number
    unit: str
    samples: tuple[Number, ...] = Field(min_length=1)
    note: str = ""
    parts: dict[str, Number] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_its_samples(self) -> Self:
        if not min(self.samples) <= self.value <= max(self.samples):
            raise ValueError("the value is not between the least and the greatest sample")
        return self


class Machine(Frozen):
    """What the app ran on. `memory`: MiB; `load`: processes that ran or wanted to, in the minute before the run."""

    cores: int = Field(ge=1)
    memory: int = Field(ge=0)
    kernel: str
    cpu: str
    load: Number | None = None


class Measurement(Frozen):
    """One run on the place of one stack. `versions`: of what the place and the tools are made."""

    api_version: Literal["anytier.dev/measurement/v1"] = FORMAT
    stack: str
    tier: str
    mode: str | None = None
    date: AwareDatetime
    machine: Machine | None = None  # None: the place cannot tell
    versions: dict[str, str] = Field(default_factory=dict)
    figures: dict[str, Figure] = Field(default_factory=dict)

    def text(self) -> str:
        """As JSON, the same each time; `note` and `parts` only where there are any."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"

    def as_json(self) -> dict[str, Any]:
        made = self.model_dump(mode="json", by_alias=True, exclude={"figures", "machine"})
        made["machine"] = self.machine.wire() if self.machine else None
        made["figures"] = {name: _short(figure) for name, figure in self.figures.items()}
        return made


def _short(figure: Figure) -> dict[str, Any]:
    return {key: value for key, value in figure.wire().items() if value or key not in ("note", "parts")}


def figure(
    samples: Iterable[float], unit: str, of: Of = "median", note: str = "", parts: dict[str, float] | None = None
) -> Figure:
    """A figure of samples, to the thousandth. `worst`: the greatest, for what should not happen at all."""
    taken = tuple(round(sample, 3) for sample in samples)
    value = max(taken) if of == "worst" else round(median(taken), 3)
    return Figure(value=value, unit=unit, samples=taken, note=note, parts=parts or {})


def file_of(project: Path, stack: str) -> Path:
    """Where a project keeps the measurement of a stack."""
    return project / FOLDER / f"{stack}.json"


def parse(text: str | bytes, name: str) -> Measurement:
    """What `Measurement.text` wrote. UsageError, for the file `name`, for anything else."""
    do = "write it anew: `anytier measure -s STACK`"
    if len(text) > _MOST:
        raise UsageError(name, f"has more than {_MOST >> 20} MiB", do)
    try:
        return Measurement.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(
            name, f"is no measurement: {f'{where}: ' if where else ''}{what[:1].lower()}{what[1:]}", do
        ) from None
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(name, f"is no JSON: {said}", do) from None


def read(project: Path, stack: str) -> Measurement | None:
    """The measurement of a stack; None where it was never taken. UsageError where the file is something else."""
    file = file_of(project, stack)
    return parse(file.read_bytes(), str(file.relative_to(project))) if file.is_file() else None


def write(project: Path, measurement: Measurement) -> Path:
    """The file, written whole or not at all."""
    file = file_of(project, measurement.stack)
    file.parent.mkdir(exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(measurement.text(), encoding="utf-8")
    part.replace(file)
    return file
