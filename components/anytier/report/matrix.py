"""The capability table as text: for a terminal, as Markdown (docs/capabilities.md) and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anytier.capabilities import BUILT, TABLE, TIERS, Support

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


def as_text(tiers: Iterable[str]) -> str:
    """Aligned columns; a mode that differs stands behind a slash (`yes/emulated`)."""
    wanted = list(tiers)
    table = [["field", *wanted]] + [[path, *(_sign(cell) for cell in row.values())] for path, row in rows(wanted)]
    widths = [max(len(line[column]) for line in table) for column in range(len(wanted) + 1)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in table
    )


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

Made by `make docs` from `anytier/capabilities.py`; `anytier matrix` prints it. A field that has no row of its own
behaves as the row above it in its path. `yes` is native, `a/b` means that a mode of the tier differs (on `local`:
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


def as_fields(text: str, tiers: Iterable[str]) -> str:
    """The rows whose path contains `text`, a line a tier, each with its note."""
    lines: list[str] = []
    for path, row in rows(tiers):
        if text in path:
            lines += [path, *(f"  {_note(tier, cell)}".replace("`", "") for tier, cell in row.items())]
    return "\n".join(lines) or f"no field with {text!r} in its path; `anytier matrix` lists them all"
