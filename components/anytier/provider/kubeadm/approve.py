"""Kubelets' serving certificates: nothing in Kubernetes approves them, since it cannot know whose address is whose. We
do: we are on the machine."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Iterable, Mapping, Set
from typing import Any

from anytier.provider.kubeadm import certificates
from anytier.provider.kubeadm.api import Api
from anytier.provider.kubeadm.node import Node
from anytier.provider.resource import Context

SIGNER = "kubernetes.io/kubelet-serving"
_PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


def patience(start: float) -> float:
    """Seconds until a kubelet that has just come has asked, where it may take `start` to come: 30 of 240."""
    return start / 8


async def grant(ctx: Context, api: Api, node: Node, wait: float = 0, before: Set[str] = frozenset()) -> None:
    """What the kubelet of this node asks for. `wait`: seconds until it has asked, or had what it asked for. `before`:
    the requests of its forerunner on this machine, which stay listed for an hour and tell nothing of it."""
    addresses: list[str] | None = None
    end = asyncio.get_running_loop().time() + wait
    while True:
        requests = requests_of(await listed(api), node.name)
        open_ = [item for item in requests if is_open(item)]
        if open_ and addresses is None:
            addresses = (await node.verb("look", modules=[], programs=[], marker=""))["addresses"]
        for item in open_:
            await _decide(ctx, api, item, node.name, addresses or ())
        if open_ or any(is_granted(item) and item["metadata"]["name"] not in before for item in requests):
            return
        if asyncio.get_running_loop().time() >= end:
            if wait:
                ctx.warn(
                    f"the kubelet of {node.name} has not asked for a certificate; `pulumi up --refresh` looks again"
                )
            return
        await asyncio.sleep(0.3)


async def names(api: Api, name: str) -> set[str]:
    """Of all requests of this node's kubelets, whatever became of them."""
    return {item["metadata"]["name"] for item in requests_of(await listed(api), name)}


async def pending(api: Api, name: str) -> list[str]:
    """Names of requests of this node's kubelet that nobody has decided on."""
    return [item["metadata"]["name"] for item in requests_of(await listed(api), name) if is_open(item)]


async def listed(api: Api) -> list[dict[str, Any]]:
    return list((await api.get(f"{_PATH}?fieldSelector=spec.signerName%3D{SIGNER.replace('/', '%2F')}"))["items"])


def requests_of(items: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Only a kubelet itself can ask under its user name: the API server has seen its certificate."""
    return [item for item in items if item["spec"].get("username") == f"system:node:{name}"]


def is_open(request: Mapping[str, Any]) -> bool:
    return not (request.get("status") or {}).get("conditions")


def is_granted(request: Mapping[str, Any]) -> bool:
    return any(item["type"] == "Approved" for item in (request.get("status") or {}).get("conditions") or [])


async def _decide(ctx: Context, api: Api, request: dict[str, Any], name: str, addresses: Collection[str]) -> None:
    id = request["metadata"]["name"]
    why = certificates.refusal(base64.b64decode(request["spec"]["request"]), name, addresses)
    if why is not None:
        ctx.warn(f"the certificate request {id} of node {name} {why}: it is not granted")
        return
    said = {"type": "Approved", "status": "True", "reason": "Anytier", "message": "its machine has these addresses"}
    decided = {**request, "status": {**(request.get("status") or {}), "conditions": [said]}}
    await api.send("PUT", f"{_PATH}/{id}/approval", decided)
