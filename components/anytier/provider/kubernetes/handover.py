"""`anytier:kubernetes:Handover`: stands before a workload whose number an autoscaler decides from now on.

Such an object does not say its number. What a manager leaves out of what it applied before is taken away, and without a
number there is one: most instances would go at once. So somebody else has the number first, as Kubernetes' own guide to
horizontal autoscaling has it, until the autoscaler sets it. Where there is no such workload yet, or the number is not
ours, nothing is done. The way back needs nothing: who applies by force takes the number again.
"""

from __future__ import annotations

from typing import Annotated

from anytier.errors import Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.kubernetes.client import api
from anytier.provider.kubernetes.kinds import Kind
from anytier.provider.kubernetes.rollout import ClusterInputs
from anytier.provider.kubernetes.workload import Workload
from anytier.provider.resource import Context, Resource


class HandoverInputs(ClusterInputs):
    """The workload."""

    kind: Annotated[Kind, replaces] = "Deployment"
    name: Annotated[str, replaces]


class HandoverOutputs(Frozen):
    """There is nothing to tell."""


class HandoverResource(Resource[HandoverInputs, HandoverOutputs]):
    inputs = HandoverInputs
    outputs = HandoverOutputs

    async def create(self, ctx: Context, inputs: HandoverInputs) -> tuple[str, HandoverOutputs]:
        """Conflict where the number changes at this very moment."""
        await Workload(api(inputs.kubeconfig), inputs.kind, inputs.ns, inputs.name).hand_over()
        return f"{inputs.ns}/{inputs.kind}/{inputs.name}", HandoverOutputs()

    async def update(
        self, ctx: Context, id: str, old_inputs: HandoverInputs, state: HandoverOutputs, inputs: HandoverInputs
    ) -> HandoverOutputs:
        return state

    async def read(
        self, ctx: Context, id: str, inputs: HandoverInputs | None, state: HandoverOutputs | None
    ) -> tuple[HandoverInputs, HandoverOutputs] | None:
        """What is handed over is, for as long as it is in the state."""
        if inputs is None:
            raise Rejected(id, "a handover is not imported", "let `pulumi up` make it")
        return inputs, HandoverOutputs()

    async def delete(self, ctx: Context, id: str, inputs: HandoverInputs, state: HandoverOutputs) -> None:
        """By now the number is the object's own again, or both are gone."""
