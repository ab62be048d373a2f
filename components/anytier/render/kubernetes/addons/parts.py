"""The forms that addons share: an object with its key, labels, roles and their bindings. Nothing of one addon only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABEL = "app.kubernetes.io/name"
RBAC = "rbac.authorization.k8s.io"
# Everything but what a node agent needs is refused there; such an agent shares the node's network, or its folders.
_MODES = ("enforce", "audit", "warn")
PRIVILEGED, RESTRICTED = (
    {f"pod-security.kubernetes.io/{mode}": level for mode in _MODES} for level in ("privileged", "restricted")
)
LOCKED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}

# Where a policy lets pods go: names are asked for there, and anywhere but link-local addresses.
DNS = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
ANYWHERE = {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}


@dataclass(frozen=True)
class Addon:
    """One object. `after`: keys of those that must be there first."""

    key: str
    object: dict[str, Any]
    after: tuple[str, ...] = ()


def named(name: str, app: str, namespace: str | None = None, **more: Any) -> dict[str, Any]:
    """An object's metadata."""
    where = {"namespace": namespace} if namespace else {}
    labels = {LABEL: app, "app.kubernetes.io/managed-by": "anytier", **more.pop("labels", {})}
    return {"name": name, **where, "labels": labels, **more}


def namespace(name: str, app: str, labels: Mapping[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": named(name, app, labels=labels)}


def account(name: str, app: str, namespace: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": named(name, app, namespace)}


def service(
    name: str, app: str, namespace: str, ports: Sequence[tuple[str, int]], addresses: Sequence[str] = ()
) -> dict[str, Any]:
    """To the pods of the app. Each port leads to theirs of its name; `addresses` of machines take requests, too."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": named(name, app, namespace),
        "spec": {
            "selector": {LABEL: app},
            **({"externalIPs": list(addresses)} if addresses else {}),
            "ports": [{"name": key, "port": port, "protocol": "TCP", "targetPort": key} for key, port in ports],
        },
    }


def rule(group: str, resources: Sequence[str], verbs: Sequence[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def role(name: str, app: str, rules: Sequence[Mapping[str, Any]], namespace: str | None = None) -> dict[str, Any]:
    """Of one namespace, or of the whole cluster."""
    kind = "Role" if namespace else "ClusterRole"
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": named(name, app, namespace),
        "rules": [dict(item) for item in rules],
    }


def binding(
    name: str, app: str, role: str, account: str, home: str, namespace: str | None = None, kind: str | None = None
) -> dict[str, Any]:
    """The account, which lives in `home`, may what the role says: in one namespace, or in the whole cluster."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": named(name, app, namespace),
        "roleRef": {
            "apiGroup": RBAC,
            "kind": kind or ("Role" if namespace else "ClusterRole"),
            "name": role,
        },
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": home}],
    }


def config_map(name: str, app: str, namespace: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": named(name, app, namespace),
        "data": dict(data),
    }


def denied(app: str, namespace: str) -> dict[str, Any]:
    """Nothing comes in or goes out there but what another policy says."""
    return policy("default", app, namespace, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})


def policy(name: str, app: str, namespace: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": named(name, app, namespace),
        "spec": dict(spec),
    }


def budget(name: str, app: str, namespace: str, pods: dict[str, str]) -> dict[str, Any]:
    """Of the pods with these labels a drain takes one after the other. What is broken anyway never holds it up."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": named(name, app, namespace),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": pods},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }


def apart(pods: dict[str, str]) -> dict[str, Any]:
    """A constraint by which pods with these labels are on several machines where there are some."""
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pods},
    }


def digest(object: Mapping[str, Any]) -> str:
    """Of what a pod reads only at its start: as an annotation of its template, a change starts it anew."""
    return hashlib.sha256(json.dumps(object, sort_keys=True).encode()).hexdigest()[:16]


def host_folder(name: str, path: str, type_: str) -> dict[str, Any]:
    return {"name": name, "hostPath": {"path": path, "type": type_}}


def from_field(name: str, path: str) -> dict[str, Any]:
    """An environment variable that tells a pod what it cannot know itself, such as where it runs."""
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
