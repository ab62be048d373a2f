"""The control plane's own pods, which the kubelet makes from files: waited for when the files change, restarted when
certificates did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from anytier.errors import AnytierError, Denied, Rejected, Unreachable
from anytier.provider.host.transport import File
from anytier.provider.kubeadm.api import Api
from anytier.provider.kubeadm.node import Node
from anytier.provider.resource import Context

FOLDER = "/etc/kubernetes/manifests"
PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_PATIENCE = 180.0
_HASH = "kubernetes.io/config.hash"


@contextlib.asynccontextmanager
async def changed_pods(ctx: Context, node: Node, api: Api) -> AsyncIterator[None]:
    """Around what writes manifests: afterwards each pod whose file changed runs as the file says. If one does not, all
    files are put back as they were."""
    before, hashes = await manifests(node), await _hashes(api, node.name)
    try:
        yield
        after = await manifests(node)
        moved = [name for name in PODS if after.get(_path(name)) != before.get(_path(name))]
        if moved:
            ctx.status(f"restarting {', '.join(moved)}")
            await _moved(api, node, moved, hashes)
    except AnytierError as error:
        await node.machine.put([File(path, data, 0o600) for path, data in before.items()])
        ctx.status("putting back the old configuration")
        await api.ready(_PATIENCE)
        what = f"{error.what}; it has its old configuration again and serves"
        raise Rejected(error.path, what, error.do or "mend the flags, then run again") from error


async def restart_pods(ctx: Context, node: Node, api: Api) -> None:
    """Ends their containers, one after the other; the kubelet starts them again at once."""
    for name in PODS:
        ctx.status(f"restarting {name}")
        select = f'labels."io.kubernetes.container.name"=={name}'
        found = (await node.must("ctr", "--namespace", "k8s.io", "containers", "list", "--quiet", select)).split()
        for container in found:
            await node.run("ctr", "--namespace", "k8s.io", "tasks", "kill", "--signal", "SIGTERM", container)
        await asyncio.sleep(2)
        await api.ready(_PATIENCE)


async def manifests(node: Node) -> dict[str, bytes]:
    return await node.machine.read([_path(name) for name in PODS])


def _path(name: str) -> str:
    return f"{FOLDER}/{name}.yaml"


async def _moved(api: Api, node: Node, names: list[str], hashes: Mapping[str, str]) -> None:
    end = asyncio.get_running_loop().time() + _PATIENCE
    said = "nothing"
    while True:
        try:
            pods = await _pods(api, node.name)
            late = [name for name in names if not _new(pods.get(name), hashes.get(name, ""))]
            if not late:
                return
            said = f"{', '.join(late)} did not come up again"
        except (Denied, Unreachable) as error:  # an API server that has just come knows nobody's rights yet
            said = error.what
        if asyncio.get_running_loop().time() >= end:
            log = await _log(node, names)
            do = "mend the flags of the stack that it names, then run again"
            raise Rejected(f"control plane on {node}", f"{said} within {_PATIENCE:.0f} s{log}", do)
        await asyncio.sleep(1)


def _new(pod: Mapping[str, Any] | None, before: str) -> bool:
    if pod is None or (pod["metadata"].get("annotations") or {}).get(_HASH, "") == before:
        return False
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


async def _hashes(api: Api, name: str) -> dict[str, str]:
    pods = await _pods(api, name)
    return {key: (pod["metadata"].get("annotations") or {}).get(_HASH, "") for key, pod in pods.items()}


async def _pods(api: Api, name: str) -> dict[str, dict[str, Any]]:
    path = (
        f"/api/v1/namespaces/kube-system/pods?labelSelector=tier%3Dcontrol-plane&fieldSelector=spec.nodeName%3D{name}"
    )
    items = (await api.get(path))["items"]
    return {item["metadata"]["labels"]["component"]: item for item in items}


async def _log(node: Node, names: list[str]) -> str:
    """The last line that one of these printed, of the newest container."""
    for name in names:
        folders = [item for item in await node.machine.list("/var/log/pods") if f"_{name}-" in item]
        for folder in folders:
            place = f"/var/log/pods/{folder}/{name}"
            numbers = sorted(await node.machine.list(place), key=lambda item: int(item.partition(".")[0] or 0))
            if numbers:
                path = f"{place}/{numbers[-1]}"
                lines = (await node.machine.read([path])).get(path, b"").decode(errors="replace").splitlines()
                if lines:
                    return f"; {name} says: {lines[-1].split(' ', 3)[-1][:300]}"
    return ""
