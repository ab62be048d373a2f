"""What a cloud's controller does for Services of type LoadBalancer, for a cluster that has none.

Each gets an address of its own on the network of the cluster's machine, one that was reserved if the Service asks for
it by its annotation; the machine answers for that address, and kube-proxy leads it to the pods. So it is a load
balancer of one machine that is there at once: nothing is said of a real one's health checks, times and kinds.
"""

from __future__ import annotations

import ipaddress
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from tests.provider.kubeadm.byhand import client

PAUSE = 0.4  # seconds
MOST = 40  # addresses
# By which a Service asks for the address that its stack has reserved: GKE's and AKS' own words.
RESERVED = ("networking.gke.io/load-balancer-ip-addresses", "service.beta.kubernetes.io/azure-pip-name")
Service = Mapping[str, Any]


class Balancers:
    """Works in a thread until the block ends. `commanded`: runs a shell command on the machine."""

    def __init__(self, kubeconfig: str, network: str, commanded: Callable[[str], object]) -> None:
        self._commanded = commanded
        self._kube = client(kubeconfig)
        self.reserved, *self._pool = pool(network)
        self._held: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True, name="balancers")
        self.failed: list[str] = []

    def __enter__(self) -> Balancers:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(20)

    def _work(self) -> None:
        while not self._over.wait(PAUSE):
            try:
                self._once()
            except (Exception, subprocess.SubprocessError) as error:  # an API server may be away for a while
                self.failed.append(f"{type(error).__name__}: {error}")

    def _once(self) -> None:
        from lightkube.resources.core_v1 import Service as Kind
        from lightkube.types import PatchType

        services = [item.to_dict() for item in self._kube.list(Kind, namespace="*")]
        new, gone = changes(services, self._held, self._pool, self.reserved)
        for key in gone:
            self._commanded(f"ip address del {self._held.pop(key)}/32 dev eth0")
        for key, address in new.items():
            self._commanded(f"ip address replace {address}/32 dev eth0")
            self._held[key] = address
            namespace, _, name = key.partition("/")
            status = {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}}
            self._kube.patch(Kind.Status, name, status, namespace=namespace, patch_type=PatchType.MERGE)


# pure


def pool(network: str) -> list[str]:
    """Addresses at the end of a network, where Docker gives none to containers for long."""
    last = ipaddress.IPv4Network(network).broadcast_address
    return [str(last - number) for number in range(2, 2 + MOST)]


def changes(
    services: Iterable[Service], held: Mapping[str, str], free: Iterable[str], reserved: str
) -> tuple[dict[str, str], list[str]]:
    """(`namespace/name` of a Service -> the address that it gets now, those whose address is nobody's any more)."""
    wanted = {key_of(item): item for item in services if balanced(item)}
    gone = [key for key in held if key not in wanted]
    taken = {address for key, address in held.items() if key not in gone}
    left = iter([address for address in free if address not in taken])
    new: dict[str, str] = {}
    for key, item in wanted.items():
        if key not in held:
            notes = item["metadata"].get("annotations") or {}
            new[key] = reserved if any(name in notes for name in RESERVED) else next(left)
    return new, gone


def balanced(service: Service) -> bool:
    return service["spec"].get("type") == "LoadBalancer" and not service["metadata"].get("deletionTimestamp")


def key_of(service: Service) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"
