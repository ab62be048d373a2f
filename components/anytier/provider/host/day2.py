"""Looking at what runs on a machine: instances, their logs, and commands beside them. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anytier.errors import NotFound
from anytier.provider.host.driver import gates
from anytier.provider.host.layout import parse_instance
from anytier.provider.host.manager import State, Supervisor
from anytier.provider.host.models import HostInputs, InstanceRecord, MachineRef
from anytier.provider.host.place import Place, of
from anytier.provider.host.probes import exec_argv, probe
from anytier.provider.host.program import program_log
from anytier.provider.host.store import Store


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


class HostBackend:
    """One app on one machine."""

    def __init__(self, machine: Mapping[str, Any], root: str, ns: str, supervisor: Supervisor) -> None:
        self.inputs = HostInputs(machine=MachineRef.model_validate(machine), root=root, ns=ns, supervisor=supervisor)

    async def instances(self) -> list[InstanceInfo]:
        place = await of(self.inputs)
        names = [found for name in await place.machine.list(place.layout.instances) if (found := parse_instance(name))]
        states = await place.manager.states()
        rows: list[InstanceInfo] = []
        for workload in sorted({name for name, _, _ in names}):
            records = await Store(place, workload).instances()
            rows += await asyncio.gather(*(self._row(place, record, states.get(record.unit)) for record in records))
        return rows

    async def logs(self, instance: Any, follow: bool, tail: int) -> AsyncGenerator[str, None]:
        """Lines as they are written; with `follow` until the caller stops."""
        place = await of(self.inputs)
        argv = place.manager.log_argv(instance.id, program_log(place.layout, instance.id), tail, follow)
        process = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=2**22
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                yield line.decode(errors="replace").rstrip("\n")
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

    async def exec(self, instance: Any, command: list[str]) -> int:
        """Runs on the caller's terminal; the exit code is the command's own."""
        argv = await self.exec_argv(instance.id, command)
        return await asyncio.to_thread(subprocess.call, argv)

    async def exec_argv(self, id: str, command: list[str]) -> list[str]:
        place = await of(self.inputs)
        state = (await place.manager.states()).get(id)
        if state is None or not state.running:
            raise NotFound(id, "does not run", "`anytier status` shows what does")
        return exec_argv(place, state.pid, command)

    async def close(self) -> None:
        return None

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
            started=_iso(starts[-1] if starts else process_start(state.pid) if state and running else 0),
        )

    async def _starts(self, place: Place, unit: str) -> list[float]:
        path = f"{place.layout.instance(unit)}/starts"
        return [float(item) for item in (await place.machine.read([path])).get(path, b"").split()]


def process_start(pid: int) -> float:
    """When a process began, from its age in clock ticks."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            ticks = int(stream.read().rpartition(")")[2].split()[19])
        with open("/proc/stat", encoding="ascii") as stream:
            booted = next(int(line.split()[1]) for line in stream if line.startswith("btime"))
    except (OSError, IndexError, ValueError, StopIteration):
        return 0
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds") if moment else ""
