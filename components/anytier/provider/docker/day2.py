"""Looking at what runs on a daemon: instances, their logs, and commands beside them. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anytier.errors import NotFound
from anytier.provider.docker import group, labels, probes, terminal
from anytier.provider.docker.client import Daemon, Endpoint, open_daemon
from anytier.provider.docker.group import Group
from anytier.provider.docker.store import Store
from anytier.provider.host.machines import machine_of
from anytier.render.docker import TOOLS, gates, needs_entry
from anytier.render.template import Template

_AT_ONCE = 10


@dataclass(frozen=True)
class InstanceInfo:
    """One instance. `state`: running, waiting (to be restarted) or exited; `health`: healthy, unhealthy, none."""

    id: str
    workload: str
    index: int
    revision: int
    state: str
    health: str
    restarts: int
    started: str


class DockerBackend:
    """One app on one daemon."""

    def __init__(self, endpoint: Mapping[str, Any], ns: str) -> None:
        self.endpoint, self.ns = Endpoint.model_validate(endpoint), ns
        self._daemon: Daemon | None = None
        self._templates: dict[tuple[str, int], Template] = {}
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def instances(self) -> list[InstanceInfo]:
        there = await self._there()
        groups = await group.listed(there, namespace=self.ns, role="workload")
        names = sorted({_workload(item) for item in groups})
        await asyncio.gather(*(self._learn(name) for name in names))
        rows = await asyncio.gather(*(self._row(item) for item in groups))
        return sorted(rows, key=lambda row: (row.workload, row.revision, row.index))

    async def wanted(self) -> dict[str, int]:
        return {}  # nobody but the spec decides

    async def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]:
        """Lines as they are written, of all containers of the instance; with `follow` until the caller stops."""
        there = await self._there()
        found = await self._group(instance.id)
        sources = {name: entry["Id"] for name, entry in found.entries.items() if _speaks(entry)}
        lines: asyncio.Queue[str | None] = asyncio.Queue(1000)

        async def read(name: str, id: str) -> None:
            async for line in terminal.log(there, id, follow, tail):
                await lines.put(f"{name}: {line}" if len(sources) > 1 else line)

        async def read_all() -> None:
            try:
                await asyncio.gather(*(read(name, id) for name, id in sources.items()))
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
        """Runs on the caller's terminal, with the app's own variables; the exit code is the command's own."""
        there = await self._there()
        found = await self._group(instance.id)
        mains = {name: e for name, e in found.entries.items() if labels.label(e, labels.KIND) == "main"}
        running = {name: entry for name, entry in mains.items() if entry.get("State") == "running"}
        if not running:
            raise NotFound(instance.id, "does not run", "`anytier status` shows what does")
        name, entry = next(iter(running.items()))
        await self._learn(instance.workload)
        template = self._templates.get((instance.workload, instance.revision))
        item = next((item for item in template.containers if item.name == name), None) if template else None
        argv = [f"{TOOLS}/busybox", "sh", f"{TOOLS}/entry", *command] if item and needs_entry(item) else command
        return await terminal.run(there, str(entry["Id"]), argv)

    async def close(self) -> None:
        if self._daemon is not None:
            await self._daemon.docker.close()
        if self.endpoint.machine is not None:
            await machine_of(self.endpoint.machine).close()

    async def _there(self) -> Daemon:
        if self._daemon is None:
            self._daemon = await open_daemon(self.endpoint)
        return self._daemon

    async def _learn(self, workload: str) -> None:
        """The templates of all kept revisions: they say what is probed."""
        document = await Store(await self._there(), self.ns, workload).load()
        for number, kept in (document.revisions if document else {}).items():
            self._templates[workload, number] = kept.revision.template

    async def _group(self, id: str) -> Group:
        found = await group.listed(await self._there(), namespace=self.ns, instance=id)
        if not found:
            raise NotFound(id, "is gone", "`anytier status` shows what runs")
        return found[0]

    async def _row(self, item: Group) -> InstanceInfo:
        there = await self._there()
        async with self._limit:
            entries = [await there.find(f"containers/{entry['Id']}/json") for entry in item.lasting.values()]
            found = [entry for entry in entries if entry]
            health = await self._health(item)
        starts = [entry["State"]["StartedAt"] for entry in found]
        return InstanceInfo(
            id=item.name,
            workload=_workload(item),
            index=item.index,
            revision=item.revision,
            state=_state(item),
            health=health,
            restarts=sum(int(entry.get("RestartCount") or 0) for entry in found),
            started=_iso(max(starts, default="")),
        )

    async def _health(self, item: Group) -> str:
        if not item.running:
            return "unhealthy"
        template = self._templates.get((_workload(item), item.revision))
        asked = [
            await probes.ask(await self._there(), item.entries[one.name]["Id"], item.address, probe)
            for one in (template.containers if template else ())
            if one.role != "init" and one.name in item.entries
            for probe in gates(one)
        ]
        return ("healthy" if all(answer.ok for answer in asked) else "unhealthy") if asked else "none"


def _workload(item: Group) -> str:
    return labels.label(item.any, labels.WORKLOAD)


def _speaks(entry: Mapping[str, Any]) -> bool:
    return labels.label(entry, labels.KIND) != "network"


def _state(item: Group) -> str:
    if item.running:
        return "running"
    return "waiting" if any(entry.get("State") == "restarting" for entry in item.lasting.values()) else "exited"


def _iso(text: str) -> str:
    moment = datetime.fromisoformat(text) if text else None
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment and moment.year > 1 else ""
