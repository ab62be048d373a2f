"""Variants of the base spec as small pure patches: mappings are merged, None removes a key, everything else replaces.

A patch says only what differs, so that a check reads as its difference from the app that everybody else deploys.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

Patch = Mapping[str, Any]


def merged(base: Mapping[str, Any], *patches: Patch) -> dict[str, Any]:
    """`base` with the patches applied in order; nothing that is passed in is changed."""
    return reduce(_merge, patches, dict(base))


def _merge(base: Mapping[str, Any], patch: Patch) -> dict[str, Any]:
    result = dict(base)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            below = result.get(key)
            result[key] = _merge(below if isinstance(below, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def workload(name: str, body: Patch) -> Patch:
    return {"workloads": {name: body}}


def container(name: str, body: Patch) -> Patch:
    """A patch of the container that carries its workload's name."""
    return workload(name, {"containers": {name: body}})


def variables(name: str, **values: str | None) -> Patch:
    return container(name, {"variables": values})


def version(name: str, text: str) -> Patch:
    return variables(name, CONF_VERSION=text)


def replicas(name: str, count: int) -> Patch:
    return workload(name, {"scale": {"replicas": count}})


def behaviour(name: str, text: str) -> Patch:
    """A release of `name` that misbehaves, as apps/conformance/app.py describes it."""
    return variables(name, CONF_BEHAVIOUR=text, CONF_VERSION="bad")
