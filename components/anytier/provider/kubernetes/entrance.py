"""`anytier:kubernetes:Entrance`: waits until the machines of a cluster themselves take what the app is called by.

The API server knows a Service's external addresses at once; each machine's kube-proxy opens them a moment later, and
nothing tells when. So each is called from here, until somebody answers. A firewall may stand between the machines and
here, and none between them and the app's users: who does not answer is a warning.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Annotated

from pydantic import Field

from anytier.errors import Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.resource import Context, Resource

PATIENCE = 15.0  # seconds; kube-proxy takes one or two, and somewhat more on a machine that has a lot to do
PAUSE = 0.1
CALL = 3.0  # seconds until a call without an answer is tried once more


class EntranceInputs(Frozen):
    """Each of the `ports` (TCP) on each of the `addresses`."""

    ns: Annotated[str, replaces]
    addresses: list[str] = Field(default_factory=list)
    ports: list[int] = Field(default_factory=list)


class EntranceOutputs(Frozen):
    """There is nothing to tell."""


class EntranceResource(Resource[EntranceInputs, EntranceOutputs]):
    inputs = EntranceInputs
    outputs = EntranceOutputs

    async def create(self, ctx: Context, inputs: EntranceInputs) -> tuple[str, EntranceOutputs]:
        await opened(ctx, inputs)
        return inputs.ns, EntranceOutputs()

    async def update(
        self, ctx: Context, id: str, old_inputs: EntranceInputs, state: EntranceOutputs, inputs: EntranceInputs
    ) -> EntranceOutputs:
        await opened(ctx, inputs)
        return EntranceOutputs()

    async def read(
        self, ctx: Context, id: str, inputs: EntranceInputs | None, state: EntranceOutputs | None
    ) -> tuple[EntranceInputs, EntranceOutputs] | None:
        if inputs is None:
            raise Rejected(id, "an entrance is not imported", "let `pulumi up` wait for it")
        return inputs, EntranceOutputs()

    async def delete(self, ctx: Context, id: str, inputs: EntranceInputs, state: EntranceOutputs) -> None:
        """It goes with the Services."""


async def opened(ctx: Context, inputs: EntranceInputs, patience: float = PATIENCE) -> None:
    """Returns when every address has answered on every port, or patience has ended."""
    ctx.status("waiting for the machines to open the app's ports")
    until = time.monotonic() + patience
    wanted = [(address, port) for address in inputs.addresses for port in inputs.ports]
    answers = await asyncio.gather(*(answered(address, port, until) for address, port in wanted))
    silent = [f"{address}:{port}" for (address, port), answer in zip(wanted, answers, strict=True) if not answer]
    if silent:
        ctx.warn(
            f"from here nobody answers at {', '.join(silent)} within {patience:.0f} s: where no firewall or jump host "
            "is in the way, `kubectl -n kube-system logs -l k8s-app=kube-proxy` says why"
        )


async def answered(address: str, port: int, until: float) -> bool:
    """Whether somebody has taken a connection by that time (`time.monotonic`)."""
    while True:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(min(CALL, max(PAUSE, until - time.monotonic()))):
                _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return True
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(PAUSE)
