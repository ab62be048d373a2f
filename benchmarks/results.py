"""The record of a run: a JSON with every sample, and where and when it was taken.

A run of some benchmarks replaces their sections and leaves the others, each with the date and the load of its own.
Figures of several machines are kept apart: a ratio is of one run on one machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.row import Row


@dataclass(frozen=True)
class Section:
    """One benchmark: its rows, or why there are none. `load`: the machine's load average before and after."""

    date: str
    seconds: float
    load: tuple[float, float]
    commit: str
    rows: Sequence[Row] = field(default_factory=tuple)
    failed: str = ""

    @property
    def good(self) -> bool:
        return not self.failed and all(row.verdict != "missed" for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        shown = {"date": self.date, "seconds": self.seconds, "load": list(self.load), "commit": self.commit}
        return shown | ({"failed": self.failed} if self.failed else {"rows": [row.as_json() for row in self.rows]})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        rows = [Row.from_json(row) for row in data.get("rows", ())]
        before, after = data["load"]
        return cls(data["date"], data["seconds"], (before, after), data["commit"], rows, data.get("failed", ""))


@dataclass(frozen=True)
class Results:
    """What was taken on one machine. `versions` are those of its last run."""

    machine: Mapping[str, str | int]
    versions: Mapping[str, str]
    sections: Mapping[str, Section]

    def as_json(self) -> dict[str, Any]:
        return {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "benchmarks": {name: section.as_json() for name, section in self.sections.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        sections = {name: Section.from_json(item) for name, item in data["benchmarks"].items()}
        return cls(data["machine"], data["versions"], sections)


def merged(old: Sequence[Results], new: Results, order: Sequence[str]) -> list[Results]:
    """The new sections in place of the old, wherever those were taken; the machine of the new ones first. What failed
    has no figures: those of before stay."""
    new = replace(new, sections={name: section for name, section in new.sections.items() if not section.failed})
    here = [item for item in old if alike(item.machine) == alike(new.machine)]
    others = [item for item in old if item not in here]
    sections = {name: section for item in here for name, section in item.sections.items()} | dict(new.sections)
    ours = replace(new, sections={name: sections[name] for name in order if name in sections})
    left = [replace(item, sections=without(item.sections, new.sections)) for item in others]
    return [item for item in (ours, *left) if item.sections]


def without(sections: Mapping[str, Section], names: Collection[str]) -> dict[str, Section]:
    return {name: section for name, section in sections.items() if name not in names}


def alike(machine: Mapping[str, str | int]) -> dict[str, str | int]:
    """What makes it another machine. Of the kernel that is its version, not which build of it."""
    version = re.match(r"\d+(\.\d+)*", str(machine.get("kernel", "")))
    return {**machine, "kernel": version[0] if version else machine.get("kernel", "")}


def as_text(found: Sequence[Results]) -> str:
    return json.dumps({"machines": [item.as_json() for item in found]}, indent=2) + "\n"


def from_text(text: str) -> list[Results]:
    return [Results.from_json(item) for item in json.loads(text)["machines"]]


def read(file: Path) -> list[Results]:
    """Empty where there is no such file."""
    return from_text(file.read_text()) if file.is_file() else []
