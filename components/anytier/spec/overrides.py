"""`overrides.<tier>`: a deep merge into the spec before it is validated again. null takes a key away. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def for_tier(data: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """The plain spec as `tier` sees it, without `overrides`."""
    base = {key: value for key, value in data.items() if key != "overrides"}
    patch = (data.get("overrides") or {}).get(tier) or {}
    merged = merge(base, patch)
    return merged if isinstance(merged, dict) else base


def merge(base: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7386): mappings merge, null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    out = dict(base) if isinstance(base, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out
