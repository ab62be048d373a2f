"""Looking at what runs on a cluster: pods, their logs, and commands beside them. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from anytier.errors import NotFound
from anytier.provider.kubernetes import kinds, terminal
from anytier.provider.kubernetes.client import Api
from anytier.provider.kubernetes.kinds import HASH, KINDS, Json, Kind
from anytier.provider.kubernetes.reasons import containers

WORKLOAD = "anytier.dev/workload"  # the label by which a workload's pods are found


@dataclass(frozen=True)
class PodInfo:
    """One pod. `state`: running, waiting (for a node, an image, its next start) or exited; `machine` is its node."""

    id: str
    workload: str
    index: int
    revision: int
    state: str
    health: str
    restarts: int
    started: str
    machine: str


class KubernetesBackend:
    """One app in its namespace."""

    def __init__(self, kubeconfig: str, ns: str) -> None:
        self.there, self.ns = Api(kubeconfig), ns

    async def instances(self) -> list[PodInfo]:
        base = f"/apis/apps/v1/namespaces/{self.ns}"
        pods, sets, revisions = await asyncio.gather(
            self.there.items(kinds.pods(self.ns), labelSelector=WORKLOAD),
            self.there.items(f"{base}/replicasets", labelSelector=WORKLOAD),
            self.there.items(f"{base}/controllerrevisions", labelSelector=WORKLOAD),
        )
        return rows(pods, [*sets, *revisions])

    async def wanted(self) -> dict[str, int]:
        found = await asyncio.gather(*map(self._running, KINDS))
        return {name: number for numbers in found for name, number in numbers.items()}

    async def _running(self, kind: Kind) -> dict[str, int]:
        return numbers(kind, await self.there.items(kinds.all_of(kind, self.ns), labelSelector=WORKLOAD))

    async def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]:
        """Lines as they are written, of all containers of the pod that have begun."""
        pod = await self._pod(instance.id)
        names = [str(item["name"]) for item in containers(pod) if begun(item)]
        lines: asyncio.Queue[str | None] = asyncio.Queue(1000)

        async def read(name: str) -> None:
            path = f"{kinds.pods(self.ns)}/{instance.id}/log"
            async for line in self.there.lines(path, container=name, follow=follow, tailLines=tail):
                await lines.put(f"{name}: {line}" if len(names) > 1 else line)

        async def read_all() -> None:
            try:
                await asyncio.gather(*map(read, names))
            finally:
                await lines.put(None)

        task = asyncio.ensure_future(read_all())
        try:
            while (line := await lines.get()) is not None:
                yield line
            await task
        finally:
            task.cancel()

    async def exec(self, instance: Any, command: list[str]) -> int:
        """In the container that stands for the workload: the one of its name, else the first."""
        pod = await self._pod(instance.id)
        names = [str(item["name"]) for item in (pod.get("spec") or {}).get("containers") or ()]
        name = instance.workload if instance.workload in names else names[0]
        return await terminal.run(self.there, self.ns, instance.id, name, command)

    async def close(self) -> None:
        await self.there.close()

    async def _pod(self, name: str) -> Json:
        found = await self.there.find(f"{kinds.pods(self.ns)}/{name}")
        if found is None:
            raise NotFound(name, "is gone", "`anytier status` shows what runs")
        return found


def rows(pods: Iterable[Json], holders: Iterable[Json]) -> list[PodInfo]:
    """The pods that are not being stopped. Pure: revisions are told by the hash that both sides carry."""
    found = [pod for pod in pods if not kinds.going(pod)]
    numbers = _numbers(holders)
    made: list[PodInfo] = []
    seen: dict[str, int] = {}
    for pod in sorted(found, key=lambda item: (str(kinds.meta(item).get("creationTimestamp")), _name(item))):
        workload = str((kinds.meta(pod).get("labels") or {}).get(WORKLOAD) or "")
        index = seen[workload] = seen.get(workload, -1) + 1
        made.append(_row(pod, workload, _ordinal(pod, index), numbers.get((workload, kinds.note(pod, HASH)), 0)))
    return sorted(made, key=lambda row: (row.workload, row.revision, row.index, row.id))


def numbers(kind: Kind, found: Iterable[Json]) -> dict[str, int]:
    """Workload -> how many pods it is to have by now, whoever has decided that."""
    return {str(kinds.meta(live)["labels"][WORKLOAD]): kinds.seen(kind, live).wanted for live in found}


def _numbers(holders: Iterable[Json]) -> dict[tuple[str, str], int]:
    by_workload: dict[str, list[kinds.Revision]] = {}
    for item in holders:
        label = str((kinds.meta(item).get("labels") or {}).get(WORKLOAD) or "")
        by_workload.setdefault(label, []).append(kinds.revision(item))
    return {(name, each.hash): each.number for name, some in by_workload.items() for each in kinds.numbered(some)}


def _row(pod: Json, workload: str, index: int, revision: int) -> PodInfo:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    starts = [str(((item.get("state") or {}).get("running") or {}).get("startedAt") or "") for item in statuses]
    return PodInfo(
        id=_name(pod),
        workload=workload,
        index=index,
        revision=revision,
        state=state(pod),
        health=health(pod),
        restarts=sum(int(item.get("restartCount") or 0) for item in containers(pod)),
        started=max(starts, default="").replace("Z", "+00:00"),
        machine=str((pod.get("spec") or {}).get("nodeName") or "-"),
    )


def state(pod: Json) -> str:
    status = pod.get("status") or {}
    if status.get("phase") in ("Succeeded", "Failed"):
        return "exited"
    statuses = status.get("containerStatuses") or []
    runs = bool(statuses) and all((item.get("state") or {}).get("running") for item in statuses)
    return "running" if runs else "waiting"


def health(pod: Json) -> str:
    """`none`: it runs, and nothing asks how it is."""
    if state(pod) != "running" or not kinds.ready(pod):
        return "unhealthy"
    spec: Mapping[str, Any] = pod.get("spec") or {}
    probes = ("readinessProbe", "livenessProbe", "startupProbe")
    asked = any(item.get(probe) for item in spec.get("containers") or () for probe in probes)
    return "healthy" if asked else "none"


def begun(status: Json) -> bool:
    """Whether a container has a log: it runs, or has run."""
    state = status.get("state") or {}
    return bool(state.get("running") or state.get("terminated") or status.get("lastState"))


def _ordinal(pod: Json, otherwise: int) -> int:
    """A StatefulSet's pods have numbers of their own."""
    text = str((kinds.meta(pod).get("labels") or {}).get("apps.kubernetes.io/pod-index") or "")
    return int(text) if text.isdigit() else otherwise


def _name(pod: Json) -> str:
    return str(kinds.meta(pod).get("name") or "")
