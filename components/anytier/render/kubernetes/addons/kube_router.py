"""kube-router as a firewall only: it holds the cluster's NetworkPolicies, of which flannel knows nothing.

The agent on each machine turns the policies of that machine's pods into rules of iptables and sets of addresses. It
routes nothing and serves no Service: that is flannel's and kube-proxy's. A machine's own requests to its pods, such as
the kubelet's probes, are always let in.
"""

from __future__ import annotations

from typing import Any

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

IMAGE = "docker.io/cloudnativelabs/kube-router:v2.1.0"
NAMESPACE, NAME = "kube-system", "kube-router"
PORT = 20244  # of its health, on every address of the machine: it knows no option to have it elsewhere
_LOOK = ["get", "list", "watch"]


def render(services: str) -> list[Addon]:
    """`services`: the CIDR of the cluster's Services, to whose addresses pods may always send."""
    made = {
        "network-policy.account": parts.account(NAME, NAME, NAMESPACE),
        "network-policy.role": parts.role(NAME, NAME, _rules()),
        "network-policy.binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE),
        "network-policy": _agent(services),
    }
    needs = {
        "network-policy.binding": ("network-policy.account", "network-policy.role"),
        "network-policy": ("network-policy.account", "network-policy.binding"),
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def _rules() -> list[dict[str, Any]]:
    """It only looks. For Services and their endpoints it waits at its start, though a firewall has no need of them."""
    return [
        parts.rule("", ["namespaces", "pods", "services", "nodes", "endpoints"], _LOOK),
        parts.rule("networking.k8s.io", ["networkpolicies"], _LOOK),
        parts.rule("discovery.k8s.io", ["endpointslices"], _LOOK),
    ]


def _agent(services: str) -> dict[str, Any]:
    """One on each machine, whatever its taints: a machine without it holds no policy."""
    labels = {parts.LABEL: NAME}
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "serviceAccountName": NAME,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"operator": "Exists"}],
            "containers": [_firewall(services)],
            "volumes": [parts.host_folder("xtables-lock", "/run/xtables.lock", "FileOrCreate")],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": template,
        },
    }


def _firewall(services: str) -> dict[str, Any]:
    health = {"httpGet": {"path": "/healthz", "port": PORT, "host": "127.0.0.1"}}
    return {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--run-firewall=true",
            "--run-router=false",
            "--run-service-proxy=false",
            "--enable-cni=false",
            f"--service-cluster-ip-range={services}",
            f"--health-port={PORT}",
        ],
        "env": [parts.from_field("NODE_NAME", "spec.nodeName")],
        # Its rules stay where it ends; a pod that is new has none until it is back.
        "livenessProbe": {**health, "initialDelaySeconds": 30, "periodSeconds": 10, "failureThreshold": 6},
        "readinessProbe": {**health, "periodSeconds": 2},
        "securityContext": {
            "privileged": False,
            "runAsUser": 0,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "xtables-lock", "mountPath": "/run/xtables.lock"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
