"""A rollout's driver over any number of machines: each instance on the machine that it is assigned to.

An id is `<machine>/<unit>`, or just the unit where there is one machine. An instance of the wanted revision that is on
the wrong machine is told to the rollout as one too many: its place is taken first, then it goes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from anytier.errors import AnytierError, NotFound
from anytier.provider.host.driver import HostDriver
from anytier.provider.host.front import At, Front, host_port, of_machine, ports_of
from anytier.provider.host.models import InstanceRecord
from anytier.provider.judge import Health
from anytier.provider.waiting import all_of
from anytier.rollout.types import Instance

_BEYOND = 1_000_000  # added to the index of an instance that is on the wrong machine
_REACH = 3.0  # seconds for one machine to reach another
_PATIENCE = 6.0  # seconds that an instance which is well may stay out of reach of the others


class SpreadDriver:
    """One workload. `drivers` are those of all machines, the ones that it leaves included; `assigned` says where the
    instances of `revision` belong, `before` where those of the one before did."""

    def __init__(
        self,
        drivers: Sequence[HostDriver],
        front: Front,
        revision: int = 0,
        assigned: Mapping[int, str] | None = None,
        before: Mapping[int, str] | None = None,
        leaving: Sequence[str] = (),
    ) -> None:
        self.drivers = {driver.name: driver for driver in drivers}
        self.front, self.revision = front, revision
        self.assigned, self.before, self.leaving = assigned or {}, before or {}, set(leaving)
        self._alone: dict[str, tuple[float, str]] = {}  # id -> out of reach since when, and who says so

    # Driver

    async def observe(self) -> list[Instance]:
        looked = await all_of(driver.look() for driver in self.drivers.values())
        found = [
            (At(driver.member, record), health)
            for driver, records in zip(self.drivers.values(), looked, strict=True)
            for record, health in records
        ]
        if not found:
            return []
        configs = await self.front.configs()
        standing = [self.front.standing(configs, it) for it, _ in found] if configs else [[] for _ in found]
        seen = [self._seen(it, health, stands) for (it, health), stands in zip(found, standing, strict=True)]
        return await all_of(self._within_reach(it, item) for (it, _), item in zip(found, seen, strict=True))

    async def start(self, revision: int, index: int) -> str:
        driver = self.drivers[self.where(revision, index)]
        try:
            return id_on(driver.name, await driver.start(revision, index))
        except AnytierError as error:
            raise of_machine(driver.member, error) from error

    async def attach(self, ids: Sequence[str]) -> None:
        known = await self._known()
        mine = self._chosen(known, ids)
        await self.front.attach(mine, known)
        await self._mark([it for it in mine if not it.record.attached or it.record.draining], attached=True)

    async def drain(self, ids: Sequence[str], timeout: float) -> None:
        known = await self._known()
        mine = self._chosen(known, ids)
        await self._mark([it for it in mine if not it.record.draining], draining=True)
        await self.front.drain(mine, known, timeout)

    async def stop(self, id: str) -> None:
        name, unit = self._parts(id)
        driver, known = self.drivers[name], await self._known()
        mine = [it for it in known if it.member.name == name and it.record.unit == unit]
        if mine:
            await driver.before_stop(mine[0].record)
            await self.front.withdraw(mine, known)
        await driver.end(unit)

    async def why(self, id: str) -> str:
        name, _ = self._parts(id)
        said = self._alone.get(id)
        if said is not None:
            return said[1]
        return await self.drivers[name].why(self._chosen(await self._known(), [id])[0].record)

    # the rest

    async def tidy(self) -> None:
        await self.front.tidy(await self._known())

    async def ids(self) -> list[str]:
        return [id_on(it.member.name, it.record.unit) for it in await self._known()]

    def where(self, revision: int, index: int) -> str:
        """The machine for an instance that is to be started."""
        wanted = self.assigned if revision == self.revision else self.before
        name = wanted.get(index) or self.assigned.get(index)
        if name in self.drivers:
            return str(name)
        staying = [name for name in self.drivers if name not in self.leaving]
        return staying[index % len(staying)]

    def _seen(self, it: At, health: Health, stands: Sequence[tuple[bool, bool]]) -> Instance:
        """One of the wanted revision serves once all proxies have it; another as long as one of them has."""
        record, id = it.record, id_on(it.member.name, it.record.unit)
        placed = record.revision == self.revision and self.assigned.get(record.index) == it.member.name
        if stands:
            attached = (all if placed else any)(serves for serves, _ in stands)
            drained = any(drains for _, drains in stands)
        else:
            attached, drained = record.attached and not record.draining, record.draining
        misplaced = record.revision == self.revision and record.index in self.assigned and not placed
        index = record.index + (_BEYOND if misplaced else 0)
        return Instance(id, record.revision, index, health, attached, drained)

    # reach

    async def _within_reach(self, it: At, item: Instance) -> Instance:
        """An instance that the other machines do not reach would be a 502 later: it does not count as healthy.

        One of an earlier revision has proved itself, and the way back must not fail for what stopped the way forward.
        """
        others = [driver for driver in self.drivers.values() if driver.name not in {it.member.name, *self.leaving}]
        mine = it.record.revision == self.revision
        new = mine and item.state == "healthy" and not (item.attached or it.record.attached)
        if not others or not new or it.member.name in self.leaving:
            self._alone.pop(item.id, None)
            return item
        said = await all_of(self._reaches(driver, it) for driver in others)
        wrong = next((text for text in said if text), None)
        if wrong is None:
            self._alone.pop(item.id, None)
            return item
        since = self._alone.get(item.id, (time.monotonic(), ""))[0]
        self._alone[item.id] = (since, wrong)
        lost = time.monotonic() - since >= _PATIENCE
        return Instance(item.id, item.revision, item.index, "unhealthy" if lost else "starting")

    async def _reaches(self, driver: HostDriver, it: At) -> str:
        """Empty, or what is wrong."""
        for port in ports_of(it.record):
            try:
                streams = driver.place.machine.open_tcp(it.member.address, port)
                _, writer = await asyncio.wait_for(streams, _REACH)
                writer.close()
            except (OSError, TimeoutError) as error:
                why = f"no answer within {_REACH:g} s" if isinstance(error, TimeoutError) else _reason(error)
                target = host_port(it.member.address, port)
                return (
                    f"it answers on its own machine {it.member.name}, but machine {driver.name} does not reach it at"
                    f" {target}: {why} -> let the firewall of {it.member.name} pass ports 10000-19999 from the other"
                    " machines, let the app listen on HOST, and see whether privateAddress is right"
                )
        return ""

    # ids

    async def _known(self) -> list[At]:
        found = await all_of(driver.store.instances() for driver in self.drivers.values())
        pairs = zip(self.drivers.values(), found, strict=True)
        return [At(driver.member, record) for driver, records in pairs for record in records]

    def _chosen(self, known: Sequence[At], ids: Sequence[str]) -> list[At]:
        there = {id_on(it.member.name, it.record.unit): it for it in known}
        missing = [id for id in ids if id not in there]
        if missing:
            raise NotFound(missing[0], "is gone", "run again: the rollout will start it anew")
        return [there[id] for id in ids]

    async def _mark(self, chosen: Sequence[At], attached: bool = False, draining: bool = False) -> None:
        by_machine: dict[str, list[InstanceRecord]] = {}
        for it in chosen:
            by_machine.setdefault(it.member.name, []).append(it.record)
        await all_of(self.drivers[name].mark(records, attached, draining) for name, records in by_machine.items())

    def _parts(self, id: str) -> tuple[str, str]:
        name, _, unit = id.rpartition("/")
        return name, unit


def id_on(machine: str, unit: str) -> str:
    return f"{machine}/{unit}" if machine else unit


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()
