"""Volumes as claims. The cluster's default storage class serves them, or the one that the resource's `class` names.

`params` on a Kubernetes tier: `size` (1Gi if left out) and `access`, ReadWriteOnce or ReadWriteMany.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticCustomError

from anytier.errors import CapabilityError, SpecError
from anytier.render.kubernetes.names import filled
from anytier.render.kubernetes.probes import quantity
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json
from anytier.render.tokens import substitute
from anytier.spec.model import Resource
from anytier.spec.values import parse_memory

SIZE = "1Gi"
ACCESS = ("ReadWriteOnce", "ReadWriteMany")


def claim(scope: Scope, name: str) -> Json:
    """CapabilityError where the cluster has no storage, SpecError for parameters that mean nothing."""
    resource = scope.app.resources[name]
    storage_class = resource.class_ or scope.target.storage_class
    if storage_class is None and "storage" not in scope.target.offers:
        what = "nothing on this cluster makes volumes"
        raise CapabilityError(f"resources.{name}", what, "let the cluster have a storage class, or name one by `class`")
    many = many_writers(resource, name)
    spec = filled(
        accessModes=[ACCESS[1] if many else ACCESS[0]],
        resources={"requests": {"storage": quantity(_size(resource, name))}},
        storageClassName=storage_class,
    )
    return scope.of_app("v1", "PersistentVolumeClaim", name, spec=spec)


def many_writers(resource: Resource, name: str) -> bool:
    """Whether instances on several nodes can have it at a time."""
    return _params(resource, name).get("access") == ACCESS[1]


def _params(resource: Resource, name: str) -> dict[str, str]:
    path = f"resources.{name}.params"
    found: dict[str, str] = {}
    for key, value in resource.params.items():
        if key not in ("size", "access"):
            raise SpecError(f"{path}.{key}", "is no parameter of a volume", "size or access")
        found[key] = _text(value, f"{path}.{key}")
    if found.get("access", ACCESS[0]) not in ACCESS:
        raise SpecError(f"{path}.access", f"{found['access'][:40]!r} is no way to have a volume", " or ".join(ACCESS))
    return found


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise SpecError(path, "is not a text", 'such as size: "10Gi"')
    return substitute(value, {})


def _size(resource: Resource, name: str) -> int:
    text = _params(resource, name).get("size", SIZE)
    try:
        return parse_memory(text)
    except PydanticCustomError as error:
        told = error.context or {}
        raise SpecError(f"resources.{name}.params.size", str(told["what"]), str(told["do"])) from None
