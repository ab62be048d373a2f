"""`anytier:docker:Job`: containers that run once to their end, again when they fail, and again when inputs change.

The containers of the last attempt stay, ended, so that `docker logs` has what they said; delete takes them away.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import claim, files, group, labels, tools
from anytier.provider.docker.client import Daemon, daemon
from anytier.provider.docker.group import Group, Plan
from anytier.provider.docker.models import ContainerInputs
from anytier.provider.docker.template import problems
from anytier.provider.fields import replaces
from anytier.provider.resource import Context, Resource


class JobInputs(ContainerInputs):
    """`timeout` covers each attempt, in seconds; `trigger` is anything whose change runs the job again."""

    job: Annotated[str, replaces]
    timeout: float | None = Field(default=None, gt=0)
    backoff_limit: int = Field(default=0, ge=0, le=100)
    trigger: Any = None


class JobOutputs(Frozen):
    """`finished_at` 0: it has not ended well yet."""

    attempts: int = 0
    finished_at: float = 0
    seconds: float = 0


class JobResource(Resource[JobInputs, JobOutputs]):
    inputs = JobInputs
    outputs = JobOutputs

    def check(self, inputs: JobInputs) -> list[AnytierError]:
        return problems(inputs.template, inputs.volumes)

    def drifted(self, inputs: JobInputs, state: JobOutputs) -> list[str]:
        return [] if state.finished_at else ["trigger"]

    async def create(self, ctx: Context, inputs: JobInputs) -> tuple[str, JobOutputs]:
        id = f"{inputs.ns}/{inputs.job}"
        return id, await self._run(ctx, id, inputs, None)

    async def update(
        self, ctx: Context, id: str, old_inputs: JobInputs, state: JobOutputs, inputs: JobInputs
    ) -> JobOutputs:
        if state.finished_at and not self.changed(old_inputs, inputs):
            return state
        return await self._run(ctx, id, inputs, old_inputs.owner)

    async def read(
        self, ctx: Context, id: str, inputs: JobInputs | None, state: JobOutputs | None
    ) -> tuple[JobInputs, JobOutputs] | None:
        """A job that has run has run, whatever became of its containers."""
        if inputs is None or state is None:
            raise Rejected(id, "a job is not imported", "let `pulumi up` run it")
        await daemon(inputs.endpoint)
        return inputs, state

    async def delete(self, ctx: Context, id: str, inputs: JobInputs, state: JobOutputs) -> None:
        there = await daemon(inputs.endpoint)
        if await claim.is_anothers(there, inputs.ns, inputs.owner):
            ctx.left_alone(f"job {inputs.job}")
            return
        await _clear(there, inputs)
        await tools.tidy(there)

    async def _run(self, ctx: Context, id: str, inputs: JobInputs, before: str | None) -> JobOutputs:
        there = await daemon(inputs.endpoint)
        await claim.require_ours(there, inputs.ns, inputs.owner, before)
        began = time.time()
        ctx.made(id, JobOutputs())
        said = ""
        for attempt in range(1, inputs.backoff_limit + 2):
            ctx.status(f"running{f', attempt {attempt}' if attempt > 1 else ''}")
            said = await self._attempt(there, inputs)
            if not said:
                seconds = round(time.time() - began, 2)
                return JobOutputs(attempts=attempt, finished_at=round(time.time(), 3), seconds=seconds)
            if attempt <= inputs.backoff_limit:
                await asyncio.sleep(min(30.0, 2.0 ** (attempt - 1)))
        tries = "" if inputs.backoff_limit == 0 else f" ({inputs.backoff_limit + 1} attempts)"
        raise Rejected(f"jobs.{inputs.job}", f"{said}{tries}", "mend it, then run again")

    async def _attempt(self, there: Daemon, inputs: JobInputs) -> str:
        """Empty, or what went wrong with the last lines of its log."""
        await _clear(there, inputs)
        started = time.monotonic()
        try:
            async with asyncio.timeout(inputs.timeout):
                plan = await _plan(there, inputs)
                await group.start(there, plan, _name(inputs), 0)
                found = await _ended(there, inputs, plan)
        except TimeoutError:
            groups = await _groups(there, inputs)
            told = await _told(there, groups)
            await asyncio.gather(*(group.stop(there, item, inputs.template) for item in groups))
            return f"did not end within {inputs.timeout:g} s{told}"
        bad = [entry for entry in found.entries.values() if _main(entry) and not _well(entry)]
        told = await _told(there, [Group(found.name, {found.name: entry}) for entry in bad]) if bad else ""
        await _end_helpers(there, found)
        return f"failed after {time.monotonic() - started:.1f} s{told}" if bad else ""


async def _plan(there: Daemon, inputs: JobInputs) -> Plan:
    images = await group.images_of(there, inputs.template)
    marks = {labels.NAMESPACE: inputs.ns, labels.WORKLOAD: inputs.job, labels.REVISION: "0", labels.KIND: "job"}
    users = await files.users(there, inputs.template, images)
    filled = await files.ensure(there, marks, _name(inputs), inputs.template, inputs.secrets, users)
    return Plan(
        ns=inputs.ns,
        workload=inputs.job,
        revision=0,
        hash="",
        template=inputs.template,
        images=images,
        users=users,
        files=filled,
        volumes=inputs.volumes,
        network=inputs.network,
        role="job",
        restart=False,
    )


async def _ended(there: Daemon, inputs: JobInputs, plan: Plan) -> Group:
    """The group once its main containers have ended."""
    pause = 0.05
    while True:
        groups = await _groups(there, inputs)
        if not groups:
            raise Rejected(f"jobs.{inputs.job}", "was removed while it ran", "run again")
        mains = [entry for entry in groups[0].entries.values() if _main(entry)]
        if mains and all(entry["State"] in ("exited", "dead") for entry in mains):
            return groups[0]
        await asyncio.sleep(pause)
        pause = min(0.5, pause * 1.5)


async def _told(there: Daemon, groups: list[Group]) -> str:
    said = []
    for item in groups:
        for entry in item.entries.values():
            if labels.label(entry, labels.KIND) != "network":
                said.append(await group.ending(there, await there.get(f"containers/{entry['Id']}/json")))
    return f": {'; '.join(said)}" if said else ""


async def _end_helpers(there: Daemon, found: Group) -> None:
    """Sidecars and the network's holder have nothing more to do."""
    helpers = {name: entry for name, entry in found.entries.items() if not _main(entry) and entry["State"] == "running"}
    await group.remove(there, Group(found.name, helpers))


async def _clear(there: Daemon, inputs: JobInputs) -> None:
    await asyncio.gather(*(group.remove(there, item) for item in await _groups(there, inputs)))
    for item in await _volumes(there, inputs):
        await there.delete(f"volumes/{item}")


async def _groups(there: Daemon, inputs: JobInputs) -> list[Group]:
    return await group.listed(there, namespace=inputs.ns, role="job", workload=inputs.job)


async def _volumes(there: Daemon, inputs: JobInputs) -> list[str]:
    wanted = labels.filters(namespace=inputs.ns, role="files", workload=inputs.job, kind="job")
    for item in await there.get("containers/json", all=True, filters=wanted):
        await there.delete(f"containers/{item['Id']}", force=True)
    return [str(item["Name"]) for item in (await there.get("volumes", filters=wanted)).get("Volumes") or ()]


def _main(entry: Any) -> bool:
    return labels.label(entry, labels.KIND) == "main"


def _well(entry: Any) -> bool:
    """A list call tells the exit code in words only: `Exited (0) 3 seconds ago`."""
    return str(entry.get("Status") or "").startswith("Exited (0)")


def _name(inputs: JobInputs) -> str:
    return f"{inputs.ns}-job-{inputs.job}"
