"""The capability table as text: for a terminal, as Markdown (docs/capabilities.md) and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from anytier.capabilities import BUILT, TABLE, TIERS, Support, lookup
from anytier.errors import NotFound
from anytier.report.table import table
from anytier.spec.walk import all_fields
from anytier.suggest import did_you_mean

_SHORTEST = 32  # characters of a path, from which it can still be told
SIGNS = {"native": "yes", "emulated": "emulated", "unsupported": "no", "planned": "planned"}


def rows(tiers: Iterable[str]) -> list[tuple[str, dict[str, Support]]]:
    wanted = list(tiers)
    return [(path, {tier: row[tier] for tier in wanted}) for path, row in sorted(TABLE.items())]


def as_json(tiers: Iterable[str]) -> list[dict[str, Any]]:
    return [
        {"field": path, "tiers": {tier: cell_json(cell) for tier, cell in row.items()}} for path, row in rows(tiers)
    ]


def cell_json(cell: Support) -> dict[str, Any]:
    out: dict[str, Any] = {"status": cell.status}
    if cell.note:
        out["note"] = cell.note
    if cell.instead:
        out["instead"] = cell.instead
    if cell.modes:
        out["modes"] = {mode: cell_json(other) for mode, other in cell.modes.items()}
    return out


def as_text(tiers: Sequence[str], room: int | None = None) -> str:
    """Aligned columns; a mode that differs stands behind a slash (`yes/emulated`).

    Where `room` is too small for it, paths are shortened in their middle; if that is not enough, the last tiers are
    left out, and that is said.
    """
    shown = list(tiers)
    while room is not None and len(shown) > 1 and _width(_text(shown, _SHORTEST)) > room:
        shown.pop()
    over = max(_width(_text(shown)) - room, 0) if room is not None else 0
    text = _text(shown, max(map(len, TABLE)) - over)
    left_out = tiers[len(shown) :]
    return f"{text}\n\n{', '.join(left_out)}: a wider terminal or --tier shows them" if left_out else text


def _width(text: str) -> int:
    return max(map(len, text.splitlines()))


def _text(tiers: Sequence[str], longest: int | None = None) -> str:
    body = ([shortened(path, longest), *map(_sign, row.values())] for path, row in rows(tiers))
    return table([["field", *tiers], *body])


def shortened(path: str, longest: int | None) -> str:
    """At most `longest` characters, of which one stands for what was left out of the middle."""
    if longest is None or len(path) <= longest:
        return path
    keep = max(longest, 3) - 1
    return f"{path[: keep - keep // 2]}…{path[-(keep // 2) :]}"


def _sign(cell: Support) -> str:
    signs = [SIGNS[cell.status], *(SIGNS[other.status] for other in cell.modes.values())]
    return "/".join(dict.fromkeys(signs))


def as_markdown() -> str:
    """docs/capabilities.md: the whole table, then how and why for every cell that is not simply native."""
    head = ["| field | " + " | ".join(f"`{tier}`" for tier in TIERS) + " |", "|---" * (len(TIERS) + 1) + "|"]
    body = [f"| `{path}` | " + " | ".join(_sign(cell) for cell in row.values()) + " |" for path, row in rows(TIERS)]
    notes = ["", "## How, and why not", ""]
    for path, row in rows(BUILT):
        said = [_note(tier, cell) for tier, cell in row.items() if cell.note or cell.modes]
        if said:
            notes += [f"- `{path}`", *(f"  - {line}" for line in dict.fromkeys(said))]
    return "\n".join([_INTRODUCTION, *head, *body, *notes, ""])


_INTRODUCTION = """# What each tier does with each field

Made by `anytier matrix --markdown`, which reads `anytier/capabilities.py`. A field that has no row of its own behaves
as the row above it in its path. `yes` is native, `a/b` means that a mode of the tier differs (on `local`:
systemd/supervisord). A field that is `no` or `planned` on a stack's tier is refused at preview.
"""


def _note(tier: str, cell: Support) -> str:
    text = f"`{tier}` {SIGNS[cell.status]}" + (f": {cell.note}" if cell.note else "")
    if cell.instead:
        text += f"; instead: {cell.instead}"
    for mode, other in cell.modes.items():
        text += (
            f" ({mode}: {SIGNS[other.status]}, {other.note}"
            + (f"; instead: {other.instead}" if other.instead else "")
            + ")"
        )
    return text


def as_fields(text: str, tiers: Sequence[str]) -> str:
    """The rows whose path contains `text`, else the row that a field of that path falls under; a line a tier."""
    found = [(path, row) for path, row in rows(tiers) if text in path] or _covering(text, tiers)
    lines: list[str] = []
    for path, row in found:
        lines += [path, *(f"  {_note(tier, cell)}".replace("`", "") for tier, cell in row.items())]
    return "\n".join(lines)


def _covering(path: str, tiers: Sequence[str]) -> list[tuple[str, dict[str, Support]]]:
    """NotFound if there is no such field."""
    fields = [field.split(".") for field in all_fields()]
    steps = path.split(".")
    if not any(_fits(field[: len(steps)], steps) for field in fields):
        near = did_you_mean(path, [".".join(field) for field in fields])
        raise NotFound(path, f"is not the path of a field, nor a part of one{near}", "`anytier matrix` lists them")
    return [(path, {tier: lookup(path, tier) for tier in tiers})]


def _fits(field: list[str], steps: list[str]) -> bool:
    return len(field) == len(steps) and all(a in ("*", b) for a, b in zip(field, steps, strict=True))
