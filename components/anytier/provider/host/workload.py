"""`anytier:host:Workload`: replicas of a native process on one machine or several, rolled out by anytier.rollout."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected, RolloutFailed
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, normalise, replaces
from anytier.provider.host import guard
from anytier.provider.host.caddy import Caddy
from anytier.provider.host.driver import HostDriver
from anytier.provider.host.fleet import Ledger, Spot, foreign, gone_from, leaving, members_of, reached, spots_of
from anytier.provider.host.front import At, Door, Front, host_port
from anytier.provider.host.ids import id_of, parse
from anytier.provider.host.images import tidy as tidy_images
from anytier.provider.host.layout import Layout
from anytier.provider.host.machines import acts_as
from anytier.provider.host.models import (
    HostInputs,
    LocalRef,
    Member,
    ProcessInputs,
    Revision,
    WorkloadRecord,
    moved,
    same_machine,
)
from anytier.provider.host.place import claim_all, leave, of, release
from anytier.provider.host.program import problems
from anytier.provider.host.release import ensure, prune
from anytier.provider.host.spread import SpreadDriver, id_on
from anytier.provider.host.store import Kept, Store
from anytier.provider.mounts import require
from anytier.provider.owner import form
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of, both
from anytier.render.placement import Placement, assign, fitting, turned
from anytier.render.template import UpdatePolicy
from anytier.rollout.run import rollout
from anytier.rollout.types import Goal

_DIRECT = "one process holds such a port, and a proxy cannot share it out"


class WorkloadInputs(ProcessInputs):
    """`pools` says which pool of the proxy each balanced port feeds; `rollback_to` pins a kept revision."""

    owner: Annotated[str, normalise(form)] = ""
    workload: Annotated[str, replaces]
    replicas: int = Field(default=1, ge=0, le=1000)
    update: UpdatePolicy = UpdatePolicy()
    pools: dict[str, str] = Field(default_factory=dict)
    proxy: Annotated[str | None, ignored] = None
    rollback_to: int | None = None
    placement: Placement | None = None


class InstanceOutput(Frozen):
    """One instance as it was when we looked. `dial`: port name -> where it listens."""

    id: str
    index: int
    revision: int
    dial: dict[str, str] = Field(default_factory=dict)


class WorkloadOutputs(Frozen):
    """`ready` counts the running instances of `revision`; `pending`: a rollout was begun and has not ended well;
    `machines`: where there are several, those that hold something of it, also if they are to leave."""

    revision: int
    hash: str
    replicas: int
    ready: int = 0
    pending: bool = False
    history: list[Revision] = Field(default_factory=list)
    instances: list[InstanceOutput] = Field(default_factory=list)
    machines: list[Member] | None = None


class WorkloadResource(Resource[WorkloadInputs, WorkloadOutputs]):
    inputs = WorkloadInputs
    outputs = WorkloadOutputs

    def check(self, inputs: WorkloadInputs) -> list[AnytierError]:
        found = problems(inputs.template, *acts_as(inputs.machine), inputs.supervisor)
        found += layout_problems(inputs)
        if inputs.machines:
            found += machine_problems(inputs)
        for index, port in enumerate(inputs.template.ports):
            where = f"template.ports[{index}]"
            if port.protocol != "TCP":
                found.append(Rejected(f"{where}.protocol", "UDP is not carried on hosts", "use the docker tier"))
            elif not port.http and inputs.replicas > 1:
                found.append(
                    Rejected("replicas", f"port {port.name} is not HTTP: {_DIRECT}", "set scale.replicas to 1")
                )
            elif port.fixed and inputs.replicas > 1:
                what = f"port {port.name} is the image's own, and two cannot listen on it"
                found.append(Rejected("replicas", what, "set scale.replicas to 1"))
        return found

    def drifted(self, inputs: WorkloadInputs, state: WorkloadOutputs) -> list[str]:
        if state.pending:
            return ["template"]
        extra = len(state.instances) != inputs.replicas
        return ["replicas"] if extra or state.ready < inputs.replicas else []

    def planned(self, old: WorkloadOutputs | None, inputs: WorkloadInputs) -> Mapping[str, Any]:
        return {"replicas": inputs.replicas}

    def replaces(self, old: WorkloadInputs, new: WorkloadInputs) -> list[str]:
        return moved(old, new)

    async def create(self, ctx: Context, inputs: WorkloadInputs) -> tuple[str, WorkloadOutputs]:
        id = id_of(inputs, inputs.workload)
        return id, await self._deploy(ctx, id, inputs, [], "")

    async def update(
        self, ctx: Context, id: str, old_inputs: WorkloadInputs, state: WorkloadOutputs, inputs: WorkloadInputs
    ) -> WorkloadOutputs:
        return await self._deploy(ctx, id, inputs, known_machines(old_inputs, state), old_inputs.owner)

    async def read(
        self, ctx: Context, id: str, inputs: WorkloadInputs | None, state: WorkloadOutputs | None
    ) -> tuple[WorkloadInputs, WorkloadOutputs] | None:
        where = inputs or await imported(id)
        if where is None:
            return None
        spots = await spots_of(where, known_machines(where, state))
        stores = [Store(spot.place, id.rpartition("/")[2]) for spot in spots]
        ledger = Ledger(stores)
        # All at once: one after the other each would be a round trip.
        (record, kept), running = await both(both(ledger.record(), ledger.revisions()), running_on(spots, stores))
        if record is None:
            return None
        known = inputs or recorded_inputs(record, kept).model_copy(
            update={"machine": where.machine, "machines": where.machines}
        )
        return known, outputs_of(running, record, kept, state.machines if state else known.machines)

    async def delete(self, ctx: Context, id: str, inputs: WorkloadInputs, state: WorkloadOutputs) -> None:
        """On every machine that answers; then says which did not. One that was taken out before is let go."""
        listed = members_of(inputs)
        spots, away = await reached(inputs, listed)
        gone = await leaving(ctx.warn, inputs, gone_from(known_machines(inputs, state), listed))
        await self._empty(ctx, inputs, [*spots, *gone])
        await all_of(release(spot.place) for spot in spots)
        await all_of(leave(spot.place) for spot in gone)
        if away:
            raise away[0]

    async def _empty(self, ctx: Context, inputs: WorkloadInputs, spots: Sequence[Spot]) -> None:
        """Nothing of it on these machines any more, and in no proxy of theirs."""
        drivers = drivers_of(inputs, spots, {})
        doors = [Door(spot.member, Caddy(spot.place)) for spot in spots] if inputs.pools else []
        alive = await all_of(door.caddy.alive() for door in doors)  # a proxy that is gone needs no telling
        there = [door for door, lives in zip(doors, alive, strict=True) if lives]
        driver = SpreadDriver(drivers, Front(there, inputs.pools, {}, going=True))
        ids = await driver.ids()
        if ids:
            ctx.status(f"stopping {len(ids)}")
            await driver.drain(ids, inputs.update.drain_timeout)
            await all_of(driver.stop(item) for item in ids)
            await driver.tidy()
        await Ledger([item.store for item in drivers]).forget()

    async def _deploy(
        self, ctx: Context, id: str, inputs: WorkloadInputs, before: Sequence[Member], owner_before: str
    ) -> WorkloadOutputs:
        """`before`: the machines that it has been on, as far as is known; `owner_before`: see `provider.owner.same`."""
        members = members_of(inputs)
        fits = candidates(inputs)
        spots = await spots_of(inputs, members)
        await claim_all([spot.place for spot in spots], inputs.owner, owner_before)
        gone = await leaving(ctx.warn, inputs, gone_from(before, members))
        await self._clean(inputs, spots, before)
        everywhere = [*spots, *gone]
        ledger = Ledger([Store(spot.place, inputs.workload) for spot in everywhere])
        record = await ledger.record()
        wanted, kept = await self._wanted(ledger, inputs)
        number = wanted.revision.revision
        if record is None:
            record = WorkloadRecord(inputs=without_secrets(inputs), revision=0, replicas=0)
            await ledger.save(record)
        held = [spot.member for spot in everywhere] if inputs.machines or gone else None
        seen = await outputs(everywhere, ledger.stores, record, kept, held)
        ctx.made(id, seen.model_copy(update={"pending": True}))

        chosen = [spot for spot in spots if spot.member.name in fits]
        process = wanted.revision.template.process
        release_name = process.release if process else None
        await all_of(
            ensure(
                spot.place, f"{spot.place.layout.workload(inputs.workload)}/releases", release_name, entries_of(inputs)
            )
            for spot in chosen
        )
        if inputs.template.process is not None and inputs.template.process.liveness is not None:
            await all_of(guard.ensure(spot.place) for spot in chosen)
        driver = await self._driver(inputs, spots, gone, kept, number, record)
        goal = Goal(
            revision=number,
            replicas=inputs.replicas,
            previous=record.revision or None,
            replicas_before=record.replicas,
        )
        try:
            await rollout(driver, goal, policy_for(inputs), status=ctx.status, name=f"workloads.{inputs.workload}")
        except RolloutFailed:
            with contextlib.suppress(AnytierError):
                await driver.tidy()
            raise
        await driver.tidy()
        staying = Ledger([Store(spot.place, inputs.workload) for spot in spots])
        await staying.served(wanted)
        done = WorkloadRecord(inputs=without_secrets(inputs), revision=number, replicas=inputs.replicas)
        await staying.save(done)
        await staying.prune(number, inputs.update.retain)
        kept = await staying.revisions()
        names = {name for item in kept.values() if (name := item.release)}
        await all_of(prune(store.place, f"{store.folder}/releases", names) for store in staying.stores)
        await all_of(tidy_images(store.place) for store in staying.stores)
        if gone:
            await self._empty(ctx, inputs, gone)
            await all_of(leave(spot.place) for spot in gone)
        return await outputs(spots, staying.stores, done, kept, inputs.machines)

    async def _driver(
        self,
        inputs: WorkloadInputs,
        spots: Sequence[Spot],
        gone: Sequence[Spot],
        kept: Mapping[int, Kept],
        number: int,
        record: WorkloadRecord,
    ) -> SpreadDriver:
        """With the machine of each instance decided, as near as can be to where they are now."""
        everywhere = [*spots, *gone]
        drivers = drivers_of(inputs, everywhere, kept, record)
        there = await all_of(item.store.instances() for item in drivers)
        found = [(one.name, item) for one, items in zip(drivers, there, strict=True) for item in items]
        before = {item.index: name for name, item in found if item.revision == record.revision}
        now = before | {item.index: name for name, item in found if item.revision == number}
        fits, mode = candidates(inputs), inputs.placement.mode if inputs.placement else "spread"
        if mode == "together" and not set(now.values()) & set(fits):
            now = dict.fromkeys(range(1), await with_data(inputs, spots, fits)) if fits else {}
        assigned = assign(fits, inputs.replicas, now, mode)
        alone = inputs.machines is None
        doors = [Door(spot.member, Caddy(spot.place)) for spot in spots]
        if inputs.pools and gone:
            proxies = [Door(spot.member, Caddy(spot.place), closing=alone) for spot in gone]
            alive = await all_of(door.caddy.alive() for door in proxies)
            doors += [door for door, lives in zip(proxies, alive, strict=True) if lives]
        front = Front(doors, inputs.pools, kept, inputs.replicas + inputs.update.max_parallel)
        return SpreadDriver(drivers, front, number, assigned, before, [spot.member.name for spot in gone])

    async def _clean(self, inputs: WorkloadInputs, spots: Sequence[Spot], before: Sequence[Member]) -> None:
        """A machine that comes back after the others have moved on brings nothing of its own along."""
        old = [spot for spot in spots if any(same_machine(spot.member.machine, item.machine) for item in before)]
        new = [spot for spot in spots if spot not in old]
        if not old or not new:
            return
        known = Ledger([Store(spot.place, inputs.workload) for spot in old])
        for driver in drivers_of(inputs, new, {}):
            if await foreign(known, driver.store):
                await all_of(driver.end(item.unit) for item in await driver.store.instances())
                await driver.store.forget()

    async def _wanted(self, ledger: Ledger, inputs: WorkloadInputs) -> tuple[Kept, dict[int, Kept]]:
        if inputs.rollback_to is None:
            return await ledger.revise(inputs.template, inputs.secrets)
        kept = await ledger.revisions()
        if inputs.rollback_to not in kept:
            choice = ", ".join(str(number) for number in kept) or "none"
            raise NotFound("rollbackTo", f"revision {inputs.rollback_to} is not kept", f"choose one of: {choice}")
        wanted = kept[inputs.rollback_to]
        require(wanted.revision.template, inputs.volumes, inputs.workload, inputs.rollback_to)
        return wanted, kept


def known_machines(inputs: HostInputs, state: WorkloadOutputs | None) -> list[Member]:
    """Those of the inputs, and those that a run has not emptied yet."""
    listed = members_of(inputs)
    left = gone_from(state.machines, listed) if state and state.machines else []
    return [*listed, *left]


def candidates(inputs: WorkloadInputs) -> list[str]:
    """The names of the machines that will do. Rejected where there is none."""
    members = members_of(inputs)
    found = fitting(members, inputs.placement or Placement())
    if not found:
        names = ", ".join(str(item) for item in members)
        raise Rejected("placement", f"no machine fits it: there are {names}", "mend placement, or the machines' labels")
    spread = inputs.placement is not None and inputs.placement.mode == "spread"
    return turned(found, inputs.workload) if spread else found


async def with_data(inputs: WorkloadInputs, spots: Sequence[Spot], fits: Sequence[str]) -> str:
    """Of the machines that will do, the first that has something in the workload's volumes; else the first."""
    mounts = inputs.template.process.mounts if inputs.template.process else []
    paths = [inputs.volumes[item.volume] for item in mounts if item.volume in inputs.volumes]
    for spot in (spot for spot in spots if spot.member.name in fits):
        if any(await all_of(spot.place.machine.list(path) for path in paths)):
            return spot.member.name
    return fits[0]


def drivers_of(
    inputs: WorkloadInputs, spots: Sequence[Spot], kept: Mapping[int, Kept], record: WorkloadRecord | None = None
) -> list[HostDriver]:
    """`record`: what is deployed, where that may be started again."""
    before = record.volumes if record else {}
    return [
        HostDriver(spot.member, spot.place, Store(spot.place, inputs.workload), kept, inputs.volumes, before)
        for spot in spots
    ]


def policy_for(inputs: WorkloadInputs) -> UpdatePolicy:
    """Two processes cannot listen on one port: where there is no proxy between, the old one goes first."""
    if any(not port.http or port.fixed for port in inputs.template.ports):
        return inputs.update.model_copy(update={"order": "stop-first"})
    return inputs.update


def machine_problems(inputs: WorkloadInputs) -> list[AnytierError]:
    """What several machines would refuse, known without asking them."""
    found: list[AnytierError] = []
    try:
        candidates(inputs)
    except AnytierError as error:
        found.append(error)
    names = [item.name for item in inputs.machines or ()]
    for name in sorted({name for name in names if names.count(name) > 1 or not name}):
        found.append(Rejected("machines", f"{name!r} names several, or none", "give each machine a name of its own"))
    return found


def entries_of(inputs: ProcessInputs) -> dict[str, str]:
    return dict(inputs.release.entries) if inputs.release else {}


def release_of(inputs: ProcessInputs) -> str | None:
    return inputs.template.process.release if inputs.template.process else None


def layout_problems(inputs: HostInputs) -> list[AnytierError]:
    if inputs.supervisor == "supervisord" and not isinstance(inputs.machine, LocalRef):
        return [Rejected("supervisor", "supervisord runs on this machine only", "use systemd-system over SSH")]
    try:
        Layout(inputs.root, inputs.ns)
    except AnytierError as error:
        return [error]
    return []


def without_secrets(inputs: ProcessInputs) -> dict[str, object]:
    """What may lie on disk beside everything else: secrets are in the revision's own 0600 file."""
    return inputs.recorded("secrets")


def recorded_inputs(record: WorkloadRecord, kept: Mapping[int, Kept]) -> WorkloadInputs:
    current = kept.get(record.revision)
    secrets = dict(current.secrets) if current else {}
    return WorkloadInputs.model_validate({**record.inputs, "secrets": secrets})


async def imported(id: str) -> HostInputs | None:
    """What lies in the state folder that the id names says the rest."""
    where = parse(id)
    record = await Store(await of(where.inputs()), where.name).record()
    if record is None:
        return None
    names = ("root", "ns", "supervisor", "machines")
    known = HostInputs.model_validate({key: record.inputs[key] for key in names if key in record.inputs})
    return known.model_copy(update={"machine": where.machine})


async def outputs(
    spots: Sequence[Spot],
    stores: Sequence[Store],
    record: WorkloadRecord,
    kept: Mapping[int, Kept],
    machines: Sequence[Member] | None,
) -> WorkloadOutputs:
    """What is there now, without waiting for any probe and without changing anything. `machines`: those that hold
    something of it, where they are several."""
    return outputs_of(await running_on(spots, stores), record, kept, machines)


def outputs_of(
    running: Sequence[At],
    record: WorkloadRecord,
    kept: Mapping[int, Kept],
    machines: Sequence[Member] | None,
) -> WorkloadOutputs:
    current = kept.get(record.revision)
    return WorkloadOutputs(
        revision=record.revision,
        hash=current.revision.hash if current else "",
        replicas=record.replicas,
        ready=sum(item.record.revision == record.revision for item in running),
        history=[item.revision for item in kept.values()],
        instances=[_output(item) for item in running],
        machines=list(machines) if machines is not None else None,
    )


async def running_on(spots: Sequence[Spot], stores: Sequence[Store]) -> list[At]:
    found = await all_of(_running(spot, store) for spot, store in zip(spots, stores, strict=True))
    return [item for items in found for item in items]


async def _running(spot: Spot, store: Store) -> list[At]:
    states, records = await both(spot.place.manager.states(), store.instances())
    return [At(spot.member, item) for item in records if item.unit in states and states[item.unit].running]


def _output(it: At) -> InstanceOutput:
    """`dial` as another machine would, where there are others."""
    item = it.record
    dial = {name: host_port(it.member.address, number) for name, number in sorted(item.ports.items())}
    id = id_on(it.member.name, item.unit)
    return InstanceOutput(id=id, index=item.index, revision=item.revision, dial=dial)
