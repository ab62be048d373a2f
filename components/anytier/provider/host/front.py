"""The traffic of one workload: its upstreams in the proxy of every machine, changed together.

A proxy reaches the instances of its own machine on loopback, those of others at the address that their machine has for
the others. An instance serves once every proxy has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from anytier.errors import AnytierError, NotFound
from anytier.provider.host.caddy import Caddy
from anytier.provider.host.models import InstanceRecord, Member
from anytier.provider.host.store import Kept
from anytier.provider.waiting import all_of
from anytier.render import upstreams as edits
from anytier.render.health import pool_health
from anytier.render.proxy import HealthCheck, ProxyConfig

_AGAIN = 0.1  # seconds between two looks at requests in flight

Dials = dict[str, list[str]]
Edit = Callable[[ProxyConfig, Dials], ProxyConfig]


@dataclass(frozen=True)
class At:
    """An instance and the machine that it is on."""

    member: Member
    record: InstanceRecord


@dataclass(frozen=True)
class Door:
    """The proxy of a machine. `closing`: it takes nobody new, for its machine is about to be the only one no more."""

    member: Member
    caddy: Caddy
    closing: bool = False


class Front:
    """`kept` knows the checks of each revision, `room` how many instances may serve at once. `going`: the workload is
    on its way out, so that a proxy that goes at the same time needs no telling."""

    def __init__(
        self,
        doors: Iterable[Door],
        pools: Mapping[str, str],
        kept: Mapping[int, Kept],
        room: int = 0,
        going: bool = False,
    ) -> None:
        self.doors = list(doors) if pools else []
        self.pools, self.kept, self.room, self.going = pools, kept, room, going

    async def configs(self) -> list[tuple[Door, ProxyConfig]]:
        """What every proxy does now."""
        return list(zip(self.doors, await all_of(self._config(door) for door in self.doors), strict=True))

    async def attach(self, mine: Sequence[At], known: Sequence[At]) -> None:
        await self._all(lambda config, dials: edits.with_upstreams(config, dials), mine, known, opening=True)

    async def drain(self, mine: Sequence[At], known: Sequence[At], timeout: float) -> None:
        """No new requests; returns once none is in flight to them in any proxy, or after `timeout`."""
        await self._all(edits.draining, mine, known)
        deadline = time.monotonic() + timeout
        while self.doors and time.monotonic() < deadline:
            if not any(await all_of(self._busy(door, mine) for door in list(self.doors))):
                return
            await asyncio.sleep(_AGAIN)

    async def withdraw(self, mine: Sequence[At], known: Sequence[At]) -> None:
        """Those that still take traffic take none."""
        await self._all(edits.without_serving, mine, known)

    async def tidy(self, known: Sequence[At]) -> None:
        """Upstreams of instances that are gone: each load costs time, so they wait for the next or for this."""
        await self._all(lambda config, dials: config, (), known)

    def standing(self, configs: Sequence[tuple[Door, ProxyConfig]], it: At) -> list[tuple[bool, bool]]:
        """(serves, drains) in each proxy that takes instances."""
        found = []
        for door, config in configs:
            if door.closing and door.member.name != it.member.name:
                continue
            dials = self._dials(door, [it])
            known = {
                pool: {item.dial: item.draining for item in config.pools[pool].upstreams}
                if pool in config.pools
                else {}
                for pool in dials
            }
            mine = [known[pool].get(dial) for pool, wanted in dials.items() for dial in wanted]
            found.append((bool(mine) and all(item is False for item in mine), any(item is True for item in mine)))
        return found

    # one proxy

    async def _all(self, edit: Edit, mine: Sequence[At], known: Sequence[At], opening: bool = False) -> None:
        doors = [door for door in self.doors if not (opening and door.closing)]
        await all_of(self._change(door, edit, mine, known) for door in doors)

    async def _change(self, door: Door, edit: Edit, mine: Sequence[At], known: Sequence[At]) -> None:
        """One load: the edit, without upstreams of instances that are gone, checked as those that serve want it."""
        dials, there = self._dials(door, mine), self._dials(door, known)

        def change(config: ProxyConfig) -> ProxyConfig:
            edited = edit(edits.only(config, there), dials)
            return edits.with_health(edited, self._checks(door, known, edited))

        try:
            await door.caddy.change(change, dict.fromkeys(self.pools.values(), self.room))
        except NotFound as error:
            self._gone(door, error)
        except AnytierError as error:
            raise of_machine(door.member, error) from error

    async def _config(self, door: Door) -> ProxyConfig:
        try:
            return await door.caddy.config()
        except AnytierError as error:
            raise of_machine(door.member, error) from error

    async def _busy(self, door: Door, mine: Sequence[At]) -> bool:
        try:
            flying = await door.caddy.in_flight()
        except NotFound as error:
            self._gone(door, error)
            return False
        return any(flying.get(dial) for dials in self._dials(door, mine).values() for dial in dials)

    def _gone(self, door: Door, error: NotFound) -> None:
        if not self.going:
            raise of_machine(door.member, error) from error
        self.doors = [other for other in self.doors if other is not door]

    def _checks(self, door: Door, known: Sequence[At], config: ProxyConfig) -> dict[str, HealthCheck | None]:
        """A pool in which two revisions serve that want different checks is not checked: the rollout looks itself."""
        checks: dict[str, HealthCheck | None] = {}
        for name, pool in self.pools.items():
            serving = {item.dial for item in config.pools[pool].upstreams if not item.draining}
            revisions = {
                it.record.revision for it in known if serving.intersection(self._dials(door, [it]).get(pool, ()))
            }
            wanted = [pool_health(self.kept[n].revision.template).get(name) for n in revisions if n in self.kept]
            checks[pool] = wanted[0] if wanted and all(item == wanted[0] for item in wanted) else None
        return checks

    def _dials(self, door: Door, found: Sequence[At]) -> Dials:
        """Pool -> where the instances are for this proxy."""
        return {
            pool: [dial(door.member, it, it.record.ports[name]) for it in found if name in it.record.ports]
            for name, pool in self.pools.items()
        }


def dial(seen_from: Member, it: At, port: int) -> str:
    """Where an instance is reached from a machine."""
    return host_port("127.0.0.1" if seen_from.name == it.member.name else it.member.address, port)


def host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def of_machine(member: Member, error: AnytierError) -> AnytierError:
    """The same error with the machine's name, where there are several."""
    if not member.name or error.path.startswith("machine "):
        return error
    return type(error)(f"machine {member.name}: {error.path}", error.what, error.do)


def ports_of(record: InstanceRecord) -> Iterator[int]:
    yield from dict.fromkeys(record.ports.values())
