"""Looking at what runs on a machine: instances, their logs, and commands beside them. Changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from anytier.errors import NotFound
from anytier.provider.host.driver import gates
from anytier.provider.host.layout import parse_instance
from anytier.provider.host.machines import close_all
from anytier.provider.host.manager import State, Supervisor
from anytier.provider.host.models import HostInputs, InstanceRecord, Member
from anytier.provider.host.place import Place, of
from anytier.provider.host.probes import exec_argv, probe
from anytier.provider.host.program import program_log
from anytier.provider.host.spread import id_on
from anytier.provider.host.store import Store
from anytier.provider.waiting import all_of


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


@dataclass(frozen=True)
class PlacedInfo(InstanceInfo):
    """One instance of an app on several machines. Its id begins with the machine's name."""

    machine: str


class FleetBackend:
    """One app on several machines."""

    def __init__(self, machines: Sequence[Mapping[str, Any]], root: str, ns: str, supervisor: Supervisor) -> None:
        members = [Member.model_validate(item) for item in machines]
        self.parts = {
            item.name: HostBackend(item.machine.model_dump(by_alias=True, exclude_none=True), root, ns, supervisor)
            for item in members
        }

    async def instances(self) -> list[PlacedInfo]:
        found = await all_of(part.instances() for part in self.parts.values())
        rows = [
            PlacedInfo(**{**vars(row), "id": id_on(name, row.id)}, machine=name)
            for name, items in zip(self.parts, found, strict=True)
            for row in items
        ]
        return sorted(rows, key=lambda row: (row.workload, row.revision, row.index, row.machine))

    async def wanted(self) -> dict[str, int]:
        return {}  # nobody but the spec decides

    def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]:
        return self.parts[instance.machine].logs(_alone(instance), follow, tail)

    async def exec(self, instance: Any, command: list[str]) -> int:
        return await self.parts[instance.machine].exec(_alone(instance), command)

    async def close(self) -> None:
        await close_all()


def _alone(instance: PlacedInfo) -> PlacedInfo:
    """As its own machine calls it."""
    return replace(instance, id=instance.id.rpartition("/")[2])


class HostBackend:
    """One app on one machine."""

    def __init__(self, machine: Mapping[str, Any], root: str, ns: str, supervisor: Supervisor) -> None:
        given = {"machine": machine, "root": root, "ns": ns, "supervisor": supervisor}
        self.inputs = HostInputs.model_validate(given)

    async def instances(self) -> list[InstanceInfo]:
        place = await of(self.inputs)
        names = [found for name in await place.machine.list(place.layout.instances) if (found := parse_instance(name))]
        states = await place.manager.states()
        rows: list[InstanceInfo] = []
        for workload in sorted({name for name, _, _ in names}):
            records = await Store(place, workload).instances()
            rows += await asyncio.gather(*(self._row(place, record, states.get(record.unit)) for record in records))
        return rows

    async def wanted(self) -> dict[str, int]:
        return {}  # nobody but the spec decides

    async def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]:
        """Lines as they are written; with `follow` until the caller stops."""
        place = await of(self.inputs)
        argv = place.manager.log_argv(instance.id, program_log(place.layout, instance.id), tail, follow)
        rest = b""
        async with contextlib.aclosing(place.machine.follow(argv)) as found:
            async for data in found:
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    async def exec(self, instance: Any, command: list[str]) -> int:
        """Runs on the caller's terminal; the exit code is the command's own."""
        place = await of(self.inputs)
        return await place.machine.terminal(await self.exec_argv(instance.id, command))

    async def exec_argv(self, id: str, command: list[str]) -> list[str]:
        place = await of(self.inputs)
        state = (await place.manager.states()).get(id)
        if state is None or not state.running:
            raise NotFound(id, "does not run", "`anytier status` shows what does")
        return exec_argv(place, state.pid, command)

    async def close(self) -> None:
        await close_all()

    async def _row(self, place: Place, record: InstanceRecord, state: State | None) -> InstanceInfo:
        running = state is not None and state.running
        answers = [await probe(place, item, state.pid) for item in gates(record)] if state and running else []
        health = ("healthy" if all(answer.ok for answer in answers) else "unhealthy") if answers else "none"
        starts = await self._starts(place, record.unit)
        return InstanceInfo(
            id=record.unit,
            workload=record.workload,
            index=record.index,
            revision=record.revision,
            state="running" if running else "exited",
            health=health if running else "unhealthy",
            restarts=max(len(starts) - 1, state.restarts if state else 0, 0),
            started=_iso(starts[-1] if starts else await process_start(place, state.pid) if state and running else 0),
        )

    async def _starts(self, place: Place, unit: str) -> list[float]:
        path = f"{place.layout.instance(unit)}/starts"
        return [float(item) for item in (await place.machine.read([path])).get(path, b"").split()]


async def process_start(place: Place, pid: int) -> float:
    """When a process began, from its age in clock ticks."""
    own, whole = f"/proc/{pid}/stat", "/proc/stat"
    found = await place.machine.read([own, whole])
    try:
        ticks = int(found[own].rpartition(b")")[2].split()[19])
        booted = next(int(line.split()[1]) for line in found[whole].splitlines() if line.startswith(b"btime"))
    except (KeyError, IndexError, ValueError, StopIteration):
        return 0
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds") if moment else ""
