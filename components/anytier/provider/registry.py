"""Every resource of the plugin by its token, as strings: a file is imported when its resource is first used.

Adding a resource is one file and one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anytier.provider.resource import AnyResource

RESOURCES: dict[str, str] = {
    "anytier:index:Secret": "anytier.provider.secret:SecretResource",
    "anytier:index:Identity": "anytier.provider.identity:IdentityResource",
    "anytier:index:KeyPair": "anytier.provider.keypair:KeyPairResource",
    "anytier:index:Certificate": "anytier.provider.certificate:CertificateResource",
    "anytier:docker:Image": "anytier.provider.docker.image:ImageResource",
    "anytier:docker:Push": "anytier.provider.docker.push:PushResource",
    "anytier:docker:Network": "anytier.provider.docker.network:NetworkResource",
    "anytier:docker:Volume": "anytier.provider.docker.volume:VolumeResource",
    "anytier:docker:Workload": "anytier.provider.docker.workload:WorkloadResource",
    "anytier:docker:Proxy": "anytier.provider.docker.proxy:ProxyResource",
    "anytier:docker:Job": "anytier.provider.docker.job:JobResource",
    "anytier:host:Machine": "anytier.provider.host.machine:MachineResource",
    "anytier:host:DockerEngine": "anytier.provider.host.dockerengine:DockerEngineResource",
    "anytier:host:Workload": "anytier.provider.host.workload:WorkloadResource",
    "anytier:host:Proxy": "anytier.provider.host.proxy:ProxyResource",
    "anytier:host:Job": "anytier.provider.host.job:JobResource",
    "anytier:host:Image": "anytier.provider.host.images:ImageResource",
    "anytier:host:Volume": "anytier.provider.host.volume:VolumeResource",
    "anytier:host:Packages": "anytier.provider.host.packages:PackagesResource",
    "anytier:kubeadm:Node": "anytier.provider.kubeadm.nodes:NodeResource",
    "anytier:kubeadm:ControlPlane": "anytier.provider.kubeadm.controlplane:ControlPlaneResource",
    "anytier:kubeadm:Worker": "anytier.provider.kubeadm.worker:WorkerResource",
    "anytier:kubeadm:Image": "anytier.provider.kubeadm.image:ImageResource",
    "anytier:libvirt:Network": "anytier.provider.libvirt.network:NetworkResource",
    "anytier:libvirt:Pool": "anytier.provider.libvirt.pool:PoolResource",
    "anytier:libvirt:Volume": "anytier.provider.libvirt.volume:VolumeResource",
    "anytier:libvirt:SeedIso": "anytier.provider.libvirt.seed:SeedIsoResource",
    "anytier:kubernetes:Claim": "anytier.provider.kubernetes.claim:ClaimResource",
    "anytier:kubernetes:Address": "anytier.provider.kubernetes.address:AddressResource",
    "anytier:kubernetes:Entrance": "anytier.provider.kubernetes.entrance:EntranceResource",
    "anytier:kubernetes:Rollout": "anytier.provider.kubernetes.rollout:RolloutResource",
    "anytier:kubernetes:Handover": "anytier.provider.kubernetes.handover:HandoverResource",
    "anytier:kubernetes:Volume": "anytier.provider.kubernetes.volume:VolumeResource",
    "anytier:kubernetes:Run": "anytier.provider.kubernetes.job:RunResource",
    "anytier:libvirt:Domain": "anytier.provider.libvirt.domain:DomainResource",
}


class Registry:
    """Tokens to resource classes."""

    def __init__(self, resources: Mapping[str, str] = RESOURCES) -> None:
        self._resources = dict(resources)
        self._loaded: dict[str, type[AnyResource]] = {}

    def tokens(self) -> list[str]:
        return sorted(self._resources)

    def load(self, token: str) -> type[AnyResource] | None:
        """The class behind a token; None for a token that is not ours."""
        if token not in self._loaded and token in self._resources:
            module, _, name = self._resources[token].partition(":")
            self._loaded[token] = getattr(import_module(module), name)
        return self._loaded.get(token)
