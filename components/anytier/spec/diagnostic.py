"""One finding about a spec file: where, what is wrong, what to do. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]


@dataclass(frozen=True, order=True)
class Diagnostic:
    """`line` and `column` count from 1. `path` is dotted, with indices in brackets: `routes[0].workload`."""

    file: str
    line: int
    column: int
    path: str
    what: str
    do: str = ""
    severity: Literal["error", "warning"] = "error"


def dotted(path: Path) -> str:
    """("routes", 0, "port") -> `routes[0].port`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else str(part)
    return out
