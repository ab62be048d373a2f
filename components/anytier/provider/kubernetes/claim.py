"""`anytier:kubernetes:Claim`: a namespace is one deployment's. Server-side apply would take any that is there.

What is made there says whose it is by an annotation of the namespace, which goes with the namespace itself.
"""

from __future__ import annotations

from typing import Annotated

from anytier.errors import Conflict, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored
from anytier.provider.kubernetes.client import Json, api
from anytier.provider.kubernetes.kinds import note
from anytier.provider.kubernetes.rollout import ClusterInputs
from anytier.provider.owner import same, told
from anytier.provider.resource import Context, Resource

OWNER = "anytier.dev/owner"


class ClaimInputs(ClusterInputs):
    owner: Annotated[str, ignored]


class ClaimOutputs(Frozen):
    pass


class ClaimResource(Resource[ClaimInputs, ClaimOutputs]):
    inputs = ClaimInputs
    outputs = ClaimOutputs

    async def create(self, ctx: Context, inputs: ClaimInputs) -> tuple[str, ClaimOutputs]:
        found = await api(inputs.kubeconfig).find(f"/api/v1/namespaces/{inputs.ns}")
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
