"""A stack's state, as `pulumi stack export` has it, as resources for the rules. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anytier.policy.resource import UNKNOWN, Resource, Secret

# How the engine marks a secret, and what it writes for a value that a preview does not know.
_SIGNATURE, _SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


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
    if isinstance(value, Mapping):
        if value.get(_SIGNATURE) == _SECRET:
            return Secret(_tree(value.get("value")))  # sealed: nobody opens it for this
        return {key: _tree(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tree(item) for item in value]
    return UNKNOWN if value == _UNKNOWN else value
