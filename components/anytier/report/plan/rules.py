"""Which changes of inputs make a resource anew: for our own by their models' fields, for Kubernetes by a table.

Models are loaded with the first change of their type. Of the clouds' resources some changes are known to do so, by the
managed tiers' lists; for everything else it is unknown, and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from pydantic import ValidationError

from anytier.errors import AnytierError
from anytier.provider import diff as leaves
from anytier.provider.registry import Registry
from anytier.provider.resource import AnyResource
from anytier.provider.values import parse_path, path_text
from anytier.report.plan import kinds
from anytier.report.plan.graph import Node, Path

Certainty = Literal["yes", "no", "unknown"]


@dataclass(frozen=True)
class Difference:
    """One input that differs, at a path. `replaces`: whether that makes the resource anew."""

    path: Path
    replaces: Certainty


def differences(before: Node, after: Node) -> list[Difference]:
    """What differs between the inputs of two that are one resource, save what the resource ignores."""
    ignore = leaves.ignored_paths(after.ignore_changes)
    kind = model_of(after.type)
    if kind is not None:
        changes = leaves.diff(kind.inputs, before.inputs, after.inputs, ignore)
        own = set(_replaced(kind, before, after)) if changes else set()
        found = [
            Difference(change.path, "yes" if change.replaces or _touched(change.path, own) else "no")
            for change in changes
        ]
    else:
        fields = kinds.replacing(after.type)
        otherwise: Certainty = "unknown" if fields is None else "no"
        sure = kinds.listed(after.type) if fields is None else fields
        found = [
            Difference(path, "yes" if _within(path, sure) else otherwise)
            for path in _leaves(before.inputs, after.inputs, ignore)
        ]
    asked = [parse_path(text) for text in after.replace_on_changes]
    return [
        Difference(item.path, "yes") if any(item.path[: len(path)] == path for path in asked) else item
        for item in found
    ]


@cache
def model_of(type: str) -> type[AnyResource] | None:
    """None for what is none of ours, or of an extra that is not installed."""
    try:
        return Registry().load(type)
    except ImportError:
        return None


def known(type: str) -> bool:
    """Whether it is known what makes a resource of this type anew."""
    return model_of(type) is not None or kinds.replacing(type) is not None


def _replaced(kind: type[AnyResource], before: Node, after: Node) -> list[Path]:
    """What the resource itself says beyond its fields; nothing where it refuses the change, or where what stands for a
    secret is no value of its."""
    try:
        pair = [kind.inputs.model_validate(node.inputs) for node in (before, after)]
        return [parse_path(text) for text in kind().replaces(*pair)]
    except (AnytierError, ValidationError, ValueError, TypeError, AttributeError):
        return []


def _touched(path: Path, others: set[Path]) -> bool:
    return any(all(a == b for a, b in zip(path, other, strict=False)) for other in others)


def _within(path: Path, fields: Sequence[str]) -> bool:
    """Whether a difference at `path` is one of a field: in it, or above it."""
    text = path_text(path)
    return any(
        text == field or text.startswith((f"{field}.", f"{field}[")) or field.startswith(f"{text}.") for field in fields
    )


def _leaves(before: Any, after: Any, ignore: Sequence[Path]) -> list[Path]:
    found: list[Path] = []

    def compare(old: Any, new: Any, path: Path) -> None:
        if isinstance(old, dict) and isinstance(new, dict):
            for key in dict.fromkeys((*old, *new)):
                both = key in old and key in new
                compare(old[key], new[key], (*path, key)) if both else found.append((*path, key))
        elif isinstance(old, list) and isinstance(new, list):
            for index in range(max(len(old), len(new))):
                both = index < len(old) and index < len(new)
                compare(old[index], new[index], (*path, index)) if both else found.append((*path, index))
        elif old != new or isinstance(old, bool) != isinstance(new, bool):
            found.append(path)

    compare(before, after, ())
    return [path for path in found if not any(path[: len(item)] == item for item in ignore)]
