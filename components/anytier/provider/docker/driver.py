"""The rollout's hands on a Docker daemon: look, start, attach, drain, stop. The thinking is in anytier.rollout."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic

from anytier.errors import AnytierError, NotFound
from anytier.provider import mounts
from anytier.provider.docker import caddy, files, group, labels, probes
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.group import Group, Plan
from anytier.provider.docker.models import ContainerInputs, Kept, secret_values
from anytier.provider.judge import Answer, Health, Judge
from anytier.provider.redaction import redactor
from anytier.render import upstreams as edits
from anytier.render.docker import gates
from anytier.render.health import pool_health
from anytier.render.proxy import HealthCheck, ProxyConfig, Upstream
from anytier.render.template import Probe, Template
from anytier.rollout.types import Instance

_INSPECTION = 0.02  # seconds that looking at one container may take of a look at all
_AT_ONCE = 10  # calls in flight: more make a daemon slower, not faster


class DockerDriver:
    """One workload on one daemon. `kept` holds every revision that a rollout may start; `proven` is the one that an
    earlier rollout has ended well with, 0 if none; `room` is how many instances may serve at once; `before`: the
    volumes of what is deployed. `going`: the workload is on its way out, so that a proxy that goes at the same time
    needs no telling."""

    def __init__(
        self,
        daemon: Daemon,
        workload: str,
        inputs: ContainerInputs,
        kept: Mapping[int, Kept],
        pools: Mapping[str, str],
        proven: int = 0,
        room: int = 0,
        before: Mapping[str, str] | None = None,
        going: bool = False,
    ) -> None:
        self.daemon, self.workload, self.inputs, self.kept = daemon, workload, inputs, kept
        self.pools, self.proven, self.room, self.going = pools, proven, room, going
        self.before = before or {}
        self.caddy: caddy.Caddy | None = caddy.of(daemon, inputs.ns) if pools else None
        self._judges: dict[str, Judge] = {}
        self._plans: dict[int, Plan] = {}
        self._planning = asyncio.Lock()
        self._limit = daemon.shared("limit", lambda: asyncio.Semaphore(_AT_ONCE))
        # The inputs' secrets are hidden for every resource; a kept revision has those that it was made with.
        self._hide = redactor(frozenset(secret_values(kept)))
        # where no proxy knows it
        self._looked = False
        self._groups_seen: dict[str, Group] = {}
        self._inspected: dict[str, tuple[float, int, str, float]] = {}
        self._attached: set[str] = set()
        self._draining: set[str] = set()

    # Driver

    async def observe(self) -> list[Instance]:
        groups = await self.groups()
        if not self._looked and not self.caddy:
            self._attached = {item.name for item in groups if item.revision == self.proven}
        self._looked = True
        config = await self.caddy.seen() if self.caddy and groups else None
        traffic = [self._traffic_of(item, config) for item in groups]
        fresh = _INSPECTION * sum(not on for on, _ in traffic)
        looks = (self._look(item, on, fresh) for item, (on, _) in zip(groups, traffic, strict=True))
        health = await asyncio.gather(*looks)
        return [
            Instance(item.name, self._revision_of(item), item.index, state, on, off)
            for item, state, (on, off) in zip(groups, health, traffic, strict=True)
        ]

    async def start(self, revision: int, index: int) -> str:
        plan = await self.plan(revision)
        name = labels.instance_name(self.inputs.ns, self.workload, revision, index)
        self._judges.pop(name, None)
        self._inspected.pop(name, None)
        async with self._limit:
            try:
                await group.start(self.daemon, plan, name, index)
            except AnytierError as error:
                error.what = self._hide(error.what)
                raise
        return name

    async def attach(self, ids: Sequence[str]) -> None:
        groups = await self._groups(ids)
        await self._traffic(lambda config: edits.with_upstreams(config, self._dials(groups)))
        self._attached |= set(ids)
        self._draining -= set(ids)

    async def drain(self, ids: Sequence[str], timeout: float) -> None:
        self._draining |= set(ids)
        if not self.caddy:
            return
        dials = self._dials(await self._groups(ids))
        await self._traffic(lambda config: edits.draining(config, dials))
        with self._without_proxy():
            if self.caddy:
                await self.caddy.until_idle({dial for pool in dials.values() for dial in pool}, timeout)

    async def stop(self, id: str) -> None:
        """Gone already is success."""
        if id not in self._groups_seen:
            await self.groups()
        found = self._groups_seen.get(id)
        if found is None:
            return
        if await self._serves(found):
            dials = self._dials([found])
            await self._traffic(lambda config: edits.without_serving(config, dials))
        async with self._limit:
            await group.stop(self.daemon, found, self._template_of(found))

    async def why(self, id: str) -> str:
        """The last answer of its probe, how its containers ended, and what they said last."""
        found = (await self._groups([id]))[0]
        judge = self._judges.get(id)
        said = [judge.said] if judge and judge.said else []
        several = len(found.lasting) > 1
        for name, entry in found.entries.items():
            if labels.label(entry, labels.KIND) == "network":
                continue
            told = await group.ending(self.daemon, await self.daemon.get(f"containers/{entry['Id']}/json"))
            if told:
                said.append(f"{name}: {told}" if several else told)
        return self._hide("; ".join(said)) or "it did not become healthy"

    async def tidy(self) -> None:
        """Upstreams of instances that are gone: each load costs time, so they wait for the next or for this."""
        await self._traffic(lambda config: config)

    # looking

    async def groups(self) -> list[Group]:
        wanted = {"namespace": self.inputs.ns, "role": "workload", "workload": self.workload}
        found = await group.listed(self.daemon, **wanted)
        self._groups_seen = {item.name: item for item in found}
        return found

    async def _look(self, item: Group, attached: bool, fresh: float) -> Health:
        """Healthy once its probes have answered well; unhealthy once one then fails as often as it may."""
        judge = self._judges.setdefault(item.name, Judge())
        template = self._template_of(item)
        if not item.running or template is None or not item.complete(template):
            return judge.ended() if template is not None or not item.running else "healthy"
        checks = [(check, name) for check, name in _checks(template) if name in item.entries]
        if not attached:
            restarts, runs = await self._starts(item, fresh)
            if judge.has_restarted(restarts):
                return judge.ended()
            if any(check.initial_delay > runs for check, _ in checks):
                return "starting"
        elif not judge.looked:
            judge.healthy = True  # it serves: one bad answer is not enough to take that away
        answers = await asyncio.gather(*(self._ask(item, name, check) for check, name in checks))
        return judge.judge([check for check, _ in checks], answers, attached)

    async def _ask(self, item: Group, name: str, check: Probe) -> Answer:
        async with self._limit:
            return await probes.ask(self.daemon, item.entries[name]["Id"], item.address, check)

    async def _starts(self, item: Group, fresh: float) -> tuple[int, float]:
        """(restarts, seconds that we have seen it run since its last start) over all its containers. A list call does
        not tell; asking for each costs, so an answer is good for `fresh` seconds. When it started is told by the
        daemon's clock, which need not be ours: it only says whether that was another start."""
        at, restarts, started, since = self._inspected.get(item.name, (0.0, 0, "", 0.0))
        if started and monotonic() - at <= fresh:
            return restarts, monotonic() - since
        async with self._limit:
            ids = [entry["Id"] for entry in item.lasting.values()]
            found = [await self.daemon.find(f"containers/{id}/json") for id in ids]
        there = [one for one in found if one]
        restarts, now = sum(int(one.get("RestartCount") or 0) for one in there), monotonic()
        latest = " ".join(str(one["State"]["StartedAt"]) for one in there)
        since = since if latest and latest == started else now
        self._inspected[item.name] = (now, restarts, latest, since)
        return restarts, now - since

    async def _serves(self, item: Group) -> bool:
        """Whether the proxy gives it new requests, as far as this run knows."""
        if self.caddy is None:
            return False
        known = list[Upstream]()
        with self._without_proxy():
            known = [one for pool in (await self.caddy.seen()).pools.values() for one in pool.upstreams]
        mine = {dial for dials in self._dials([item]).values() for dial in dials}
        return any(one.dial in mine and not one.draining for one in known)

    def _revision_of(self, item: Group) -> int:
        """One that carries a number of ours but other content is somebody's leftover: of no revision."""
        kept = self.kept.get(item.revision)
        return item.revision if kept is None or kept.revision.hash == item.hash else -1

    def _template_of(self, item: Group) -> Template | None:
        kept = self.kept.get(item.revision)
        return kept.revision.template if kept and kept.revision.hash == item.hash else None

    def _traffic_of(self, item: Group, config: ProxyConfig | None) -> tuple[bool, bool]:
        """(gets new requests, drains)"""
        if config is None:
            return item.name in self._attached and item.name not in self._draining, item.name in self._draining
        mine = []
        for pool, dials in self._dials([item]).items():
            known = {one.dial: one.draining for one in config.pools[pool].upstreams} if pool in config.pools else {}
            mine += [known.get(dial) for dial in dials]
        return bool(mine) and all(one is False for one in mine), any(one is True for one in mine)

    async def _groups(self, ids: Sequence[str]) -> list[Group]:
        known = {item.name: item for item in await self.groups()}
        missing = [id for id in ids if id not in known]
        if missing:
            raise NotFound(missing[0], "is gone", "run again: the rollout will start it anew")
        return [known[id] for id in ids]

    # changing

    async def plan(self, revision: int) -> Plan:
        """Everything that the instances of a revision share, made and looked up once."""
        async with self._planning:
            if revision not in self._plans:
                self._plans[revision] = await self._plan(revision)
            return self._plans[revision]

    async def _plan(self, revision: int) -> Plan:
        if revision not in self.kept:
            raise NotFound(f"{self.workload} r{revision}", "is no longer kept", "roll back to a newer one")
        kept, inputs = self.kept[revision], self.inputs
        template = kept.revision.template
        volumes = mounts.reaching(template, inputs.volumes, self.before)
        mounts.require(template, volumes, self.workload, revision)
        images = await group.images_of(self.daemon, template)
        marks = {
            labels.NAMESPACE: inputs.ns,
            labels.WORKLOAD: self.workload,
            labels.REVISION: str(revision),
            labels.HASH: kept.revision.hash,
        }
        prefix = f"{inputs.ns}-{self.workload}-r{revision}"
        users = await files.users(self.daemon, template, images)
        filled = await files.ensure(self.daemon, marks, prefix, template, kept.secrets, users)
        return Plan(
            ns=inputs.ns,
            workload=self.workload,
            revision=revision,
            hash=kept.revision.hash,
            template=template,
            images=images,
            users=users,
            files=filled,
            volumes=volumes,
            network=inputs.network,
        )

    # traffic

    async def _traffic(self, edit: Callable[[ProxyConfig], ProxyConfig]) -> None:
        """One load: the edit, without upstreams of instances that are gone, checked as those that serve want it."""
        if self.caddy is None:
            return
        groups = await self.groups()
        known = self._dials(groups)

        def change(config: ProxyConfig) -> ProxyConfig:
            edited = edit(edits.only(config, known))
            return edits.with_health(edited, self._checks(groups, edited))

        with self._without_proxy():
            await self.caddy.change(change, dict.fromkeys(self.pools.values(), self.room))

    @contextlib.contextmanager
    def _without_proxy(self) -> Iterator[None]:
        try:
            yield
        except AnytierError:
            if not self.going:
                raise
            self.caddy = None

    def _checks(self, groups: Sequence[Group], config: ProxyConfig) -> dict[str, HealthCheck | None]:
        """A pool in which two revisions serve that want different checks is not checked: the rollout looks itself."""
        checks: dict[str, HealthCheck | None] = {}
        for name, pool in self.pools.items():
            serving = {item.dial for item in config.pools[pool].upstreams if not item.draining}
            fed = [self._template_of(item) for item in groups if set(self._dials([item])[pool]) & serving]
            wanted = [pool_health(template).get(name) if template else None for template in fed]
            checks[pool] = wanted[0] if wanted and all(item == wanted[0] for item in wanted) else None
        return checks

    def _dials(self, groups: Sequence[Group]) -> dict[str, list[str]]:
        """Pool -> where the instances listen. By name: an address may be another one after a restart."""
        found: dict[str, list[str]] = {pool: [] for pool in self.pools.values()}
        for item in groups:
            for name, dial in dials(item).items():
                if name in self.pools:
                    found[self.pools[name]].append(dial)
        return found


def dials(item: Group) -> dict[str, str]:
    """Port name -> where this instance listens, on the app's network. Labels say so, also of what is not kept."""
    host = group.alias(labels.label(item.any, labels.WORKLOAD), item.revision, item.index)
    ports = (pair.partition("=") for pair in labels.label(item.any, labels.PORTS).split(",") if pair)
    return {name: f"{host}:{port}" for name, _, port in ports}


def _checks(template: Template) -> list[tuple[Probe, str]]:
    """What must answer, and in which container."""
    return [(check, item.name) for item in template.containers if item.role != "init" for check in gates(item)]
