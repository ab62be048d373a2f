"""A stack's own settings laid over ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def over(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key; anything else of theirs takes the place of ours, and None takes it away."""
    merged = dict(ours)
    for key, value in theirs.items():
        known = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping):
            merged[key] = over(known if isinstance(known, Mapping) else {}, value)
        else:
            merged[key] = whole(value)
    return merged


def whole(value: Any) -> Any:
    """A whole number as one: the engine's numbers are all floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return [whole(item) for item in value] if isinstance(value, list) else value
