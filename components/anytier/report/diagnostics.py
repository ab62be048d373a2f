"""What is wrong in spec files, as a compiler tells it and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anytier.report.excerpt import Source, excerpt
from anytier.report.text import clean
from anytier.spec.diagnostic import Diagnostic

_COLORS = {"error": "\033[1;31m", "warning": "\033[1;33m", "mark": "\033[1;36m", "faint": "\033[2m", "bold": "\033[1m"}


@dataclass(frozen=True)
class Item:
    """A finding and its kind: `spec`; `capability` where a tier cannot carry a field; `config` in a stack's file."""

    found: Diagnostic
    code: str = "spec"


def as_json(items: Iterable[Item]) -> list[dict[str, Any]]:
    """The stable form: these eight keys, each always there."""
    return [
        {
            "file": item.found.file,
            "line": item.found.line,
            "column": item.found.column,
            "path": item.found.path,
            "code": item.code,
            "what": item.found.what,
            "do": item.found.do,
            "severity": item.found.severity,
        }
        for item in items
    ]


def as_text(items: Sequence[Item], sources: Mapping[str, Source], room: int, color: bool) -> str:
    """A block for each finding: position and message, the line with a mark, what to do."""
    return "\n\n".join(_block(item.found, sources.get(item.found.file), room, color) for item in items)


def _block(found: Diagnostic, source: Source | None, room: int, color: bool) -> str:
    position = f":{found.line}:{found.column}:" if source else ":"  # a file that cannot be read has none
    where = _paint("bold", clean(found.file) + position, color)
    kind = _paint(found.severity, f"{found.severity}:", color)
    path = f"{clean(found.path)}: " if found.path else ""
    lines = [f"{where} {kind} {path}{clean(found.what)}"]
    number = str(found.line)
    shown = excerpt(source, found.line, found.column, room - len(number) - 4) if source else None
    if shown:
        text, mark = shown
        lines.append(f" {_paint('faint', f'{number} |', color)} {text}")
        lines.append(f" {_paint('faint', ' ' * len(number) + ' |', color)} {_paint('mark', mark, color)}")
    if found.do:
        lines.append(f"  -> {clean(found.do)}")
    return "\n".join(lines)


def _paint(style: str, text: str, color: bool) -> str:
    return f"{_COLORS[style]}{text}\033[0m" if color else text


def summary(files: Sequence[str], items: Iterable[Item]) -> str:
    """`2 files: 3 errors, 1 warning`, or that nothing is wrong."""
    kinds = [item.found.severity for item in items]
    counted = [_count(kinds.count(kind), kind) for kind in ("error", "warning") if kinds.count(kind)]
    what = files[0] if len(files) == 1 else _count(len(files), "file")
    return f"{clean(what)}: {', '.join(counted) or 'no mistakes'}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
