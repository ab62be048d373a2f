"""One finding about a spec file: where, what is wrong, what to do. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Path = tuple[str | int, ...]
# A finding before it has a position: path, what is wrong, what to do.
Finding = tuple[Path, str, str]


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
    """("routes", 0, "port") -> `routes[0].port`; a name with a dot in it stands in brackets: `files["/etc/a.conf"]`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        elif "." in part or not part.isprintable():
            out += f'["{part[:80]!s}"]' if part.isprintable() else f"[{part[:80]!r}]"
        else:
            out += f".{part[:80]}" if out else part[:80]
    return out
