"""`anytier:libvirt:Pool`: a folder of the hypervisor's host in which volumes lie."""

from __future__ import annotations

from typing import Annotated, Any

from anytier.errors import AnytierError, NotFound
from anytier.frozen import Frozen
from anytier.provider.fields import delete_first, replaces
from anytier.provider.libvirt.connection import Hypervisor, There, library, located, there, uuid_for, wrong_host
from anytier.provider.libvirt.naming import not_ours, wrong_name, wrong_path
from anytier.provider.resource import Context, Resource
from anytier.render.libvirt import storage, xml
from anytier.render.libvirt.storage import Pool


class PoolInputs(Frozen):
    """`removeFolder`: the folder goes with the pool if it is empty; what is in it always stays."""

    host: Annotated[Hypervisor, replaces] = Hypervisor()
    name: Annotated[str, replaces]
    path: Annotated[str, delete_first]
    autostart: bool = True
    remove_folder: bool = False


class PoolOutputs(Frozen):
    uuid: str
    active: bool = False


class Found(Frozen):
    pool: Pool
    uuid: str
    active: bool
    autostart: bool


class PoolResource(Resource[PoolInputs, PoolOutputs]):
    inputs = PoolInputs
    outputs = PoolOutputs

    def check(self, inputs: PoolInputs) -> list[AnytierError]:
        return [*wrong_host(inputs.host, "pools"), *wrong_name(inputs.name), *wrong_path(inputs.path, "path")]

    def drifted(self, inputs: PoolInputs, state: PoolOutputs) -> list[str]:
        return [] if state.active else ["name"]

    async def create(self, ctx: Context, inputs: PoolInputs) -> tuple[str, PoolOutputs]:
        return inputs.name, await self._ensure(ctx, inputs, uuid_for(ctx.urn, inputs.host, inputs.name))

    async def read(
        self, ctx: Context, id: str, inputs: PoolInputs | None, state: PoolOutputs | None
    ) -> tuple[PoolInputs, PoolOutputs] | None:
        host, name = (inputs.host, inputs.name) if inputs else located(id)
        found = await find(await there(host), name)
        if found is None:
            return None
        known = PoolInputs(
            host=host,
            name=name,
            path=found.pool.path,
            autostart=found.autostart,
            remove_folder=inputs.remove_folder if inputs else False,
        )
        return known, PoolOutputs(uuid=found.uuid, active=found.active)

    async def update(
        self, ctx: Context, id: str, old_inputs: PoolInputs, state: PoolOutputs, inputs: PoolInputs
    ) -> PoolOutputs:
        return await self._ensure(ctx, inputs, state.uuid)

    async def delete(self, ctx: Context, id: str, inputs: PoolInputs, state: PoolOutputs) -> None:
        place, path = await there(inputs.host), f"pool {inputs.name}"
        found = await find(place, inputs.name)
        if found is None:
            return
        if found.uuid != state.uuid:
            ctx.left_alone(f"pool {inputs.name}")
            return
        async with place.lock(inputs.name):
            await place.call(path, lambda raw: _remove(raw, inputs.name, inputs.remove_folder))

    async def _ensure(self, ctx: Context, inputs: PoolInputs, uuid: str) -> PoolOutputs:
        place, path = await there(inputs.host), f"pool {inputs.name}"
        place.require("pools", path)
        found = await find(place, inputs.name)
        if found is None:
            ctx.made(inputs.name, PoolOutputs(uuid=uuid))
            text = xml.written(storage.pool(Pool(name=inputs.name, path=inputs.path), uuid))
            await place.call(path, lambda raw: raw.storagePoolDefineXML(text, 0))
        elif found.uuid != uuid:
            raise not_ours(path, "pool-undefine", "Pool", inputs.name)
        async with place.lock(inputs.name):
            await place.call(path, lambda raw: _run(raw, inputs.name, inputs.autostart))
        return PoolOutputs(uuid=uuid, active=True)


async def find(place: There, name: str) -> Found | None:
    def look(raw: Any) -> Found:
        item = raw.storagePoolLookupByName(name)
        root = xml.read(item.XMLDesc(0))
        return Found(
            pool=storage.parse_pool(root),
            uuid=str(root.findtext("uuid")),
            active=bool(item.isActive()),
            autostart=bool(item.autostart()),
        )

    try:
        return await place.call(f"pool {name}", look)
    except NotFound:
        return None


def _run(raw: Any, name: str, autostart: bool) -> None:
    item = raw.storagePoolLookupByName(name)
    if not item.isActive():
        item.build(0)  # the folder, where it is missing
        item.create(0)
    if bool(item.autostart()) != autostart:
        item.setAutostart(int(autostart))


def _remove(raw: Any, name: str, folder: bool) -> None:
    item = raw.storagePoolLookupByName(name)
    empty = False
    if item.isActive():
        item.refresh(0)
        empty = not item.listAllVolumes(0)
        item.destroy()
    if folder and empty:
        try:
            item.delete(0)
        except library().libvirtError:
            pass  # a subfolder, or a file that no volume can be: it stays
    item.undefine()
