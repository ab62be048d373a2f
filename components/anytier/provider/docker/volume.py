"""`anytier:docker:Volume`: data that outlives the containers that use it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import claim, labels
from anytier.provider.docker.client import Daemon, Endpoint, daemon, located
from anytier.provider.docker.network import wrong_name
from anytier.provider.docker.patience import patiently
from anytier.provider.fields import ignored, replaces
from anytier.provider.resource import Context, Resource


class VolumeInputs(Frozen):
    """`name` is also the name on the daemon. `retain`: the data stays when the volume is destroyed.

    `ns`: of the app whose volume it is, if it is one's, and `owner`: whose that is. `incarnation`: as of `AppInputs`.
    """

    endpoint: Annotated[Endpoint, replaces] = Endpoint()
    name: Annotated[str, replaces]
    labels: dict[str, str] = Field(default_factory=dict)
    retain: bool = False
    ns: Annotated[str | None, ignored] = None
    owner: Annotated[str, ignored] = ""
    incarnation: str | None = None


class VolumeOutputs(Frozen):
    """`mountpoint` is the data's place on the daemon's machine; empty while the volume may not be there.

    `adopted`: imported, so it carries no label of ours.
    """

    mountpoint: str = ""
    adopted: bool = False


class VolumeResource(Resource[VolumeInputs, VolumeOutputs]):
    inputs = VolumeInputs
    outputs = VolumeOutputs

    def check(self, inputs: VolumeInputs) -> list[AnytierError]:
        taken = [key for key in inputs.labels if key.startswith(labels.PREFIX)]
        wrong = [Rejected(f'labels["{key}"]', "is one of anytier's own labels", "choose another key") for key in taken]
        return [*wrong_name(inputs.name), *wrong]

    async def create(self, ctx: Context, inputs: VolumeInputs) -> tuple[str, VolumeOutputs]:
        return inputs.name, await self._ensure(ctx, inputs.name, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: VolumeInputs | None, state: VolumeOutputs | None
    ) -> tuple[VolumeInputs, VolumeOutputs] | None:
        endpoint, name = (inputs.endpoint, inputs.name) if inputs else located(id)
        found = await find(await daemon(endpoint), name)
        if found is None:
            return None
        asked = inputs or VolumeInputs(endpoint=endpoint, name=name)
        known = asked.model_copy(update={"labels": _own_labels(found)})
        adopted = not is_ours(found) and (state is None or state.adopted)
        return known, VolumeOutputs(mountpoint=str(found["Mountpoint"]), adopted=adopted)

    async def update(
        self, ctx: Context, id: str, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs
    ) -> VolumeOutputs:
        """`retain` is ours alone; a half-made volume is made. Docker cannot change labels, and data is not risked."""
        return await self._ensure(ctx, id, inputs, state.adopted, old_inputs.owner)

    async def delete(self, ctx: Context, id: str, inputs: VolumeInputs, state: VolumeOutputs) -> None:
        if inputs.retain:
            return
        there = await daemon(inputs.endpoint)
        found = await find(there, inputs.name)
        if found is None:
            return
        anothers = inputs.ns is not None and await claim.is_anothers(there, inputs.ns, inputs.owner)
        if anothers or (not is_ours(found) and not state.adopted):
            ctx.left_alone(f"volume {inputs.name}")
            return

        async def attempt() -> None:
            try:
                await there.delete(f"volumes/{inputs.name}", f"volume {inputs.name}")
            except Conflict as error:
                users = await _users(there, inputs.name)
                what = f"is used by {', '.join(users)}" if users else error.what
                raise Conflict(f"volume {inputs.name}", what, "remove what uses it, then run again") from error

        await patiently(attempt, Conflict)

    async def _ensure(
        self, ctx: Context, id: str, inputs: VolumeInputs, adopted: bool = False, before: str | None = None
    ) -> VolumeOutputs:
        there = await daemon(inputs.endpoint)
        if inputs.ns is not None:
            await claim.require_ours(there, inputs.ns, inputs.owner, before)
        path = f"volume {inputs.name}"
        found = await find(there, inputs.name)
        if found is None:
            ctx.made(id, VolumeOutputs())
            body = {"Name": inputs.name, "Labels": {**inputs.labels, labels.ROLE: "volume"}}
            # An existing one of this name would be answered with, as if it had been made just now.
            return VolumeOutputs(mountpoint=str((await there.post("volumes/create", body, path))["Mountpoint"]))
        if not is_ours(found) and not adopted:
            do = f"`docker volume rm {inputs.name}`, or `pulumi import anytier:docker:Volume NAME {inputs.name}`"
            raise Conflict(path, "is there already and is not ours", do)
        if _own_labels(found) != inputs.labels:
            do = "put the old labels back, or copy the data to a volume of another name"
            raise Rejected(path, "Docker cannot change the labels of a volume", do)
        return VolumeOutputs(mountpoint=str(found["Mountpoint"]), adopted=adopted and not is_ours(found))


async def find(there: Daemon, name: str) -> Any:
    return await there.find(f"volumes/{name}")


def is_ours(found: Any) -> bool:
    return labels.label(found, labels.ROLE) == "volume"


def _own_labels(found: Any) -> dict[str, str]:
    """The user's labels, without ours."""
    every = found.get("Labels") or {}
    return {str(key): str(value) for key, value in every.items() if not key.startswith(labels.PREFIX)}


async def _users(there: Daemon, name: str) -> list[str]:
    listed = await there.get("containers/json", all=True, filters={"volume": [name]})
    return sorted(labels.name_of(item) for item in listed)
