"""What a cluster that we make needs before an app runs there: network, storage, metrics, an Ingress controller.

Each is plain data, written from the projects' own documentation. Versions are pinned here, and nowhere else: a bundle
holds what `images` names, under these very names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from anytier.render.kubernetes.addons import dns, flannel, kube_router, local_path, metrics, traefik
from anytier.render.kubernetes.addons.parts import Addon

Cni = Literal["flannel", "flannel-vxlan", "none"]
Storage = Literal["local-path", "none"]
Controller = Literal["none", "traefik"]
Firewall = Literal["kube-router", "none"]
VOLUMES = "/var/lib/anytier/volumes"


@dataclass(frozen=True)
class Choice:
    """Which addons, and what they must know. `pods` and `services` are the CIDRs of all pods and of all Services,
    `volumes` is a folder of each machine. `plugin`: the network's own plugin is on no machine yet.

    Of the Ingress controller: `addresses` of the machines that take requests, on `port` and `tls_port`; its `replicas`.
    """

    pods: str
    cni: Cni = "flannel"
    storage: Storage = "local-path"
    metrics: bool = False
    volumes: str = VOLUMES
    ingress: Controller = "none"
    addresses: tuple[str, ...] = ()
    port: int = 80
    tls_port: int = 443
    replicas: int = 1
    network_policy: Firewall = "none"
    services: str = "10.96.0.0/12"
    plugin: bool = False


def render(choice: Choice) -> list[Addon]:
    """Every object, each after those that it needs. Keys are unique in a cluster."""
    return [addon for part in _parts(choice) for addon in part]


def images(choice: Choice) -> dict[str, tuple[str, ...]]:
    """The images that are needed, by the option that asks for them."""
    found: dict[str, tuple[str, ...]] = {}
    if choice.cni != "none":
        found["cni"] = (flannel.IMAGE, flannel.PLUGIN) if choice.plugin else (flannel.IMAGE,)
    if choice.network_policy != "none":
        found["networkPolicy"] = (kube_router.IMAGE,)
    if choice.storage != "none":
        found["storage"] = (local_path.IMAGE, local_path.HELPER)
    if choice.metrics:
        found["metrics"] = (metrics.IMAGE,)
    if choice.ingress != "none":
        found["ingressController"] = (traefik.IMAGE,)
    return found


def _parts(choice: Choice) -> Iterator[list[Addon]]:
    yield dns.render()
    if choice.cni != "none":
        backend: flannel.Backend = "vxlan" if choice.cni == "flannel-vxlan" else "host-gw"
        yield flannel.render(choice.pods, backend, choice.plugin)
    if choice.network_policy != "none":
        yield kube_router.render(choice.services)
    if choice.storage != "none":
        yield local_path.render(choice.volumes)
    if choice.metrics:
        yield metrics.render()
    if choice.ingress != "none":
        yield traefik.render(choice.addresses, choice.port, choice.tls_port, choice.replicas)
