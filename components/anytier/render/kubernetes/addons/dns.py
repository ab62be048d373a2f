"""A budget for CoreDNS, which kubeadm makes without one: both of its pods may be on the machine that is emptied first,
and then no name is known anywhere until others have come.
"""

from __future__ import annotations

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

NAME, NAMESPACE = "anytier-dns", "kube-system"
_PODS = {"k8s-app": "kube-dns"}  # as kubeadm labels them


def render() -> list[Addon]:
    """What is broken anyway never holds a drain up."""
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": dict(_PODS)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
    return [Addon("dns.budget", budget)]
