"""`anytier:kubernetes:Run`: waits for a Job to its end, and says with its last log lines why it failed.

A Job runs once. One that failed in an earlier run is made anew, since the same spec has the same name; what is under
way goes on. The engine takes no Job away: one that it has put aside in a run that failed may be the wanted one again,
by the same name. Those of another spec go when the wanted one has ended well, all of them with the run itself.
"""

from __future__ import annotations

import asyncio
import copy
import time
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.kubernetes import kinds
from anytier.provider.kubernetes.client import Api, Json, api
from anytier.provider.kubernetes.evidence import explained
from anytier.provider.kubernetes.rollout import ATTEMPTS, LATER, SOON, ClusterInputs
from anytier.provider.kubernetes.workload import keep
from anytier.provider.resource import Context, Resource

JOB = "anytier.dev/job"  # the label of all that belongs to a job, by the app's name for it
# What the server adds to a Job, and would refuse to be given.
_ADDED = ("controller-uid", "batch.kubernetes.io/controller-uid", "job-name", "batch.kubernetes.io/job-name")
_REREAD = 5.0  # seconds between two readings of a running job's log: a deadline takes its pods away with their logs


class RunInputs(ClusterInputs):
    """`job` is the app's name for it, `name` the Job's, which says by itself what it runs. `deadline`: seconds after
    which waiting ends, should the Job not end by itself."""

    job: Annotated[str, replaces]
    name: str
    deadline: float = Field(default=3600, gt=0)


class RunOutputs(Frozen):
    """`finished_at` 0: it has not ended well yet. `uid`: of the Job that was waited for."""

    uid: str = ""
    finished_at: float = 0
    seconds: float = 0


class RunResource(Resource[RunInputs, RunOutputs]):
    inputs = RunInputs
    outputs = RunOutputs

    def drifted(self, inputs: RunInputs, state: RunOutputs) -> list[str]:
        return [] if state.finished_at else ["name"]

    async def create(self, ctx: Context, inputs: RunInputs) -> tuple[str, RunOutputs]:
        id = f"{inputs.ns}/{inputs.job}"
        return id, await _wait(ctx, id, inputs, RunOutputs())

    async def update(
        self, ctx: Context, id: str, old_inputs: RunInputs, state: RunOutputs, inputs: RunInputs
    ) -> RunOutputs:
        return await _wait(ctx, id, inputs, state)

    async def read(
        self, ctx: Context, id: str, inputs: RunInputs | None, state: RunOutputs | None
    ) -> tuple[RunInputs, RunOutputs] | None:
        """A job that has run has run, whatever became of its pods."""
        if inputs is None or state is None:
            raise Rejected(id, "a job's run is not imported", "let `pulumi up` run it")
        return inputs, state

    async def delete(self, ctx: Context, id: str, inputs: RunInputs, state: RunOutputs) -> None:
        """With its Jobs. Where the cluster goes, or the namespace, this is not asked."""
        await _prune(api(inputs.kubeconfig), inputs)


async def _wait(ctx: Context, id: str, inputs: RunInputs, state: RunOutputs) -> RunOutputs:
    there = api(inputs.kubeconfig)
    path = f"/apis/batch/v1/namespaces/{inputs.ns}/jobs/{inputs.name}"
    job = await _job(there, path, inputs)
    if ended(job)[0] is False and state.uid == kinds.uid(job):
        ctx.status("made anew")
        job = await _again(there, path, job)
    ctx.made(id, RunOutputs(uid=kinds.uid(job)))
    began, read, blind, said = time.monotonic(), 0.0, 0, ""
    while True:
        well, why = ended(job)
        spent = time.monotonic() - began
        if well:
            await keep(there, inputs.ns, f"{JOB}={inputs.job}", job, [job])
            await _prune(there, inputs, inputs.name)
            return RunOutputs(uid=kinds.uid(job), finished_at=round(time.time(), 3), seconds=duration(job))
        if well is False or spent > inputs.deadline:
            told = await _told(there, inputs, job) or said
            head = f"failed ({why})" if well is False else f"did not end within {inputs.deadline:g} s"
            raise Rejected(f"jobs.{inputs.job}", f"{head}: {told}", "mend it, then run again")
        if spent - read > _REREAD:
            read, said = spent, await _told(there, inputs, job)
        ctx.status(f"running  {spent:.0f} s")
        await asyncio.sleep(SOON if spent < 10 else LATER)
        try:
            job, blind = await _job(there, path, inputs), 0
        except Unreachable:
            blind += 1
            if blind >= ATTEMPTS:
                raise


async def _job(there: Api, path: str, inputs: RunInputs) -> Json:
    try:
        return await there.get(path)
    except NotFound:
        what = "was removed while it ran, or before"
        raise NotFound(f"jobs.{inputs.job}", what, "`pulumi up --refresh` makes it again") from None


async def _again(there: Api, path: str, job: Json) -> Json:
    """The same Job once more. Its name is free when the old one has gone."""
    await there.delete(path)
    for _ in range(120):
        if await there.find(path) is None:
            break
        await asyncio.sleep(SOON)
    return await there.post(path.rpartition("/")[0], anew(job))


async def _prune(there: Api, inputs: RunInputs, but: str = "") -> None:
    """Takes away the Jobs of this job, but for the one of that name, and what a CronJob has started."""
    where = f"/apis/batch/v1/namespaces/{inputs.ns}/jobs"
    for item in await there.items(where, labelSelector=f"{JOB}={inputs.job}"):
        if kinds.meta(item)["name"] != but and not kinds.meta(item).get("ownerReferences"):
            await there.delete(f"{where}/{kinds.meta(item)['name']}")


async def _told(there: Api, inputs: RunInputs, job: Json) -> str:
    """Why its pods did not end well; empty while none has told anything."""
    try:
        pods = await there.items(kinds.pods(inputs.ns), labelSelector=f"batch.kubernetes.io/job-name={inputs.name}")
    except AnytierError:
        return ""
    bad = [pod for pod in pods if (pod.get("status") or {}).get("phase") != "Succeeded"]
    bad.sort(key=lambda pod: kinds.moment(kinds.meta(pod).get("creationTimestamp")), reverse=True)
    return await explained(there, inputs.ns, bad, [job])


# pure


def ended(job: Json) -> tuple[bool | None, str]:
    """(True: well, False: not, None: not yet; the reason in the API's word)."""
    for item in (job.get("status") or {}).get("conditions") or ():
        if item.get("status") == "True" and item.get("type") in ("Complete", "Failed"):
            return item["type"] == "Complete", str(item.get("reason") or "")
    return None, ""


def duration(job: Json) -> float:
    status = job.get("status") or {}
    begin, end = kinds.moment(status.get("startTime")), kinds.moment(status.get("completionTime"))
    return round(max(0.0, end - begin), 2) if begin and end else 0.0


def anew(job: Json) -> Json:
    """A Job as it was first given, without what the server has added."""
    spec: Any = copy.deepcopy(job["spec"])
    spec.pop("selector", None)
    head = (spec.get("template") or {}).get("metadata") or {}
    meta = job["metadata"]
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key not in _ADDED}
    if "labels" in head:
        head["labels"] = {key: value for key, value in head["labels"].items() if key not in _ADDED}
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if "tracking" not in key}
    kept = {"name": meta["name"], "namespace": meta["namespace"], "labels": labels, "annotations": notes}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": kept, "spec": spec}
