"""`overrides.<tier>`: a deep merge into the spec before it is validated again. null takes a key away. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anytier.spec.diagnostic import Finding, Path

# What makes an app that app cannot differ from tier to tier.
_FIXED: tuple[Path, ...] = (("apiVersion",), ("kind",), ("overrides",), ("metadata", "name"))


def for_tier(data: Mapping[str, Any], tier: str) -> dict[str, Any]:
    """The plain spec as `tier` sees it, without `overrides`."""
    base = {key: value for key, value in data.items() if key != "overrides"}
    patches = data.get("overrides")
    patch = patches.get(tier) if isinstance(patches, Mapping) else None
    merged = merge(base, patch) if isinstance(patch, Mapping) else base
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


def findings(data: Mapping[str, Any]) -> list[Finding]:
    """What an override may not do, and what it does in vain."""
    patches = data.get("overrides")
    found: list[Finding] = []
    for tier, patch in patches.items() if isinstance(patches, Mapping) else ():
        for fixed in _FIXED:
            if _has(patch, fixed):
                found.append((("overrides", tier, *fixed), "is the same on every tier", "leave it out here"))
        for path in _removals(patch):
            if not _has(data, path):
                found.append((("overrides", tier, *path), "removes what is not there", "check its spelling"))
    return found


def _has(data: Any, path: Path) -> bool:
    for step in path:
        if not isinstance(data, Mapping) or step not in data:
            return False
        data = data[step]
    return True


def _removals(patch: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(patch, Mapping):
        for key, value in patch.items():
            if value is None:
                yield (*path, key)
            else:
                yield from _removals(value, (*path, key))
