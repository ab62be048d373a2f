"""How objects are called and labelled: names that the API server takes, selectors that never change."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from anytier.errors import SpecError
from anytier.render.kubernetes.target import Json

Kind = Literal["workload", "job", "router"]

# The router is an object beside the workloads.
ROUTER = "anytier-router"
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def fitted(text: str, limit: int = 63) -> str:
    """`text`, or where it is too long its beginning and a hash of it: two that differ stay apart."""
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return f"{text[: limit - 9].rstrip('-.')}-{digest}"


def service_name(workload: str) -> str:
    """A Service's name begins with a letter, a workload's may with a digit."""
    if workload[0].isalpha():
        return workload
    return f"w-{fitted(workload, 50)}-{hashlib.sha256(workload.encode()).hexdigest()[:8]}"


def instances_name(workload: str) -> str:
    """Of the Service under which each instance has a name of its own, such as `store-0.store-instances`."""
    return fitted(f"{service_name(workload)}-instances")


def selector(kind: Kind, name: str) -> dict[str, str]:
    """The labels by which pods are found. Nothing that a user may change: selectors are immutable."""
    return {f"anytier.dev/{kind}": name}


def labels(app: str, kind: Kind, name: str, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The labels of what belongs to a workload, a job or the router; `given` are the user's."""
    return {
        **(given or {}),
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": kind,
        **app_labels(app),
        **selector(kind, name),
    }


def app_labels(app: str) -> dict[str, str]:
    return {"app.kubernetes.io/part-of": app, "app.kubernetes.io/managed-by": "anytier"}


def filled(**fields: Any) -> Json:
    """The fields that say something: None and what is empty are left out. A trailing `_` is not part of a name."""
    return {key.rstrip("_"): item for key, item in fields.items() if item is not None and item not in ([], {}, ())}


def named(api: str, kind: str, name: str, namespace: str | None, marks: Mapping[str, str], **more: Any) -> Json:
    """An object's head. `more`: annotations, and what stands beside the metadata."""
    annotations = more.pop("annotations", None)
    metadata = filled(name=name, namespace=namespace, labels=dict(marks), annotations=dict(annotations or {}))
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **more}


def label_value(text: str, path: str) -> str:
    """SpecError where no node can be called so."""
    if not _LABEL_VALUE.fullmatch(text):
        raise SpecError(path, f"{text[:40]!r} is no name that a node can have", "letters, digits, -, _ and .")
    return text


def unique(keys: Iterable[str]) -> None:
    """A defect of ours if not: logical names must tell objects apart."""
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            raise AssertionError(f"two objects are called {key}")
        seen.add(key)
