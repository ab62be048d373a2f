"""What a check gets and what it gives. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from anytier.config import Settings
from anytier.errors import AnytierError

Status = Literal["ok", "missing", "note"]


@dataclass(frozen=True)
class Finding:
    """`missing` stops a deploy, and `do` mends it; `note` is worth knowing and stops nothing."""

    check: str
    status: Status
    what: str
    do: str = ""
    stack: str | None = None


@dataclass(frozen=True)
class Subject:
    """What is examined: the machine and its project, or one stack of it. `errors` are those of the stack's config."""

    project: Path
    stack: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    settings: Settings | None = None
    errors: tuple[AnytierError, ...] = ()

    @property
    def clone(self) -> bool:
        """Whether this is anytier's own clone, which has `make` and a launcher of its own."""
        return (self.project / "tools" / "launch.sh").is_file()

    @property
    def tier(self) -> str:
        return self.settings.tier if self.settings else ""


# The name of a check and its function; each finding is one line.
Check = Callable[[Subject], Iterable[Finding]]


def ok(check: str, what: str) -> Finding:
    return Finding(check, "ok", what)


def missing(check: str, what: str, do: str) -> Finding:
    return Finding(check, "missing", what, do)


def note(check: str, what: str, do: str = "") -> Finding:
    return Finding(check, "note", what, do)


def of_error(check: str, error: AnytierError) -> Finding:
    return missing(check, f"{error.path}: {error.what}" if error.path else error.what, error.do)
