"""metrics-server, of which HorizontalPodAutoscalers and `kubectl top` live: what the kubelets measure, as an API.

The kubelets' certificates are those that the cluster has signed (serverTLSBootstrap), so they are verified.
"""

from __future__ import annotations

from typing import Any

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

IMAGE = "registry.k8s.io/metrics-server/metrics-server:v0.8.0"
NAMESPACE, NAME = "kube-system", "metrics-server"
PORT = 10250
_CA = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"


def render() -> list[Addon]:
    reads, own = "system:aggregated-metrics-reader", f"system:{NAME}"
    made = {
        "metrics.account": parts.account(NAME, NAME, NAMESPACE),
        "metrics.reader-role": _reader(reads),
        "metrics.role": parts.role(own, NAME, _rules()),
        "metrics.auth-reader": parts.binding(
            f"{NAME}-auth-reader",
            NAME,
            "extension-apiserver-authentication-reader",
            NAME,
            NAMESPACE,
            NAMESPACE,
        ),
        "metrics.delegator": parts.binding(
            f"{NAME}:system:auth-delegator", NAME, "system:auth-delegator", NAME, NAMESPACE
        ),
        "metrics.binding": parts.binding(own, NAME, own, NAME, NAMESPACE),
        "metrics.service": _service(),
        "metrics": _server(),
        "metrics.api": _api(),
    }
    bindings = ("metrics.auth-reader", "metrics.delegator", "metrics.binding")
    needs = {
        **dict.fromkeys(bindings, ("metrics.account", "metrics.role")),
        "metrics": ("metrics.account", *bindings),
        "metrics.api": ("metrics", "metrics.service"),
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def _rules() -> list[dict[str, Any]]:
    return [
        parts.rule("", ["nodes/metrics"], ["get"]),
        parts.rule("", ["pods", "nodes"], ["get", "list", "watch"]),
    ]


def _reader(name: str) -> dict[str, Any]:
    """Whoever may view a namespace may see what its pods use."""
    made = parts.role(name, NAME, [parts.rule("metrics.k8s.io", ["pods", "nodes"], ["get", "list", "watch"])])
    made["metadata"]["labels"] |= {
        f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
    }
    return made


def _service() -> dict[str, Any]:
    return parts.service(NAME, NAME, NAMESPACE, [("https", 443)])


def _server() -> dict[str, Any]:
    labels = {parts.LABEL: NAME}
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--cert-dir=/tmp",
            f"--secure-port={PORT}",
            "--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
            "--kubelet-use-node-status-port",
            f"--kubelet-certificate-authority={_CA}",
            "--metric-resolution=15s",
        ],
        "ports": [{"name": "https", "containerPort": PORT, "protocol": "TCP"}],
        "livenessProbe": _probe("/livez", 10, 3),
        "readinessProbe": _probe("/readyz", 10, 3),
        "securityContext": parts.LOCKED | {"runAsNonRoot": True, "runAsUser": 1000, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "50m", "memory": "100Mi"}, "limits": {"memory": "300Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "serviceAccountName": NAME,
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "replicas": 1,
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "https", "scheme": "HTTPS"},
        "periodSeconds": period,
        "failureThreshold": failures,
    }


def _api() -> dict[str, Any]:
    """Its certificate is its own, and taken as it is: the API server asks ready pods, by their own addresses."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": parts.named("v1beta1.metrics.k8s.io", NAME),
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
            "service": {"name": NAME, "namespace": NAMESPACE, "port": 443},
        },
    }
