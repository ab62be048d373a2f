"""The record of a run: a JSON with every sample, and where and when it was taken.

A run of some benchmarks replaces their sections and leaves the others, each with the date and the load of its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
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
    machine: Mapping[str, str | int]
    versions: Mapping[str, str]
    sections: Mapping[str, Section]

    def as_text(self) -> str:
        shown = {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "benchmarks": {name: section.as_json() for name, section in self.sections.items()},
        }
        return json.dumps(shown, indent=2) + "\n"

    @classmethod
    def from_text(cls, text: str) -> Self:
        data = json.loads(text)
        sections = {name: Section.from_json(item) for name, item in data["benchmarks"].items()}
        return cls(data["machine"], data["versions"], sections)


def merged(old: Results | None, new: Results, order: Sequence[str]) -> Results:
    """The new sections in place of the old. Figures of another machine are not kept: they cannot stand side by side."""
    same = old is not None and alike(old.machine) == alike(new.machine)
    sections = {**(old.sections if old is not None and same else {}), **new.sections}
    return Results(new.machine, new.versions, {name: sections[name] for name in order if name in sections})


def alike(machine: Mapping[str, str | int]) -> dict[str, str | int]:
    """What makes it another machine. Of the kernel that is its version, not which build of it."""
    version = re.match(r"\d+(\.\d+)*", str(machine.get("kernel", "")))
    return {**machine, "kernel": version[0] if version else machine.get("kernel", "")}


def read(file: Path) -> Results | None:
    return Results.from_text(file.read_text()) if file.is_file() else None
