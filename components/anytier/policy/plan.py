"""A plan, as `anytier plan --json` writes it, as resources for the rules: no engine, no credentials. Pure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anytier.errors import UsageError
from anytier.marks import UNKNOWN, Secret
from anytier.policy.resource import Resource


def read(data: bytes, path: str) -> dict[str, Any]:
    """The plan in a file's bytes. UsageError, at `path`, for anything else."""
    do = "give what `anytier plan -s STACK --json` has written"
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(path, "holds no JSON", do) from None
    nodes = found.get("resources") if isinstance(found, dict) else None
    if not isinstance(nodes, list) or not all(
        isinstance(item, dict) and {"key", "type"} <= set(item) for item in nodes
    ):
        raise UsageError(path, "holds no plan", do)
    return dict(found)


def resources(plan: Mapping[str, Any]) -> Iterator[Resource]:
    """Secrets and what only a run knows are where the plan says they are, whatever stands there."""
    for node in plan.get("resources") or ():
        props = copy.deepcopy(dict(node.get("inputs") or {}))
        if str(node["type"]).startswith("kubernetes:"):  # others are rendered first, for which a text has to be there
            for name, keys in (node.get("reads") or {}).items():
                props[name] = _known(props.get(name), [str(key).rpartition("::")[2] for key in keys])
        for step in node.get("unknown") or ():
            _put(props, step, lambda value: UNKNOWN)
        for step in node.get("secrets") or ():
            _put(props, step, Secret)
        yield Resource(
            type=str(node["type"]),
            name=str(node.get("name") or ""),
            props=props,
            urn=str(node["key"]),
            dependencies=tuple(node.get("depends") or ()),
            property_dependencies={name: tuple(keys) for name, keys in (node.get("reads") or {}).items()},
        )


def _known(tree: Any, others: list[str]) -> Any:
    """Without the texts that stand for what another resource will say: `<web.ref>` is no tag of an image."""
    if isinstance(tree, dict):
        return {key: _known(value, others) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_known(value, others) for value in tree]
    stands = isinstance(tree, str) and any(f"<{name}." in tree for name in others)
    return UNKNOWN if stands else tree


def _put(tree: Any, path: Iterable[Any], made: Any) -> None:
    *above, last = path
    for step in above:
        tree = tree.value if isinstance(tree, Secret) else tree
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return
    try:
        tree[last] = made(tree[last])
    except (KeyError, IndexError, TypeError):
        return
