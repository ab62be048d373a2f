"""Two states of a resource's inputs: what differs, and what of that replaces the resource. Pure.

A *rule* is a path of property names without the numbers of list items, such as `kubernetesNetworkConfig.ipFamily`. A
change concerns a rule if it is at that very place: that an object is there or not, how long a list is, a value. With
`.*` at its end a rule is concerned by everything below too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from anytier.marks import UNKNOWN

Path = tuple[str | int, ...]
Kind = Literal["ADD", "DELETE", "UPDATE"]


@dataclass(frozen=True)
class Change:
    """`path` leads to the property for the engine's display; `places` are all that this change concerns."""

    path: Path
    kind: Kind
    places: frozenset[str]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """What differs, the engine's own properties (`__...`) left out."""
    return list(_mapping(_visible(old), _visible(new), ()))


def replacing(change: Change, facts: Mapping[str, Any]) -> bool:
    """Whether a resource with these facts (facts/*.json) has to be made anew for it."""
    if any(_concerns(change, rule) for rule in facts["replaces"]):
        return True
    if change.kind == "DELETE" and any(_concerns(change, rule) for rule in facts.get("replacesWhenTakenAway", ())):
        return True
    had = change.kind != "ADD"
    return had and any(_concerns(change, rule) for rule in facts.get("replacesWhenChanged", ()))


def _concerns(change: Change, rule: str) -> bool:
    whole = rule.removesuffix(".*")
    if whole in change.places:
        return True
    return whole != rule and any(place.startswith(f"{whole}.") for place in change.places)


def _visible(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if not key.startswith("__") and value is not None}


def _mapping(old: Mapping[str, Any], new: Mapping[str, Any], path: Path) -> Iterator[Change]:
    for key in [*old, *(key for key in new if key not in old)]:
        here = (*path, key)
        if key not in new:
            yield Change(here, "DELETE", _places(old[key], here))
        elif key not in old:
            yield Change(here, "ADD", _places(new[key], here))
        else:
            yield from _value(old[key], new[key], here)


def _value(old: Any, new: Any, path: Path) -> Iterator[Change]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _mapping(old, new, path)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list(old, new, path)
    elif new is UNKNOWN or type(old) is not type(new) or old != new:
        yield Change(path, "UPDATE", _places(old, path) | _places(new, path))


def _list(old: list[Any], new: list[Any], path: Path) -> Iterator[Change]:
    for index in range(max(len(old), len(new))):
        here = (*path, index)
        if index >= len(new):
            yield Change(here, "DELETE", _places(old[index], here))
        elif index >= len(old):
            yield Change(here, "ADD", _places(new[index], here))
        else:
            yield from _value(old[index], new[index], here)


def _places(value: Any, path: Path) -> frozenset[str]:
    """Where a value begins, and everywhere below it."""
    found = {_place(path)}
    if isinstance(value, Mapping):
        for key, item in value.items():
            found |= _places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            found |= _places(item, (*path, index))
    return frozenset(found)


def _place(path: Path) -> str:
    return ".".join(step for step in path if isinstance(step, str))
