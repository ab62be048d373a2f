"""`anytier:host:Volume`: a directory that outlives the workloads that use it."""

from __future__ import annotations

import posixpath
from typing import Annotated

from pydantic import Field

from anytier.errors import AnytierError, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.host.ids import on, parse_volume
from anytier.provider.host.machines import machine_of
from anytier.provider.host.models import LocalRef, MachineRef
from anytier.provider.host.transport import File
from anytier.provider.resource import Context, Resource


class VolumeInputs(Frozen):
    """`retain`: the data stays when the volume is destroyed. `owner` is user[:group], for root only."""

    machine: Annotated[MachineRef, Field(discriminator="kind"), replaces] = LocalRef()
    path: Annotated[str, replaces]
    retain: bool = False
    owner: str | None = None
    mode: str = "0700"


class VolumeOutputs(Frozen):
    path: str


class VolumeResource(Resource[VolumeInputs, VolumeOutputs]):
    inputs = VolumeInputs
    outputs = VolumeOutputs

    def check(self, inputs: VolumeInputs) -> list[AnytierError]:
        if posixpath.normpath(inputs.path) != inputs.path or posixpath.dirname(inputs.path) in ("", "/"):
            return [Rejected("path", f"{inputs.path!r} cannot be a volume", "use an absolute path inside a folder")]
        return []

    async def create(self, ctx: Context, inputs: VolumeInputs) -> tuple[str, VolumeOutputs]:
        id = on(inputs.machine, inputs.path)
        ctx.made(id, VolumeOutputs(path=inputs.path))
        await self._make(inputs)
        return id, VolumeOutputs(path=inputs.path)

    async def read(
        self, ctx: Context, id: str, inputs: VolumeInputs | None, state: VolumeOutputs | None
    ) -> tuple[VolumeInputs, VolumeOutputs] | None:
        if inputs is None:
            where = parse_volume(id)
            inputs = VolumeInputs(machine=where.machine, path=where.path)
        folder, name = posixpath.split(inputs.path)
        if name not in await machine_of(inputs.machine).list(folder):
            return None
        return inputs, VolumeOutputs(path=inputs.path)

    async def update(
        self, ctx: Context, id: str, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs
    ) -> VolumeOutputs:
        await self._make(inputs)
        return VolumeOutputs(path=inputs.path)

    async def delete(self, ctx: Context, id: str, inputs: VolumeInputs, state: VolumeOutputs) -> None:
        """With the folders above it that it leaves empty: `volumes`, and the app's state folder."""
        if inputs.retain:
            return
        machine = machine_of(inputs.machine)
        await machine.remove([inputs.path])
        volumes = posixpath.dirname(inputs.path)
        above = [volumes, posixpath.dirname(volumes)] if posixpath.basename(volumes) == "volumes" else []
        await machine.remove(above, only_empty=True)

    async def _make(self, inputs: VolumeInputs) -> None:
        """The folders above are passed through by programs that run as other users, hence 0711 where new, for root."""
        machine = machine_of(inputs.machine)
        above = 0o711 if (await machine.facts()).root else 0o700
        volumes = posixpath.dirname(inputs.path)
        folders = [posixpath.dirname(volumes), volumes] if posixpath.basename(volumes) == "volumes" else []
        name = posixpath.basename(inputs.path)
        known = name in await machine.list(volumes)
        files = [File(folder, None, above) for folder in folders if not await machine.list(folder)]
        # An existing volume keeps the owner that its app gave it, unless one is asked for.
        mode = None if known and inputs.owner is None else int(inputs.mode, 8)
        await machine.put([*files, File(inputs.path, None, mode, inputs.owner)])
