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

from pydantic import AwareDatetime, Field, ValidationError, field_validator, model_validator

from anytier.errors import UsageError
from anytier.frozen import Frozen

FORMAT: Literal["anytier.dev/measurement/v1"] = "anytier.dev/measurement/v1"
FOLDER = "measurements"  # of a project; a file in it is called as its stack is
EMULATED = "emulated"  # what `versions` says of a machine's `processor` that is
_MOST = 1 << 20  # bytes of a file

Number = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Of = Literal["median", "worst"]


class Figure(Frozen):
    """`value` stands for the samples, all in `unit`: s, MiB, `% of a core`, `requests/s`, or requests."""

    value: Number
    unit: str
    samples: tuple[Number, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _of_its_samples(self) -> Self:
        if not min(self.samples) <= self.value <= max(self.samples):
            raise ValueError("the value is not between the least and the greatest sample")
        return self


class Machine(Frozen):
    """What the app ran on. `memory`: MiB."""

    cores: int = Field(ge=1)
    memory: int = Field(ge=0)
    kernel: str
    cpu: str


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

    @field_validator("machine", mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        return None if value == {} else value

    @property
    def emulated(self) -> bool:
        """Whether the machine's processor was another one's program: such figures are those of no real machine."""
        return self.versions.get("processor") == EMULATED

    def text(self) -> str:
        """As JSON, the same each time."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"

    def as_json(self) -> dict[str, Any]:
        """A machine that is not known is an empty one there."""
        made = self.model_dump(mode="json", by_alias=True)
        return made if self.machine else {**made, "machine": {}}


def figure(samples: Iterable[float], unit: str, of: Of = "median") -> Figure:
    """A figure of samples, to the thousandth. `worst`: the greatest, for what should not happen at all."""
    taken = tuple(round(sample, 3) for sample in samples)
    value = max(taken) if of == "worst" else round(median(taken), 3)
    return Figure(value=value, unit=unit, samples=taken)


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


def write(project: Path, measurement: Measurement, account: str) -> Path:
    """The file; `account`, what the run said of itself, goes beside it. Each is written whole or not at all."""
    file = file_of(project, measurement.stack)
    file.parent.mkdir(exist_ok=True)
    for target, text in ((file.with_name(f"{measurement.stack}.txt"), account), (file, measurement.text())):
        part = target.with_name(f".{target.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)
    return file
