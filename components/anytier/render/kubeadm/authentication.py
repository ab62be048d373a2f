"""Who may ask the API server without a name: only what asks for its health. Pure."""

from __future__ import annotations

from typing import Any

from anytier.render.kubeadm.versions import minor

HEALTH = ("/livez", "/readyz", "/healthz")


def config(version: str) -> dict[str, Any]:
    """The kubelet's own probes of the API server have no certificate."""
    stage = "v1" if minor(version) >= (1, 34) else "v1beta1"
    return {
        "apiVersion": f"apiserver.config.k8s.io/{stage}",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": path} for path in HEALTH]},
    }
