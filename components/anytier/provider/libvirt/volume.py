"""`anytier:libvirt:Volume`: a disk image in a pool: empty, an overlay of another one, or made of an image's bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, Rejected
from anytier.frozen import Frozen
from anytier.hypervisors.drivers import Ability
from anytier.hypervisors.uri import driver
from anytier.provider.fields import delete_first, ignored, replaces
from anytier.provider.libvirt import store
from anytier.provider.libvirt.connection import Hypervisor, There, located, there, wrong_host
from anytier.provider.libvirt.image import Image, Source, ready, wrong_source
from anytier.provider.libvirt.naming import wrong_name, wrong_path
from anytier.provider.resource import Context, Resource
from anytier.render.libvirt.storage import Backing, Format, Volume


class VolumeInputs(Frozen):
    """`size` in bytes; what it is made of says it where it is left out, and it can grow but not shrink.

    `retain`: the data stays when the volume is destroyed. `adopt`: one of this name and format that is there already is
    taken over, with its data. Another source or backing is another volume.
    """

    host: Annotated[Hypervisor, replaces] = Hypervisor()
    pool: Annotated[str, replaces]
    name: Annotated[str, replaces]
    format: Annotated[Format, delete_first] = "qcow2"
    size: int | None = Field(default=None, ge=1, le=2**53)
    source: Annotated[Source | None, delete_first] = None
    backing: Annotated[Backing | None, delete_first] = None
    retain: bool = False
    adopt: Annotated[bool, ignored] = False


class VolumeOutputs(Frozen):
    """`path`: of the file on the host. `whole`: everything that it is made of is in it. `adopted`: imported."""

    path: str = ""
    size: int = 0
    whole: bool = False
    adopted: bool = False


class VolumeResource(Resource[VolumeInputs, VolumeOutputs]):
    inputs = VolumeInputs
    outputs = VolumeOutputs

    def check(self, inputs: VolumeInputs) -> list[AnytierError]:
        needs: list[Ability] = ["volumes"] if inputs.source is None else ["volumes", "upload"]
        wrong = [*wrong_host(inputs.host, *needs), *wrong_name(inputs.pool, "pool"), *wrong_name(inputs.name)]
        known = driver(inputs.host.uri)
        if known is not None and inputs.format not in known.formats:
            formats = " or ".join(known.formats)
            wrong.append(Rejected("format", f"{known.name} has no {inputs.format}", f"{formats}"))
        if inputs.source is not None:
            wrong += wrong_source(inputs.source)
        if inputs.backing is not None:
            wrong += wrong_path(inputs.backing.path, "backing.path")
            if inputs.format != "qcow2":
                wrong.append(Rejected("format", "only qcow2 can be an overlay", "format: qcow2"))
        if inputs.adopt and (inputs.source is not None or inputs.backing is not None):
            do = "leave it out: what is made of an image is made anew"
            wrong.append(Rejected("adopt", "is for a volume that begins empty", do))
        if inputs.source is not None and inputs.backing is not None:
            wrong.append(Rejected("backing", "goes with no source", "an overlay's bytes are those of its backing"))
        if inputs.size is None and inputs.source is None and inputs.backing is None:
            wrong.append(Rejected("size", "is required for an empty volume", "in bytes"))
        return wrong

    def drifted(self, inputs: VolumeInputs, state: VolumeOutputs) -> list[str]:
        return [] if state.whole else ["name"]

    def planned(self, old: VolumeOutputs | None, inputs: VolumeInputs) -> Mapping[str, Any]:
        if old is None:
            return {}
        _no_smaller(inputs, old.size)
        return {"path": old.path, "size": inputs.size or old.size, "whole": True, "adopted": old.adopted}

    async def create(self, ctx: Context, inputs: VolumeInputs) -> tuple[str, VolumeOutputs]:
        return f"{inputs.pool}/{inputs.name}", await self._ensure(ctx, inputs, None)

    async def read(
        self, ctx: Context, id: str, inputs: VolumeInputs | None, state: VolumeOutputs | None
    ) -> tuple[VolumeInputs, VolumeOutputs] | None:
        if inputs is None:
            host, name = located(id)
            pool, _, name = name.rpartition("/")
            if not pool:
                raise Rejected(id, "says no pool", "import it as POOL/NAME, or URI|POOL/NAME")
            inputs = VolumeInputs(host=host, pool=pool, name=name, size=1)
        found = await store.find(await there(inputs.host), inputs.pool, inputs.name)
        if found is None:
            return None
        same = state is not None and inputs.size is None and found.volume.size == state.size
        known = VolumeInputs(
            host=inputs.host,
            pool=inputs.pool,
            name=inputs.name,
            format=found.volume.format,
            size=None if same else found.volume.size,
            source=inputs.source,
            backing=inputs.backing if state is not None and inputs.source else found.volume.backing,
            retain=inputs.retain,
            adopt=inputs.adopt,
        )
        whole = state.whole if state else True
        adopted = state is None or state.adopted
        return known, VolumeOutputs(path=found.path, size=found.volume.size, whole=whole, adopted=adopted)

    async def update(
        self, ctx: Context, id: str, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs
    ) -> VolumeOutputs:
        return await self._ensure(ctx, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: VolumeInputs, state: VolumeOutputs) -> None:
        if inputs.retain:
            return
        place = await there(inputs.host)
        if await store.find(place, inputs.pool, inputs.name) is not None:
            await store.remove(place, inputs.pool, inputs.name)

    async def _ensure(self, ctx: Context, inputs: VolumeInputs, state: VolumeOutputs | None) -> VolumeOutputs:
        """`state`: what is on record, if anything; a volume without one is somebody else's."""
        place, path = await there(inputs.host), f"volume {inputs.pool}/{inputs.name}"
        place.require("volumes", path)
        found = await store.find(place, inputs.pool, inputs.name)
        if found is not None and state is None and inputs.adopt and found.volume.format == inputs.format:
            ctx.info(f"{path} is there already: it is taken over with its data")
            state = VolumeOutputs(path=found.path, size=found.volume.size, whole=True)
            ctx.made(f"{inputs.pool}/{inputs.name}", state)
        if found is not None and state is None:
            do = f"another name, or `pulumi import anytier:libvirt:Volume NAME {inputs.pool}/{inputs.name}`"
            raise Conflict(path, "is there already and is not ours", do)
        if found is not None and state is not None and state.whole:
            _no_smaller(inputs, found.volume.size)
            if inputs.size is not None and inputs.size > found.volume.size:
                await store.grow(place, inputs.pool, inputs.name, inputs.size)
            size = max(inputs.size or 0, found.volume.size)
            return VolumeOutputs(path=found.path, size=size, whole=True, adopted=state.adopted)
        image = None
        if inputs.source is not None:
            place.require("upload", path)
            image = await ready(inputs.source, f"{inputs.pool}/{inputs.name}", ctx.status)
        size = await self._size(place, inputs, image)
        if found is not None:
            await store.remove(place, inputs.pool, inputs.name)  # half-made by an earlier run
        ctx.made(f"{inputs.pool}/{inputs.name}", VolumeOutputs(size=size))
        wanted = Volume(name=inputs.name, size=size, format=inputs.format, backing=inputs.backing)
        made = await store.make(place, inputs.pool, wanted)
        if image is not None:
            await self._fill(ctx, place, inputs, image, size)
        return VolumeOutputs(path=made.path, size=size, whole=True)

    async def _size(self, place: There, inputs: VolumeInputs, image: Image | None) -> int:
        if image is not None and image.format != inputs.format:
            raise Rejected(f"volume {inputs.name}", f"its image is {image.format}", f"format: {image.format}")
        least = image.size if image is not None else 0
        if inputs.backing is not None:
            least = await store.capacity_of(place, inputs.backing.path)
        size = least if inputs.size is None else inputs.size
        if size < least:
            raise Rejected(f"volume {inputs.name}", f"size {size} is less than its image has", f"at least {least}")
        return size

    async def _fill(self, ctx: Context, place: There, inputs: VolumeInputs, image: Image, size: int) -> None:
        with image.path.open("rb") as body:
            await store.fill(place, inputs.pool, inputs.name, body, image.length, ctx.status)
        await store.refresh(place, inputs.pool)
        if size > image.size:
            await store.grow(place, inputs.pool, inputs.name, size)


def _no_smaller(inputs: VolumeInputs, size: int) -> None:
    if inputs.size is not None and inputs.size < size:
        do = f"at least {size}; a smaller one is a new volume under another name"
        raise Rejected(f"volume {inputs.pool}/{inputs.name}", f"cannot shrink from {size} to {inputs.size} bytes", do)
