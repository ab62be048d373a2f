"""`anytier:kubernetes:Address`: where a Service's load balancer is reached, once its cloud has made one."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from anytier.errors import NotFound, Rejected, RolloutFailed
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.kubernetes.client import Api, Json, api
from anytier.provider.kubernetes.rollout import ClusterInputs
from anytier.provider.resource import Context, Resource

PATIENCE = 600.0  # seconds; the clouds take from ten seconds to a few minutes
PAUSE = 2.0


class AddressInputs(ClusterInputs):
    service: Annotated[str, replaces]


class AddressOutputs(Frozen):
    address: str = ""


class AddressResource(Resource[AddressInputs, AddressOutputs]):
    inputs = AddressInputs
    outputs = AddressOutputs

    async def create(self, ctx: Context, inputs: AddressInputs) -> tuple[str, AddressOutputs]:
        found = await awaited(api(inputs.kubeconfig), ctx, inputs)
        return f"{inputs.ns}/{inputs.service}", AddressOutputs(address=found)

    async def update(
        self, ctx: Context, id: str, old_inputs: AddressInputs, state: AddressOutputs, inputs: AddressInputs
    ) -> AddressOutputs:
        return AddressOutputs(address=await awaited(api(inputs.kubeconfig), ctx, inputs))

    async def read(
        self, ctx: Context, id: str, inputs: AddressInputs | None, state: AddressOutputs | None
    ) -> tuple[AddressInputs, AddressOutputs] | None:
        if inputs is None:
            raise Rejected(id, "an address is not imported", "let `pulumi up` find it")
        service = await api(inputs.kubeconfig).find(path_of(inputs))
        address = address_in(service) if service is not None else None
        return (inputs, AddressOutputs(address=address)) if address else None

    async def delete(self, ctx: Context, id: str, inputs: AddressInputs, state: AddressOutputs) -> None:
        """It goes with the Service."""


def path_of(inputs: AddressInputs) -> str:
    return f"/api/v1/namespaces/{inputs.ns}/services/{inputs.service}"


async def awaited(there: Api, ctx: Context, inputs: AddressInputs, patience: float = PATIENCE) -> str:
    """RolloutFailed where nobody makes a load balancer; NotFound where the Service is gone."""
    where, until = f"service {inputs.service}", time.monotonic() + patience
    while True:
        service = await there.find(path_of(inputs))
        if service is None:
            raise NotFound(where, f"is not there in namespace {inputs.ns}", "run again")
        if address := address_in(service):
            return address
        if time.monotonic() >= until:
            what = f"has no load balancer after {patience:.0f} s"
            do = f"`kubectl -n {inputs.ns} describe service {inputs.service}` says what the cloud answered"
            raise RolloutFailed(where, what, do)
        ctx.status("waiting for the cloud's load balancer")
        await asyncio.sleep(PAUSE)


def address_in(service: Json) -> str | None:
    """The host name or the IP address that the status tells first; None before it does."""
    entries = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    found = [entry.get("hostname") or entry.get("ip") for entry in entries if isinstance(entry, dict)]
    return next((str(each) for each in found if each), None)
