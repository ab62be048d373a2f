"""`objects`: raw Kubernetes objects as they are, the namespace filled in, what others need before them first."""

from __future__ import annotations

import copy
from typing import Any

from anytier.errors import SpecError
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.target import Json, Rendered

# Kinds that are in no namespace.
_OF_CLUSTER = frozenset(
    (
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterIssuer",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "GatewayClass",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    )
)
_FIRST = ("CustomResourceDefinition", "Namespace")


def passed(scope: Scope) -> list[Rendered]:
    """SpecError for two with one name. Custom resources come after the definitions; a `namespace: ""` is taken out."""
    found: dict[str, Rendered] = {}
    own = _definitions(scope.app.objects)
    first = [item for item in scope.app.objects if item["kind"] in _FIRST]
    keys = [_key(item) for item in first]
    for index, given in enumerate(scope.app.objects):
        item = _placed(copy.deepcopy(given), scope.namespace, own)
        key = _key(given)
        if key in found:
            raise SpecError(
                f"objects[{index}]", f"there is a {key.removeprefix('object/')} already", "keep one of them"
            )
        after = () if given["kind"] in _FIRST else (*keys, NAMESPACE)
        found[key] = Rendered(key, item, after)
    early = [item for item in found.values() if not item.after]
    return [*early, *(item for item in found.values() if item.after)]


def _key(item: Json) -> str:
    """The namespace where it is said: one name may be in two."""
    metadata = item["metadata"]
    group = item["apiVersion"].rpartition("/")[0]
    where = f"{metadata['namespace']}." if metadata.get("namespace") else ""
    return f"object/{item['kind']}{f'.{group}' if group else ''}.{where}{metadata['name']}"


def _definitions(objects: list[Json]) -> dict[tuple[str, str], bool]:
    """(group, kind) of the custom resources that are defined here -> whether they are in no namespace."""
    found: dict[tuple[str, str], bool] = {}
    for item in objects:
        spec: Any = item.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if item["kind"] == "CustomResourceDefinition" and isinstance(names, dict):
            found[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") == "Cluster"
    return found


def _placed(item: Json, namespace: str, own: dict[tuple[str, str], bool]) -> Json:
    metadata = item["metadata"]
    group = item["apiVersion"].rpartition("/")[0]
    of_cluster = own.get((group, item["kind"]), item["kind"] in _OF_CLUSTER)
    if metadata.get("namespace") == "" or of_cluster:
        metadata.pop("namespace", None)
    else:
        metadata.setdefault("namespace", namespace)
    return item
