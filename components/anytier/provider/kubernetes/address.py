"""`anytier:kubernetes:Address`: where a Service's load balancer is reached, once its cloud has made one; or a Gateway,
once its controller has."""

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
_WANTED = ("Accepted", "Programmed")  # conditions of a Gateway


class AddressInputs(ClusterInputs):
    """The name of the one or the other."""

    service: Annotated[str | None, replaces] = None
    gateway: Annotated[str | None, replaces] = None


class AddressOutputs(Frozen):
    address: str = ""


class AddressResource(Resource[AddressInputs, AddressOutputs]):
    inputs = AddressInputs
    outputs = AddressOutputs

    async def create(self, ctx: Context, inputs: AddressInputs) -> tuple[str, AddressOutputs]:
        found = await awaited(api(inputs.kubeconfig), ctx, inputs)
        return f"{inputs.ns}/{inputs.gateway or inputs.service}", AddressOutputs(address=found)

    async def update(
        self, ctx: Context, id: str, old_inputs: AddressInputs, state: AddressOutputs, inputs: AddressInputs
    ) -> AddressOutputs:
        return AddressOutputs(address=await awaited(api(inputs.kubeconfig), ctx, inputs))

    async def read(
        self, ctx: Context, id: str, inputs: AddressInputs | None, state: AddressOutputs | None
    ) -> tuple[AddressInputs, AddressOutputs] | None:
        if inputs is None:
            raise Rejected(id, "an address is not imported", "let `pulumi up` find it")
        found = await api(inputs.kubeconfig).find(path_of(inputs))
        address = address_in(found) if found is not None else None
        return (inputs, AddressOutputs(address=address)) if address else None

    async def delete(self, ctx: Context, id: str, inputs: AddressInputs, state: AddressOutputs) -> None:
        """It goes with what it is of."""


def path_of(inputs: AddressInputs) -> str:
    if inputs.gateway:
        return f"/apis/gateway.networking.k8s.io/v1/namespaces/{inputs.ns}/gateways/{inputs.gateway}"
    return f"/api/v1/namespaces/{inputs.ns}/services/{inputs.service}"


async def awaited(there: Api, ctx: Context, inputs: AddressInputs, patience: float = PATIENCE) -> str:
    """RolloutFailed where nobody makes a load balancer; NotFound where what wants one is gone."""
    where = f"gateway {inputs.gateway}" if inputs.gateway else f"service {inputs.service}"
    until = time.monotonic() + patience
    while True:
        found = await there.find(path_of(inputs))
        if found is None:
            raise NotFound(where, f"is not there in namespace {inputs.ns}", "run again")
        wrong = unprogrammed(found)
        if (address := address_in(found)) and not wrong:
            return address
        if time.monotonic() >= until:
            raise _late(inputs, wrong, patience)
        ctx.status("waiting for the Gateway" if inputs.gateway else "waiting for the cloud's load balancer")
        await asyncio.sleep(PAUSE)


def _late(inputs: AddressInputs, wrong: str | None, patience: float) -> RolloutFailed:
    if name := inputs.gateway:
        what = f"does not serve after {patience:.0f} s: {wrong or 'it has no address'}"
        do = f"`kubectl -n {inputs.ns} describe gateway {name}` says more; is there a controller for its class?"
        return RolloutFailed(f"gateway {name}", what, do)
    what = f"has no load balancer after {patience:.0f} s"
    do = f"`kubectl -n {inputs.ns} describe service {inputs.service}` says what the cloud answered"
    return RolloutFailed(f"service {inputs.service}", what, do)


def unprogrammed(found: Json) -> str | None:
    """What a Gateway's controller says is in the way; None for nothing, and for a Service."""
    conditions = (found.get("status") or {}).get("conditions") or []
    wrong = [item for item in conditions if item.get("type") in _WANTED and item.get("status") != "True"]
    return next((str(item.get("message") or item.get("reason")) for item in wrong), None)


def address_in(found: Json) -> str | None:
    """The host name or the IP address that the status tells first; None before it does."""
    status = found.get("status") or {}
    of_service = (status.get("loadBalancer") or {}).get("ingress") or []
    told = [entry.get("hostname") or entry.get("ip") for entry in of_service if isinstance(entry, dict)]
    told += [entry.get("value") for entry in status.get("addresses") or [] if isinstance(entry, dict)]
    return next((str(each) for each in told if each), None)
