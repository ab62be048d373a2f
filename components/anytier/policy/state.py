"""A stack's state, as `pulumi stack export` has it, as resources for the rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anytier.marks import UNKNOWN, UNKNOWN_STRINGS, Secret, is_sealed
from anytier.policy.resource import Resource


def resources(deployment: Mapping[str, Any]) -> Iterator[Resource]:
    """All that the stack has now; what waits to be deleted has had its turn."""
    for item in deployment.get("resources") or ():
        if item.get("delete"):
            continue
        urn = str(item.get("urn") or "")
        yield Resource(
            type=str(item.get("type") or ""),
            name=urn.rpartition("::")[2],
            props=_tree(item.get("inputs") or {}),
            urn=urn,
            outputs=_tree(item.get("outputs") or {}),
            dependencies=tuple(item.get("dependencies") or ()),
            property_dependencies={
                name: tuple(urns or ()) for name, urns in (item.get("propertyDependencies") or {}).items()
            },
        )


def _tree(value: Any) -> Any:
    if is_sealed(value):
        return Secret(_tree(value.get("value")))  # nobody opens it for this
    if isinstance(value, Mapping):
        return {key: _tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tree(item) for item in value]
    return UNKNOWN if isinstance(value, str) and value in UNKNOWN_STRINGS else value
