"""`anytier:host:Workload`: replicas of a native process on a machine, rolled out by anytier.rollout."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected, RolloutFailed
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces
from anytier.provider.host import guard
from anytier.provider.host.driver import HostDriver
from anytier.provider.host.ids import id_of, parse
from anytier.provider.host.layout import Layout
from anytier.provider.host.machines import acts_as
from anytier.provider.host.models import HostInputs, InstanceRecord, LocalRef, ProcessInputs, Revision, WorkloadRecord
from anytier.provider.host.place import Place, claim, of, release
from anytier.provider.host.program import problems
from anytier.provider.host.release import ensure, prune
from anytier.provider.host.store import Kept, Store
from anytier.provider.resource import Context, Resource
from anytier.render.template import UpdatePolicy
from anytier.rollout.run import rollout
from anytier.rollout.types import Goal

_DIRECT = "one process holds such a port, and a proxy cannot share it out"


class WorkloadInputs(ProcessInputs):
    """`pools` says which pool of the proxy each balanced port feeds; `rollback_to` pins a kept revision."""

    workload: Annotated[str, replaces]
    replicas: int = Field(default=1, ge=0, le=1000)
    update: UpdatePolicy = UpdatePolicy()
    pools: dict[str, str] = Field(default_factory=dict)
    proxy: Annotated[str | None, ignored] = None
    rollback_to: int | None = None


class InstanceOutput(Frozen):
    """One instance as it was when we looked. `dial`: port name -> where it listens."""

    id: str
    index: int
    revision: int
    dial: dict[str, str] = Field(default_factory=dict)


class WorkloadOutputs(Frozen):
    """`ready` counts the running instances of `revision`; `pending`: a rollout was begun and has not ended well."""

    revision: int
    hash: str
    replicas: int
    ready: int = 0
    pending: bool = False
    history: list[Revision] = Field(default_factory=list)
    instances: list[InstanceOutput] = Field(default_factory=list)


class WorkloadResource(Resource[WorkloadInputs, WorkloadOutputs]):
    inputs = WorkloadInputs
    outputs = WorkloadOutputs

    def check(self, inputs: WorkloadInputs) -> list[AnytierError]:
        found = problems(inputs.template, *acts_as(inputs.machine), inputs.supervisor)
        found += layout_problems(inputs)
        for index, port in enumerate(inputs.template.ports):
            where = f"template.ports[{index}]"
            if port.protocol != "TCP":
                found.append(Rejected(f"{where}.protocol", "UDP is not carried on hosts", "use the docker tier"))
            elif not port.http and inputs.replicas > 1:
                found.append(
                    Rejected("replicas", f"port {port.name} is not HTTP: {_DIRECT}", "set scale.replicas to 1")
                )
        return found

    def drifted(self, inputs: WorkloadInputs, state: WorkloadOutputs) -> list[str]:
        if state.pending:
            return ["template"]
        extra = len(state.instances) != inputs.replicas
        return ["replicas"] if extra or state.ready < inputs.replicas else []

    def planned(self, old: WorkloadOutputs | None, inputs: WorkloadInputs) -> Mapping[str, Any]:
        return {"replicas": inputs.replicas}

    async def create(self, ctx: Context, inputs: WorkloadInputs) -> tuple[str, WorkloadOutputs]:
        place = await of(inputs)
        await claim(place, inputs.owner)
        id = id_of(inputs, inputs.workload)
        return id, await self._deploy(ctx, id, place, inputs)

    async def update(
        self, ctx: Context, id: str, old_inputs: WorkloadInputs, state: WorkloadOutputs, inputs: WorkloadInputs
    ) -> WorkloadOutputs:
        place = await of(inputs)
        await claim(place, inputs.owner)
        return await self._deploy(ctx, id, place, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: WorkloadInputs | None, state: WorkloadOutputs | None
    ) -> tuple[WorkloadInputs, WorkloadOutputs] | None:
        where = inputs or await imported(id)
        if where is None:
            return None
        place = await of(where)
        store = Store(place, id.rpartition("/")[2])
        record = await store.record()
        if record is None:
            return None
        kept = await store.revisions()
        known = inputs or recorded_inputs(record, kept).model_copy(update={"machine": where.machine})
        return known, await outputs(place, store, record, kept)

    async def delete(self, ctx: Context, id: str, inputs: WorkloadInputs, state: WorkloadOutputs) -> None:
        place = await of(inputs)
        store = Store(place, inputs.workload)
        driver = HostDriver(place, store, {}, inputs.volumes, inputs.pools, going=True)
        if driver.caddy and not await driver.caddy.alive():
            driver.caddy = None  # a proxy that is gone needs no telling
        ids = [record.unit for record in await store.instances()]
        if ids:
            ctx.status(f"stopping {len(ids)}")
            await driver.drain(ids, inputs.update.drain_timeout)
            await asyncio.gather(*(driver.stop(item) for item in ids))
            await driver.tidy()
        await store.forget()
        await release(place)

    async def _deploy(self, ctx: Context, id: str, place: Place, inputs: WorkloadInputs) -> WorkloadOutputs:
        store = Store(place, inputs.workload)
        record = await store.record()
        wanted, kept = await self._wanted(store, inputs)
        number = wanted.revision.revision
        if record is None:
            record = WorkloadRecord(inputs=without_secrets(inputs), revision=0, replicas=0)
            await store.save(record)
        before = await outputs(place, store, record, kept)
        ctx.made(id, before.model_copy(update={"pending": True}))
        process = wanted.revision.template.process
        await ensure(place, f"{store.folder}/releases", process.release if process else None, entries_of(inputs))
        room = inputs.replicas + inputs.update.max_parallel
        driver = HostDriver(place, store, kept, inputs.volumes, inputs.pools, room=room)
        if inputs.template.process is not None and inputs.template.process.liveness is not None:
            await guard.ensure(place)
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
        await store.served(wanted)
        done = WorkloadRecord(inputs=without_secrets(inputs), revision=number, replicas=inputs.replicas)
        await store.save(done)
        await store.prune(number, inputs.update.retain)
        kept = await store.revisions()
        await prune(place, f"{store.folder}/releases", {name for item in kept.values() if (name := item.release)})
        return await outputs(place, store, done, kept)

    async def _wanted(self, store: Store, inputs: WorkloadInputs) -> tuple[Kept, dict[int, Kept]]:
        if inputs.rollback_to is None:
            return await store.revise(inputs.template, inputs.secrets)
        kept = await store.revisions()
        if inputs.rollback_to not in kept:
            choice = ", ".join(str(number) for number in kept) or "none"
            raise NotFound("rollbackTo", f"revision {inputs.rollback_to} is not kept", f"choose one of: {choice}")
        return kept[inputs.rollback_to], kept


def policy_for(inputs: WorkloadInputs) -> UpdatePolicy:
    """Two processes cannot listen on one port: where there is no proxy between, the old one goes first."""
    if any(not port.http for port in inputs.template.ports):
        return inputs.update.model_copy(update={"order": "stop-first"})
    return inputs.update


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
    known = HostInputs.model_validate({key: record.inputs[key] for key in ("root", "ns", "supervisor")})
    return known.model_copy(update={"machine": where.machine})


async def outputs(place: Place, store: Store, record: WorkloadRecord, kept: Mapping[int, Kept]) -> WorkloadOutputs:
    """What is there now, without waiting for any probe and without changing anything."""
    states = await place.manager.states()
    running = [item for item in await store.instances() if item.unit in states and states[item.unit].running]
    current = kept.get(record.revision)
    return WorkloadOutputs(
        revision=record.revision,
        hash=current.revision.hash if current else "",
        replicas=record.replicas,
        ready=sum(item.revision == record.revision for item in running),
        history=[item.revision for item in kept.values()],
        instances=[_output(item) for item in running],
    )


def _output(item: InstanceRecord) -> InstanceOutput:
    dial = {name: f"127.0.0.1:{number}" for name, number in sorted(item.ports.items())}
    return InstanceOutput(id=item.unit, index=item.index, revision=item.revision, dial=dial)
