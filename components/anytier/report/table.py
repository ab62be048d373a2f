"""Plain aligned text tables for a terminal: no colours, no frames, so that they can be piped."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, two spaces apart. The first row is the head, in capitals."""
    if not rows:
        return ""
    lines = [[cell.upper() for cell in rows[0]], *rows[1:]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)
