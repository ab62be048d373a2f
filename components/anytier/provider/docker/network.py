"""`anytier:docker:Network`: the bridge that an app's containers share, where they know each other by name."""

from __future__ import annotations

import re
from typing import Annotated, Any

from anytier.errors import AnytierError, Conflict, Denied, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import claim, labels
from anytier.provider.docker.client import Daemon, Endpoint, daemon, located
from anytier.provider.docker.patience import patiently
from anytier.provider.fields import ignored, replaces
from anytier.provider.resource import Context, Resource

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_BUILT_IN = ("bridge", "host", "none")


class NetworkInputs(Frozen):
    """`name` is also the name on the daemon, and the namespace of the app whose network it is; `owner`: whose app.
    `incarnation`: as of `AppInputs`."""

    endpoint: Annotated[Endpoint, replaces] = Endpoint()
    name: Annotated[str, replaces]
    owner: Annotated[str, ignored] = ""
    incarnation: str | None = None


class NetworkOutputs(Frozen):
    """`network_id` is the daemon's; empty while it is not known that the network is there."""

    network_id: str = ""


class NetworkResource(Resource[NetworkInputs, NetworkOutputs]):
    inputs = NetworkInputs
    outputs = NetworkOutputs

    def check(self, inputs: NetworkInputs) -> list[AnytierError]:
        if inputs.name in _BUILT_IN:
            return [Rejected("name", f"{inputs.name!r} is one of Docker's own networks", "choose another name")]
        return wrong_name(inputs.name)

    async def create(self, ctx: Context, inputs: NetworkInputs) -> tuple[str, NetworkOutputs]:
        return inputs.name, await self._ensure(ctx, inputs.name, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: NetworkInputs | None, state: NetworkOutputs | None
    ) -> tuple[NetworkInputs, NetworkOutputs] | None:
        endpoint, name = (inputs.endpoint, inputs.name) if inputs else located(id)
        found = await find(await daemon(endpoint), name)
        if found is None:
            return None
        return inputs or NetworkInputs(endpoint=endpoint, name=name), NetworkOutputs(network_id=str(found["Id"]))

    async def update(
        self, ctx: Context, id: str, old_inputs: NetworkInputs, state: NetworkOutputs, inputs: NetworkInputs
    ) -> NetworkOutputs:
        """After a create that failed half way, or on another installation of the machine: all else is what it is."""
        return await self._ensure(ctx, id, inputs, state.network_id, old_inputs.owner)

    async def delete(self, ctx: Context, id: str, inputs: NetworkInputs, state: NetworkOutputs) -> None:
        there = await daemon(inputs.endpoint)
        found = await find(there, inputs.name)
        if found is None:
            return
        replaced = found["Id"] != state.network_id and not is_ours(found)
        if replaced or await claim.is_anothers(there, inputs.name, inputs.owner):
            ctx.left_alone(f"network {inputs.name}")
            return

        async def attempt() -> None:
            try:
                await there.delete(f"networks/{found['Id']}", f"network {inputs.name}")
            except (Conflict, Denied) as error:  # older daemons say 403 where newer ones say 409
                raise await _still_used(there, inputs.name, str(found["Id"])) from error

        await patiently(attempt, Conflict, Denied)

    async def _ensure(
        self, ctx: Context, id: str, inputs: NetworkInputs, known: str = "", before: str | None = None
    ) -> NetworkOutputs:
        """`known` is the id of the network on record: an imported one carries no label of ours. `before`: the owner on
        record, None where nothing is."""
        there = await daemon(inputs.endpoint)
        await claim.require_ours(there, inputs.name, inputs.owner, before)
        found = await find(there, inputs.name)
        if found is None:
            ctx.made(id, NetworkOutputs())
            body = {
                "Name": inputs.name,
                "Driver": "bridge",
                "CheckDuplicate": True,
                "Labels": {labels.ROLE: "network", labels.NAMESPACE: inputs.name},
            }
            made = await there.post("networks/create", body, f"network {inputs.name}")
            return NetworkOutputs(network_id=str(made["Id"]))
        if not is_ours(found) and found["Id"] != known:
            do = f"`docker network rm {inputs.name}`, or `pulumi import anytier:docker:Network NAME {inputs.name}`"
            raise Conflict(f"network {inputs.name}", "is there already and is not ours", do)
        return NetworkOutputs(network_id=str(found["Id"]))


def wrong_name(name: str) -> list[AnytierError]:
    """What the daemon would refuse as the name of a network or a volume."""
    if NAME.fullmatch(name):
        return []
    do = "up to 128 letters, digits, `-`, `_` and `.`, beginning with a letter or digit"
    return [Rejected("name", f"{name!r} cannot be a name on a Docker daemon", do)]


async def find(there: Daemon, name: str) -> Any:
    """The network of exactly this name: asked for one, the daemon also answers with an id that begins so."""
    listed = await there.get("networks", f"network {name}", filters={"name": [f"^{re.escape(name)}$"]})
    return next((item for item in listed if item["Name"] == name), None)


def is_ours(found: Any) -> bool:
    return labels.label(found, labels.ROLE) == "network"


async def _still_used(there: Daemon, name: str, id: str) -> Conflict:
    """Who uses a network that the daemon will not remove. Nobody: older daemons sometimes count one too many when many
    containers go at once, and count anew only when they start."""
    found = await there.find(f"networks/{id}") or {}
    users = sorted(str(item["Name"]) for item in (found.get("Containers") or {}).values())
    if users:
        do = f"`docker network disconnect -f {name} NAME` for each, then run again"
        return Conflict(f"network {name}", f"is still used by {', '.join(users)}", do)
    what = "is in use, says the daemon, though no container is in it"
    return Conflict(f"network {name}", what, "restart the Docker daemon, which then counts anew, and run again")
