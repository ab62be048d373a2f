"""Plain aligned text tables: no colours, no frames, so that they can be piped. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from anytier.report.text import clean, fit, pad, width

GAP = 2
# A column is not cut below this, unless there is no room for even that.
LEAST = 6


def table(rows: Sequence[Sequence[str]], most: int | None = None) -> str:
    """Columns as wide as their widest cell, two spaces apart. The first row is the head, in capitals.

    With `most` no line is wider: the widest columns are cut first.
    """
    if not rows:
        return ""
    lines = [[cell.upper() for cell in rows[0]], *rows[1:]]
    lines = [[clean(cell) for cell in line] for line in lines]
    widths = [max(width(line[column]) for line in lines) for column in range(len(lines[0]))]
    if most is not None:
        widths = narrowed(widths, most - GAP * (len(widths) - 1))
    text = [(" " * GAP).join(pad(fit(cell, w), w) for cell, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join(line.rstrip() if most is None else fit(line.rstrip(), most) for line in text)


def narrowed(widths: Sequence[int], room: int) -> list[int]:
    """`widths` made to add up to `room`: whichever is widest gives, until all are at LEAST."""
    out = [min(one, max(room, LEAST)) for one in widths]
    while sum(out) > room and max(out) > LEAST:
        out[out.index(max(out))] -= 1
    return out
