"""`anytier:docker:Workload`: replicas of one or several containers, rolled out by anytier.rollout."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected, RolloutFailed
from anytier.frozen import Frozen
from anytier.provider import mounts
from anytier.provider.docker import claim, files, group, held, store, tools
from anytier.provider.docker.client import Daemon, Endpoint, daemon, located
from anytier.provider.docker.driver import DockerDriver, dials
from anytier.provider.docker.group import Group
from anytier.provider.docker.models import ContainerInputs, Deployed, Kept, Revision, without_secrets
from anytier.provider.docker.store import Document, Store
from anytier.provider.docker.template import problems
from anytier.provider.fields import ignored, normalise, replaces
from anytier.provider.owner import form
from anytier.provider.resource import Context, Resource
from anytier.render.template import UpdatePolicy
from anytier.rollout.run import rollout
from anytier.rollout.types import Goal


class WorkloadInputs(ContainerInputs):
    """`pools` says which pool of the proxy each balanced port feeds; `rollback_to` pins a kept revision."""

    owner: Annotated[str, normalise(form)] = ""
    workload: Annotated[str, replaces]
    replicas: int = Field(default=1, ge=0, le=1000)
    update: UpdatePolicy = UpdatePolicy()
    pools: dict[str, str] = Field(default_factory=dict)
    proxy: Annotated[str | None, ignored] = None
    rollback_to: int | None = None


class InstanceOutput(Frozen):
    """One instance as it was when we looked. `dial`: port name -> where it listens on the app's network."""

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
        return problems(inputs.template, inputs.volumes) + _port_problems(inputs)

    def drifted(self, inputs: WorkloadInputs, state: WorkloadOutputs) -> list[str]:
        if state.pending:
            return ["template"]
        extra = len(state.instances) != inputs.replicas
        return ["replicas"] if extra or state.ready < inputs.replicas else []

    def planned(self, old: WorkloadOutputs | None, inputs: WorkloadInputs) -> Mapping[str, Any]:
        return {"replicas": inputs.replicas}

    async def create(self, ctx: Context, inputs: WorkloadInputs) -> tuple[str, WorkloadOutputs]:
        id = f"{inputs.ns}/{inputs.workload}"
        return id, await self._deploy(ctx, id, inputs, None)

    async def update(
        self, ctx: Context, id: str, old_inputs: WorkloadInputs, state: WorkloadOutputs, inputs: WorkloadInputs
    ) -> WorkloadOutputs:
        return await self._deploy(ctx, id, inputs, old_inputs.owner)

    async def read(
        self, ctx: Context, id: str, inputs: WorkloadInputs | None, state: WorkloadOutputs | None
    ) -> tuple[WorkloadInputs, WorkloadOutputs] | None:
        endpoint, ns, workload = _place(id, inputs)
        there = await daemon(endpoint)
        document = await Store(there, ns, workload).load()
        found = await group.listed(there, namespace=ns, role="workload", workload=workload)
        if document is None or document.deployed is None:
            if inputs is None or not found:
                return None
            lost = WorkloadOutputs(revision=0, hash="", replicas=0)
            return inputs, (state or lost).model_copy(update={"pending": True})
        known = inputs or recorded_inputs(endpoint, document)
        return known, outputs(document, found)

    async def delete(self, ctx: Context, id: str, inputs: WorkloadInputs, state: WorkloadOutputs) -> None:
        there = await daemon(inputs.endpoint)
        if await claim.is_anothers(there, inputs.ns, inputs.owner, inputs.workload):
            ctx.left_alone(f"workload {inputs.workload}")
            return
        kept = Store(there, inputs.ns, inputs.workload)
        document = await kept.load()
        revisions = document.revisions if document else {}
        driver = DockerDriver(there, inputs.workload, inputs, revisions, inputs.pools, going=True)
        if driver.caddy and not await driver.caddy.alive():
            driver.caddy = None  # a proxy that is gone needs no telling
        ids = [item.name for item in await driver.groups()]
        if ids:
            ctx.status(f"stopping {len(ids)}")
            await driver.drain(ids, inputs.update.drain_timeout)
            await asyncio.gather(*(driver.stop(item) for item in ids))
            await driver.tidy()
        await files.remove(there, inputs.ns, inputs.workload)
        await kept.forget()
        await held.tidy(there)
        await tools.tidy(there)

    async def _deploy(self, ctx: Context, id: str, inputs: WorkloadInputs, owner_before: str | None) -> WorkloadOutputs:
        there = await daemon(inputs.endpoint)
        kept = Store(there, inputs.ns, inputs.workload)
        found = await group.listed(there, namespace=inputs.ns, role="workload", workload=inputs.workload)
        await claim.require_ours(there, inputs.ns, inputs.owner, owner_before, inputs.workload)
        if owner_before is None:
            ctx.made(id, WorkloadOutputs(revision=0, hash="", replicas=0, pending=True))
        await tools.ensure(there)
        document = await kept.open(inputs.owner)
        # Not before: a state that had another owner than the store would not know its workload again.
        ctx.made(id, outputs(document, found).model_copy(update={"pending": True}))
        wanted, document = await self._wanted(kept, document, inputs, found)
        before = outputs(document, found)
        ctx.made(id, before.model_copy(update={"pending": True}))
        assert document.deployed is not None
        number, deployed = wanted.revision.revision, document.deployed
        driver = DockerDriver(
            there,
            inputs.workload,
            inputs,
            document.revisions,
            inputs.pools,
            proven=deployed.revision,
            room=inputs.replicas + inputs.update.max_parallel,
            before=deployed.inputs.get("volumes"),
        )
        previous, before_it = _previous(deployed, document, found)
        goal = Goal(revision=number, replicas=inputs.replicas, previous=previous, replicas_before=before_it)
        try:
            await rollout(driver, goal, policy_for(inputs), status=ctx.status, name=f"workloads.{inputs.workload}")
        except RolloutFailed:
            with contextlib.suppress(AnytierError):
                await driver.tidy()
            raise
        await driver.tidy()
        done = Deployed(inputs=without_secrets(inputs), revision=number, replicas=inputs.replicas)
        document = document.model_copy(update={"deployed": done})
        document = await kept.save(store.pruned(store.served(document, number), number, inputs.update.retain))
        await files.remove(there, inputs.ns, inputs.workload, keep=set(document.revisions))
        return outputs(document, await driver.groups())

    async def _wanted(
        self, kept: Store, document: Document, inputs: WorkloadInputs, found: Sequence[Group]
    ) -> tuple[Kept, Document]:
        """The revision to reach, and the document that knows it, saved."""
        if inputs.rollback_to is not None:
            known = document.revisions
            if inputs.rollback_to not in known:
                choice = ", ".join(str(number) for number in known) or "none"
                what = f"revision {inputs.rollback_to} is not kept"
                raise NotFound("rollbackTo", what, f"choose one of: {choice}")
            wanted, new = known[inputs.rollback_to], document
            mounts.require(wanted.revision.template, inputs.volumes, inputs.workload, inputs.rollback_to)
        else:
            numbers = [item.revision for item in found]
            wanted, new = store.revised(document, inputs.template, inputs.secrets, numbers)
        if new.deployed is None:
            first = Deployed(inputs=without_secrets(inputs), revision=0, replicas=0)
            new = new.model_copy(update={"deployed": first})
        return wanted, new if new == document else await kept.save(new)


def _whole(item: Group, document: Document) -> bool:
    """Whether none of its containers is gone, as far as its revision is still known."""
    kept = document.revisions.get(item.revision)
    return kept is None or kept.revision.hash != item.hash or item.complete(kept.revision.template)


def _previous(deployed: Deployed, document: Document, found: Sequence[Group]) -> tuple[int | None, int]:
    """What serves until the new revision does, and how often: what was deployed; or, where what we wrote down was swept
    away, what runs and nobody remembers."""
    if deployed.revision:
        return deployed.revision, deployed.replicas
    unknown = [item.revision for item in found if item.running and item.revision not in document.revisions]
    return (max(unknown), unknown.count(max(unknown))) if unknown else (None, 0)


def policy_for(inputs: WorkloadInputs) -> UpdatePolicy:
    """Two containers cannot hold one port of the machine: without a proxy between, the old one goes first."""
    if any(not port.http and port.expose != "internal" for port in inputs.template.ports):
        return inputs.update.model_copy(update={"order": "stop-first"})
    return inputs.update


def recorded_inputs(endpoint: Endpoint, document: Document) -> WorkloadInputs:
    assert document.deployed is not None
    current = document.revisions.get(document.deployed.revision)
    own = {"endpoint": endpoint, "secrets": current.secrets if current else {}}
    return WorkloadInputs.model_validate({**document.deployed.inputs, **own})


def outputs(document: Document, found: Sequence[Group]) -> WorkloadOutputs:
    """What is there now, without waiting for any probe and without changing anything."""
    deployed = document.deployed
    revision, replicas = (deployed.revision, deployed.replicas) if deployed else (0, 0)
    current = document.revisions.get(revision)
    running = [item for item in found if item.running and _whole(item, document)]
    digest = current.revision.hash if current else ""
    return WorkloadOutputs(
        revision=revision,
        hash=digest,
        replicas=replicas,
        ready=sum(item.revision == revision and item.hash == digest for item in running),
        history=[item.revision for item in document.kept],
        instances=[
            InstanceOutput(id=item.name, index=item.index, revision=item.revision, dial=dials(item)) for item in running
        ],
    )


def _place(id: str, inputs: WorkloadInputs | None) -> tuple[Endpoint, str, str]:
    """Where, namespace, workload. An import's id is `<ns>/<workload>`, or `<host>|<ns>/<workload>`."""
    if inputs is not None:
        return inputs.endpoint, inputs.ns, inputs.workload
    endpoint, name = located(id)
    ns, slash, workload = name.partition("/")
    if not (slash and ns and workload):
        raise Rejected(id, "is not an id to import", "use <namespace>/<workload>, or <docker host>|<namespace>/...")
    return endpoint, ns, workload


def _port_problems(inputs: WorkloadInputs) -> list[AnytierError]:
    """A port that the proxy does not carry is the container's own, by its own number."""
    found: list[AnytierError] = []
    direct = any(not port.http for port in inputs.template.ports)
    for number, port in enumerate(inputs.template.ports):
        where = f"template.ports[{number}]"
        if direct and port.port != port.target and (port.http or port.expose == "internal"):
            what = f"port {port.name}: the workload has ports that are not HTTP, so its name leads past the proxy"
            found.append(Rejected(f"{where}.port", what, "give port and targetPort the same number"))
        if not port.http and port.expose != "internal" and inputs.replicas > 1:
            what = f"port {port.name} is not HTTP: one container holds such a port of the machine"
            found.append(Rejected("replicas", what, "set scale.replicas to 1"))
    return found


__all__ = ["Daemon", "InstanceOutput", "WorkloadInputs", "WorkloadOutputs", "WorkloadResource"]
