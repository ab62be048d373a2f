"""What the API server writes down: who did what to what, never a secret's content, and no noise. Pure."""

from __future__ import annotations

from typing import Any

# Read by the cluster's own parts all the time.
_NOISE = ("system:kube-proxy", "system:apiserver", "system:kube-scheduler", "system:kube-controller-manager")


def policy() -> dict[str, Any]:
    """Metadata of everything that changes something or looks at something secret; what was asked for where a person
    reaches into a pod."""
    secret = [
        {"group": "", "resources": ["secrets", "configmaps", "serviceaccounts/token"]},
        {"group": "authentication.k8s.io", "resources": ["tokenreviews"]},
    ]
    inside = [
        "pods/exec",
        "pods/attach",
        "pods/portforward",
        "pods/ephemeralcontainers",
        "services/proxy",
        "nodes/proxy",
    ]
    quiet = [
        {"group": "coordination.k8s.io", "resources": ["leases"]},
        {"group": "", "resources": ["events"]},
        {"group": "events.k8s.io", "resources": ["events"]},
    ]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*", "/version", "/openapi/*"]},
            {"level": "None", "resources": quiet},
            {"level": "None", "users": list(_NOISE), "verbs": ["get", "list", "watch"]},
            {"level": "None", "userGroups": ["system:nodes"], "verbs": ["get", "list", "watch"]},
            {"level": "Metadata", "resources": secret},
            {"level": "Request", "resources": [{"group": "", "resources": inside}]},
            {"level": "None", "verbs": ["watch"]},
            {"level": "Metadata"},
        ],
    }
