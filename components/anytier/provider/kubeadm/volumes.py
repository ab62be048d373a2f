"""Volumes that lie on one machine: once it leaves the cluster, nothing that wants their data can run anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from anytier.errors import Conflict
from anytier.provider.kubeadm.api import Api, Call

_HOST = "kubernetes.io/hostname"


async def require_none(api: Api, name: str) -> None:
    """Conflict, naming the claims, where a volume that somebody claims lies on the node `name` only."""
    volumes = list(only_on((await api.get("/api/v1/persistentvolumes"))["items"], name))
    wanted = await api.ask(*(Call("GET", _path(item)) for item in volumes)) if volumes else []
    held = [title(item) for item, (status, _) in zip(volumes, wanted, strict=True) if status == 200]
    if held:
        what = f"has data that is nowhere else, of {', '.join(held)}"
        do = "put the machine back; or move the data, delete what claims it (`kubectl delete pvc`), and run again"
        raise Conflict(f"node {name}", what, do)


def only_on(volumes: Iterable[Mapping[str, Any]], name: str) -> Iterator[Mapping[str, Any]]:
    """Those that are bound, and that no other node can reach."""
    for item in volumes:
        spec = item["spec"]
        if (item.get("status") or {}).get("phase") == "Bound" and spec.get("claimRef") and _hosts(spec) == {name}:
            yield item


def title(volume: Mapping[str, Any]) -> str:
    claim = volume["spec"]["claimRef"]
    return f"{claim['namespace']}/{claim['name']}"


def _path(volume: Mapping[str, Any]) -> str:
    """The claim's: it may have gone, and its volume not know so yet."""
    claim = volume["spec"]["claimRef"]
    return f"/api/v1/namespaces/{claim['namespace']}/persistentvolumeclaims/{claim['name']}"


def _hosts(spec: Mapping[str, Any]) -> set[str]:
    """The nodes to which a volume's own affinity binds it by name; none where it does not."""
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    wanted = [rule for term in terms for rule in term.get("matchExpressions") or ()]
    return {host for rule in wanted if (rule["key"], rule["operator"]) == (_HOST, "In") for host in rule["values"]}
