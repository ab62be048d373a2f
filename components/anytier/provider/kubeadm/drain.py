"""Empties a node: no new pods, then the old ones are asked to leave, as long as budgets allow and time lasts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from anytier.errors import NotFound
from anytier.provider.kubeadm.api import Api, Call, node_path

CLOSED = "anytier.dev/emptied"
_PAUSE = 1.0
_GRACE = 120.0  # seconds in which pods that had to go are waited for


async def cordon(api: Api, name: str, on: bool) -> None:
    """With our mark, and only what has it is lifted: whoever else keeps pods off a node has a reason. A node that is
    gone needs none."""
    found = await api.find(name)
    if found is None:
        return
    closed = bool((found.get("spec") or {}).get("unschedulable"))
    if (closed and on) or (not on and CLOSED not in (found["metadata"].get("annotations") or {})):
        return
    mark = {"metadata": {"annotations": {CLOSED: "true" if on else None}}}
    try:
        await api.patch(node_path(name), {**mark, "spec": {"unschedulable": True if on else None}})
    except NotFound:
        return


def closed(node: Mapping[str, Any]) -> str:
    """What is said of a node, at the end of a change, that takes no pods; empty for one that does. Not ours to open: a
    person has closed it, or a version of ours that left no mark and was killed."""
    if not (node.get("spec") or {}).get("unschedulable"):
        return ""
    name = node["metadata"]["name"]
    return f"{name} takes no pods: `kubectl uncordon {name}` if nobody meant that"


async def drain(api: Api, name: str, deadline: float, told: Callable[[str], None]) -> list[str]:
    """The pods that a budget would have kept, and which went all the same once `deadline` seconds were over."""
    await cordon(api, name, True)
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline
    forced: list[str] = []
    while left := to_move(await pods(api, name)):
        if loop.time() >= end + _GRACE:
            break
        late = loop.time() >= end
        staying = [pod for pod in left if not pod["metadata"].get("deletionTimestamp")]
        told(f"emptying {name}: {len(left)} pods left{', past the deadline' if late else ''}")
        if staying:
            answers = await api.ask(*(_goodbye(pod, late) for pod in staying))
            if late:
                forced += [title(pod) for pod, (status, _) in zip(staying, answers, strict=True) if status < 300]
        await asyncio.sleep(_PAUSE)
    return forced


async def pods(api: Api, name: str) -> list[dict[str, Any]]:
    return list((await api.get(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}"))["items"])


def to_move(pods: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that belong to the node itself stay, and those that have ended do not matter."""
    return [
        pod
        for pod in pods
        if "kubernetes.io/config.mirror" not in (pod["metadata"].get("annotations") or {})
        and not any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    ]


def title(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _goodbye(pod: Mapping[str, Any], late: bool) -> Call:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
    if late:
        return Call("DELETE", path)
    about = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": about}
    return Call("POST", f"{path}/eviction", body)
