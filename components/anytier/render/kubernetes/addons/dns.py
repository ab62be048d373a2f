"""A budget for CoreDNS, which kubeadm makes without one: both of its pods may be on the machine that is emptied first,
and then no name is known anywhere until others have come.
"""

from __future__ import annotations

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

NAME, NAMESPACE = "anytier-dns", "kube-system"
_PODS = {"k8s-app": "kube-dns"}  # as kubeadm labels them


def render() -> list[Addon]:
    return [Addon("dns.budget", parts.budget(NAME, NAME, NAMESPACE, _PODS))]
