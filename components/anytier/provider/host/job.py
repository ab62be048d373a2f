"""`anytier:host:Job`: a program that is run once to its end, again when it fails, and again when its inputs change."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces
from anytier.provider.host.contained import ImageRecord
from anytier.provider.host.fleet import reached
from anytier.provider.host.ids import id_of
from anytier.provider.host.images import image_of
from anytier.provider.host.machines import acts_as
from anytier.provider.host.manager import State, how_it_ended
from anytier.provider.host.models import Member, ProcessInputs, moved, same_machine
from anytier.provider.host.place import Place, claim, of, release, remember_mount_points
from anytier.provider.host.program import Program, json_bytes, problems, program
from anytier.provider.host.release import ensure
from anytier.provider.host.transport import File
from anytier.provider.host.workload import entries_of, layout_problems, release_of, without_secrets
from anytier.provider.redaction import redactor
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of

_LINES = 12


class JobInputs(ProcessInputs):
    """`timeout` covers each attempt, in seconds; `trigger` is anything whose change runs the job again.

    It runs on `machine` alone, also where there are several.
    """

    job: Annotated[str, replaces]
    machines: Annotated[list[Member] | None, ignored] = None
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
        return problems(inputs.template, *acts_as(inputs.machine), inputs.supervisor) + layout_problems(inputs)

    def drifted(self, inputs: JobInputs, state: JobOutputs) -> list[str]:
        return [] if state.finished_at else ["trigger"]

    def replaces(self, old: JobInputs, new: JobInputs) -> list[str]:
        return moved(old, new)

    async def create(self, ctx: Context, inputs: JobInputs) -> tuple[str, JobOutputs]:
        place = await of(inputs)
        await claim(place, inputs.owner)
        id = id_of(inputs, f"jobs/{inputs.job}")
        return id, await self._run(ctx, id, place, inputs)

    async def update(
        self, ctx: Context, id: str, old_inputs: JobInputs, state: JobOutputs, inputs: JobInputs
    ) -> JobOutputs:
        place = await of(inputs)
        await claim(place, inputs.owner, old_inputs.owner)
        if state.finished_at and not self.changed(old_inputs, inputs) and await self._there(place, inputs):
            return state
        done = await self._run(ctx, id, place, inputs)
        if not same_machine(old_inputs.machine, inputs.machine):
            await self._leave(ctx, old_inputs)
        return done

    async def read(
        self, ctx: Context, id: str, inputs: JobInputs | None, state: JobOutputs | None
    ) -> tuple[JobInputs, JobOutputs] | None:
        if inputs is None or state is None:
            raise Rejected(id, "a job is not imported", "let `pulumi up` run it")
        place = await of(inputs)
        return (inputs, state) if await self._there(place, inputs) else None

    async def delete(self, ctx: Context, id: str, inputs: JobInputs, state: JobOutputs) -> None:
        await self._remove(await of(inputs), inputs)

    async def _there(self, place: Place, inputs: JobInputs) -> bool:
        """Whether the machine still knows that it has run."""
        return bool(await place.machine.list(place.layout.job(inputs.job)))

    async def _remove(self, place: Place, inputs: JobInputs) -> None:
        await place.manager.stop(unit_name(place, inputs.job))
        await place.machine.remove([place.layout.job(inputs.job)])
        await release(place)

    async def _leave(self, ctx: Context, inputs: JobInputs) -> None:
        """Off the machine that it ran on before; one that is down is let go."""
        spots, away = await reached(inputs, [Member(name="", machine=inputs.machine)])
        for error in away:
            ctx.warn(f"{error.path} does not answer: the last run's log stays there")
        await all_of(self._remove(spot.place, inputs) for spot in spots)

    async def _run(self, ctx: Context, id: str, place: Place, inputs: JobInputs) -> JobOutputs:
        began = time.time()
        made = self._program(place, inputs, await image_of(place, inputs.template))
        ctx.made(id, JobOutputs())
        said = ""
        for attempt in range(1, inputs.backoff_limit + 2):
            ctx.status(f"running{f', attempt {attempt}' if attempt > 1 else ''}")
            said = await self._attempt(place, inputs, made)
            if not said:
                seconds = round(time.time() - began, 2)
                return JobOutputs(attempts=attempt, finished_at=round(time.time(), 3), seconds=seconds)
            if attempt <= inputs.backoff_limit:
                await asyncio.sleep(min(30.0, 2.0 ** (attempt - 1)))
        tries = "" if inputs.backoff_limit == 0 else f" ({inputs.backoff_limit + 1} attempts)"
        raise Rejected(f"jobs.{inputs.job}", f"{said}{tries}", "mend it, then run again")

    def _program(self, place: Place, inputs: JobInputs, image: ImageRecord | None) -> Program:
        name = unit_name(place, inputs.job)
        folder = place.layout.job(inputs.job)
        releases = f"{folder}/releases"
        given = (inputs.template, inputs.secrets, inputs.volumes)
        return program(place.site, name, folder, *given, {}, releases, restart=False, image=image)

    async def _attempt(self, place: Place, inputs: JobInputs, made: Program) -> str:
        """Empty, or what went wrong with the last lines of its log. The unit is gone afterwards, the log is not."""
        name = made.unit.name
        await place.manager.stop(name)
        await place.machine.remove([made.folder])
        record = File(f"{made.folder}/job.json", json_bytes(without_secrets(inputs)), 0o600)
        if made.targets:
            await remember_mount_points(place, made.targets)
        folders = [File(place.layout.jobs, None, place.site.folder_mode)]
        await place.machine.put([*folders, *made.files, record])
        await ensure(place, f"{made.folder}/releases", release_of(inputs), entries_of(inputs))
        started = time.time()
        await place.manager.start(made.unit)
        try:
            state = await self._ended(place, name, inputs.timeout)
            if state is not None and state.exit_code == 0:
                return ""
            log = await place.manager.log(name, made.unit.log, _LINES)
        finally:
            await place.manager.stop(name)
            await place.machine.remove([f"{made.folder}/secret.json"])
        limit = inputs.template.process.limits.memory if inputs.template.process else None
        if state is None:
            what = f"did not end within {inputs.timeout:g} s"
        elif state.exit_code is None:
            what = f"could not be started ({state.detail})"
        else:
            what = how_it_ended(state.exit_code, limit)
        lines = redactor(inputs.secrets.values())(log.strip()).splitlines()
        told = "; its last log lines:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
        return f"{what} after {time.time() - started:.1f} s{told}"

    async def _ended(self, place: Place, name: str, timeout: float | None) -> State | None:
        """How it is once it has ended, or could not even begin; None where it goes on for too long."""
        deadline = time.monotonic() + (timeout or float("inf"))
        pause = 0.05
        while time.monotonic() < deadline:
            state = (await place.manager.states()).get(name)
            if state is not None and not state.running and (state.exit_code is not None or state.failed):
                return state
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 1.5)
        return None


def unit_name(place: Place, job: str) -> str:
    return f"{place.layout.ns}-job-{job}"
