"""The hands on one machine: start, look, stop. Traffic is `front`'s, the thinking is in anytier.rollout."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Mapping, Sequence

from anytier.errors import AnytierError, Conflict, Denied, NotFound, Rejected
from anytier.provider.host.images import image_of
from anytier.provider.host.manager import State, how_it_ended
from anytier.provider.host.models import Check, InstanceRecord, Member
from anytier.provider.host.place import Place, remember_mount_points
from anytier.provider.host.probes import exec_argv, probe
from anytier.provider.host.program import check, instance, program_log
from anytier.provider.host.store import Kept, Store
from anytier.provider.host.transport import File
from anytier.provider.judge import SETTLED, Answer, Health, Judge
from anytier.provider.mounts import reaching
from anytier.provider.redaction import redactor
from anytier.provider.waiting import all_of
from anytier.render.template import Port, Template

_AT_ONCE = 10
_LOOKS = 5


class HostDriver:
    """One workload on one machine. `kept` holds every revision that may be started there; `before`: the volumes of
    what is deployed."""

    def __init__(
        self,
        member: Member,
        place: Place,
        store: Store,
        kept: Mapping[int, Kept],
        volumes: Mapping[str, str],
        before: Mapping[str, str] | None = None,
    ) -> None:
        self.member, self.place, self.store, self.kept, self.volumes = member, place, store, kept, volumes
        self.before = before or {}
        self._health: dict[str, Judge] = {}
        self._limit = asyncio.Semaphore(_AT_ONCE)

    @property
    def name(self) -> str:
        """The machine's; empty where it is the only one."""
        return self.member.name

    async def look(self) -> list[tuple[InstanceRecord, Health]]:
        """Every instance that is there, probed just now."""
        records = await self.store.instances()
        if not records:
            return []
        states = await self.place.manager.states(revive=True)
        delays = await self._starts(records)
        looked = await all_of(self._look(r, states.get(r.unit), delays[r.unit]) for r in records)
        return list(zip(records, looked, strict=True))

    async def start(self, revision: int, index: int) -> str:
        async with self._limit:
            return await self._start(revision, index)

    async def before_stop(self, record: InstanceRecord) -> None:
        """What the app wants to be run before its end; it is told to end all the same."""
        if not record.pre_stop:
            return
        state = (await self.place.manager.states()).get(record.unit)
        if state is None or not state.running:
            return
        try:
            argv = exec_argv(self.place, state.pid, record.pre_stop)
            await self.place.machine.run(argv, timeout=max(1.0, record.stop_grace))
        except AnytierError:
            pass

    async def end(self, unit: str) -> None:
        """Stop and remove. Gone already is success."""
        async with self._limit:
            await self.place.manager.stop(unit)
            await self.place.machine.remove([self.place.layout.instance(unit)])

    async def why(self, record: InstanceRecord) -> str:
        """The last answer of its probe, how it ended, and what it said last."""
        unit = record.unit
        state = (await self.place.manager.states()).get(unit)
        memory = self._health.get(unit, Judge())
        said = [memory.said] if memory.said else []
        if state is None or not state.running or state.restarts or memory.restarted:
            process = self.kept[record.revision].revision.template.process if record.revision in self.kept else None
            said.append(how_it_ended(state.exit_code if state else None, process.limits.memory if process else None))
        lines = (await self.place.manager.log(unit, program_log(self.place.layout, unit), 12)).strip().splitlines()
        if lines:
            said.append("its last log lines:\n" + "\n".join(f"  {line}" for line in lines))
        secrets = self.kept[record.revision].secrets.values() if record.revision in self.kept else []
        return redactor(secrets)("; ".join(said) or "it did not become healthy")

    async def mark(self, records: Sequence[InstanceRecord], attached: bool = False, draining: bool = False) -> None:
        """On disk too, for workloads that no proxy knows and for those who look without asking the proxy."""
        update = {"attached": attached, "draining": draining}
        await self.place.machine.put(
            [
                File(
                    f"{self.place.layout.instance(record.unit)}/instance.json",
                    record.model_copy(update=update).model_dump_json(by_alias=True, exclude_none=True).encode(),
                )
                for record in records
            ]
        )

    # looking

    async def _look(self, record: InstanceRecord, state: State | None, started: tuple[int, float]) -> Health:
        """Healthy once its probe has answered well; unhealthy once it then fails as often as the probe allows."""
        memory = self._health.setdefault(record.unit, Judge())
        restarts, due = started
        if state is None or not state.running or due > time.time():
            return memory.ended()
        if memory.has_restarted(max(restarts, state.restarts)):
            return memory.ended()
        if record.attached and not memory.looked and state.uptime > SETTLED:
            memory.healthy = True  # it serves: one bad answer is not enough to take that away
        checks = gates(record)
        answers = [await self._probe(item, state.pid) for item in checks]
        return memory.judge(checks, answers, record.attached)

    async def _probe(self, item: Check, pid: int) -> Answer:
        return await probe(self.place, item, pid)

    async def _starts(self, records: Sequence[InstanceRecord]) -> dict[str, tuple[int, float]]:
        """(restarts, time of the last start) as supervisord's launcher writes them down; systemd counts by itself."""
        paths = {record.unit: f"{self.place.layout.instance(record.unit)}/starts" for record in records}
        found = await self.place.machine.read(list(paths.values())) if self.place.supervisor == "supervisord" else {}
        starts = {unit: found.get(path, b"").split() for unit, path in paths.items()}
        return {unit: (max(0, len(item) - 1), float(item[-1]) if item else 0.0) for unit, item in starts.items()}

    # changing

    async def _start(self, revision: int, index: int) -> str:
        place, kept = self.place, self._revision(revision)
        unit = place.layout.unit(self.store.workload, revision, index)
        template = kept.revision.template
        record = next((item for item in await self.store.instances() if item.unit == unit), None)
        running = record is not None and record.created_at and await self._runs(unit)
        if not running:
            self._health.pop(unit, None)  # on the way back it was there before, and starts like any other
        ports = record.ports if record and running else await self._ports(unit, template, record)
        image = await image_of(place, template)
        try:
            made = instance(
                place.site,
                self._record(unit, revision, index, template, ports, record),
                template,
                kept.secrets,
                reaching(template, self.volumes, self.before),
                image,
            )
            await self._require(made.needs)
            if made.targets:
                await remember_mount_points(place, made.targets)
            await place.machine.put([File(place.layout.instances, None, place.site.folder_mode), *made.files])
        finally:
            place.reserved -= set(ports.values())
        await place.manager.start(made.unit)
        await self._after_start(unit, template)
        return unit

    async def _after_start(self, unit: str, template: Template) -> None:
        hook = template.process.post_start if template.process else None
        if not hook:
            return
        state = (await self.place.manager.states()).get(unit)
        if state is None or not state.running:
            return  # it has ended already, which observe() reports
        result = await self.place.machine.run(exec_argv(self.place, state.pid, hook), timeout=60)
        if result.code != 0:
            if await self._ends(unit, state.pid):
                return  # as above
            said = redactor(self._revision_secrets(unit))((result.err or result.out).strip())
            raise Rejected(unit, f"postStart ended with exit {result.code}: {said}", "mend lifecycle.postStart")

    async def _ends(self, unit: str, pid: int) -> bool:
        """Whether that process has ended: what was beside it may fail by that a moment before anybody is told."""
        for _ in range(_LOOKS):
            now = (await self.place.manager.states()).get(unit)
            if now is None or now.pid != pid or not now.running:
                return True
            await asyncio.sleep(0.1)
        return False

    async def _runs(self, unit: str) -> bool:
        state = (await self.place.manager.states()).get(unit)
        return state is not None and state.running

    async def _require(self, folders: Sequence[str]) -> None:
        missing = await self.place.tool("missing", {"paths": list(folders)}) if folders else []
        for folder in folders:
            if folder in missing:
                raise NotFound(folder, "is not on the machine, and the app runs from it", "mend host.workingDir")

    def _revision(self, revision: int) -> Kept:
        if revision not in self.kept:
            raise NotFound(f"{self.store.workload} r{revision}", "is no longer kept", "roll back to a newer one")
        return self.kept[revision]

    def _revision_secrets(self, unit: str) -> list[str]:
        return [value for kept in self.kept.values() for value in kept.secrets.values()]

    def _record(
        self,
        unit: str,
        revision: int,
        index: int,
        template: Template,
        ports: Mapping[str, int],
        old: InstanceRecord | None,
    ) -> InstanceRecord:
        process = template.process
        assert process is not None
        return InstanceRecord(
            unit=unit,
            workload=self.store.workload,
            revision=revision,
            index=index,
            ports=dict(ports),
            liveness=check(process.liveness, template.ports, ports),
            readiness=check(process.readiness, template.ports, ports),
            startup=check(process.startup, template.ports, ports),
            pre_stop=process.pre_stop,
            stop_grace=process.stop_grace,
            created_at=old.created_at if old and old.created_at else round(time.time(), 3),
            attached=bool(old and old.attached),
            draining=bool(old and old.draining),
        )

    # ports

    async def _ports(self, unit: str, template: Template, old: InstanceRecord | None) -> dict[str, int]:
        """A port of its own for each port that the proxy balances; the service's own number for the others, and the
        app's own for one that it cannot be given."""
        fixed = {port.name: port.port for port in template.ports if not port.http}
        fixed |= {port.name: port.target for port in template.ports if port.http and port.fixed}
        await self._require_free(fixed)
        balanced = [port for port in template.ports if port.name not in fixed]
        # Service ports that lead to one port of the app lead to one port of the instance.
        leading = list({port.target: port for port in reversed(balanced)}.values())
        known = {port.name: old.ports[port.name] for port in leading if port.name in old.ports} if old else {}
        if len(known) < len(leading) or not all(await self._free(list(known.values()))):
            known = await self._new_ports(unit, leading)
        by_target = {port.target: known[port.name] for port in leading}
        return fixed | {port.name: by_target[port.target] for port in balanced}

    async def _new_ports(self, unit: str, wanted: Sequence[Port]) -> dict[str, int]:
        if not wanted:
            return {}
        place = self.place
        async with place.claim_lock:
            taken = await recorded_ports(place) | place.reserved
            seed = zlib.crc32(f"{place.layout.root}/{unit}".encode())
            asked = {"count": len(wanted), "avoid": sorted(taken), "seed": seed}
            found: list[int] = await place.tool("ports", asked)
            if len(found) < len(wanted):
                raise Conflict("ports 10000-19999", "all are taken on this machine", "stop what holds them")
            place.reserved |= set(found)
        return {port.name: number for port, number in zip(wanted, found, strict=True)}

    async def _free(self, numbers: Sequence[int]) -> list[bool]:
        asked = {"addresses": [["", number] for number in numbers]}
        return [found is None for found in await self.place.tool("holder", asked)] if numbers else []

    async def _require_free(self, fixed: Mapping[str, int]) -> None:
        if not fixed:
            return
        asked = {"addresses": [["", number] for number in fixed.values()]}
        for (name, number), found in zip(fixed.items(), await self.place.tool("holder", asked), strict=True):
            if found is not None:
                raise port_error(f"template.ports.{name}", number, found, "give the service another port")


def gates(record: InstanceRecord) -> list[Check]:
    """What must answer before an instance counts: startup and readiness; liveness where there is nothing else."""
    found = [item for item in (record.startup, record.readiness) if item is not None]
    return found or [item for item in (record.liveness,) if item is not None]


async def recorded_ports(place: Place) -> set[int]:
    """Ports that any instance of this app was given, running or not."""
    names = await place.machine.list(place.layout.instances)
    found = await place.machine.read([f"{place.layout.instances}/{name}/instance.json" for name in names])
    records = [InstanceRecord.model_validate_json(data) for data in found.values()]
    return {number for record in records for number in record.ports.values()}


def port_error(path: str, number: int, found: Mapping[str, str | None], do: str) -> AnytierError:
    if "denied" in found:
        return Denied(path, f"port {number}: {found['denied']}; ports below 1024 need root", do)
    who = f" by {found['by']}" if found.get("by") else ""
    return Conflict(path, f"port {number} is taken on this machine{who}", do)
