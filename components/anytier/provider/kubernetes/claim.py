"""`anytier:kubernetes:Claim`: a namespace is one deployment's. Server-side apply would take any that is there.

What is made there says whose it is by an annotation of the namespace, which goes with the namespace itself. It is the
first call of an app on its cluster, and a managed cloud gives the right to come in just before: that is known there
some minutes later, so a cluster that does not let us in is asked again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from anytier.errors import Conflict, Denied, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored
from anytier.provider.kubernetes.client import Api, Json, api
from anytier.provider.kubernetes.kinds import note
from anytier.provider.kubernetes.rollout import ClusterInputs
from anytier.provider.owner import same, told
from anytier.provider.resource import Context, Resource

OWNER = "anytier.dev/owner"
PATIENCE = 600.0  # seconds; Azure's rights take up to five minutes, by its documentation, and sometimes more
PAUSE = 10.0


class ClaimInputs(ClusterInputs):
    owner: Annotated[str, ignored]


class ClaimOutputs(Frozen):
    pass


class ClaimResource(Resource[ClaimInputs, ClaimOutputs]):
    inputs = ClaimInputs
    outputs = ClaimOutputs

    async def create(self, ctx: Context, inputs: ClaimInputs) -> tuple[str, ClaimOutputs]:
        found = await let_in(api(inputs.kubeconfig), ctx, f"/api/v1/namespaces/{inputs.ns}")
        if found is not None and (error := conflict(found, inputs)):
            raise error
        return inputs.ns, ClaimOutputs()

    async def update(
        self, ctx: Context, id: str, old_inputs: ClaimInputs, state: ClaimOutputs, inputs: ClaimInputs
    ) -> ClaimOutputs:
        return state

    async def read(
        self, ctx: Context, id: str, inputs: ClaimInputs | None, state: ClaimOutputs | None
    ) -> tuple[ClaimInputs, ClaimOutputs] | None:
        """A claim holds for as long as it is in the state; a namespace that is gone is made again."""
        if inputs is None:
            raise Rejected(id, "a claim is not imported", "let `pulumi up` make it")
        return inputs, state or ClaimOutputs()

    async def delete(self, ctx: Context, id: str, inputs: ClaimInputs, state: ClaimOutputs) -> None:
        """The annotation goes with the namespace."""


async def let_in(there: Api, ctx: Context, path: str) -> Json | None:
    """What is at `path`, None where nothing is. Denied where the cluster still says no after PATIENCE, and at once
    where it is not the cluster that says it: a command that cannot log in will not do better in a minute."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return await there.find(path)
        except Denied:
            status, _ = await there.answer(path)
            if status in (401, 403) and time.monotonic() >= until:
                raise
        if status in (401, 403):
            ctx.status("waiting until the cluster knows who we are")
            await asyncio.sleep(PAUSE)


def conflict(namespace: Json, inputs: ClaimInputs) -> Conflict | None:
    """Ours is what says so. One that is going away is nobody's, but cannot be used yet."""
    owner = note(namespace, OWNER)
    where = f"namespace {inputs.ns}"
    if (namespace.get("metadata") or {}).get("deletionTimestamp"):
        return Conflict(
            where, "is being removed", f"`kubectl get namespace {inputs.ns}` shows when it is gone; run again"
        )
    if owner and same(owner, inputs.owner):
        return None
    if owner:
        do = "destroy it there, use another stack name, or take it over: "
        return Conflict(
            where,
            f"is deployed from {told(owner, inputs.owner)}",
            f"{do}`kubectl annotate namespace {inputs.ns} {OWNER}-`",
        )
    if (namespace.get("metadata") or {}).get("labels", {}).get("app.kubernetes.io/managed-by") == "anytier":
        return None  # taken over, or claimed by a run that was killed
    return Conflict(where, "is there, and not made by anytier", "use another stack name, or remove it")
