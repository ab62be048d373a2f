"""`anytier:host:Volume`: a directory that outlives the workloads that use it, on each machine that they may run on."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces
from anytier.provider.host.ids import on, parse_volume
from anytier.provider.host.layout import NOTE, OWNER, parse_instance
from anytier.provider.host.machines import machine_of
from anytier.provider.host.manager import Supervisor
from anytier.provider.host.models import HostInputs, LocalRef, MachineRef, Member, same_machine
from anytier.provider.host.place import Place, claim_all, of, release
from anytier.provider.host.transport import File, Machine
from anytier.provider.owner import another, same
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of


class Corner(Frozen):
    """The app's corner of a machine, two folders above the volume, and `owner`: whose deployment that is."""

    supervisor: Supervisor
    ns: str
    owner: str = ""


class VolumeInputs(Frozen):
    """`retain`: the data stays when the volume is destroyed. `owner` is user[:group], for root only. `machines`: where
    there are several; what is on one that is taken out stays there. `corner`: of the app that it is in, if it is."""

    machine: Annotated[MachineRef, Field(discriminator="kind")] = LocalRef()
    machines: list[Member] | None = None
    path: Annotated[str, replaces]
    retain: bool = False
    owner: str | None = None
    mode: str = "0700"
    corner: Annotated[Corner | None, ignored] = None


class VolumeOutputs(Frozen):
    path: str


class VolumeResource(Resource[VolumeInputs, VolumeOutputs]):
    inputs = VolumeInputs
    outputs = VolumeOutputs

    def check(self, inputs: VolumeInputs) -> list[AnytierError]:
        if posixpath.normpath(inputs.path) != inputs.path or posixpath.dirname(inputs.path) in ("", "/"):
            return [Rejected("path", f"{inputs.path!r} cannot be a volume", "use an absolute path inside a folder")]
        return []

    def replaces(self, old: VolumeInputs, new: VolumeInputs) -> list[str]:
        several = old.machines is not None or new.machines is not None
        return [] if several or same_machine(old.machine, new.machine) else ["machine"]

    def foretold(self, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs) -> list[str]:
        return [self._stays(item, old_inputs) for item in gone(old_inputs, inputs)]

    async def create(self, ctx: Context, inputs: VolumeInputs) -> tuple[str, VolumeOutputs]:
        id = on(inputs.machine, inputs.path)
        await self._claim(inputs)  # what is refused is in no state, from where it would be deleted
        ctx.made(id, VolumeOutputs(path=inputs.path))
        await all_of(self._make(machine, inputs) for machine in machines(inputs))
        return id, VolumeOutputs(path=inputs.path)

    async def read(
        self, ctx: Context, id: str, inputs: VolumeInputs | None, state: VolumeOutputs | None
    ) -> tuple[VolumeInputs, VolumeOutputs] | None:
        """Gone if it is on none of its machines; where it is missing on some, the inputs say where it is."""
        if inputs is None:
            where = parse_volume(id)
            inputs = await noted(VolumeInputs(machine=where.machine, path=where.path))
        folder, name = posixpath.split(inputs.path)
        there = [name in names for names in await all_of(machine.list(folder) for machine in machines(inputs))]
        if not any(there):
            return None
        if inputs.machines and not all(there):
            left = [item for item, known in zip(inputs.machines, there, strict=True) if known]
            inputs = inputs.model_copy(update={"machines": left})
        return inputs, VolumeOutputs(path=inputs.path)

    async def update(
        self, ctx: Context, id: str, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs
    ) -> VolumeOutputs:
        await self._claim(inputs, old_inputs.corner)
        await all_of(self._make(machine, inputs) for machine in machines(inputs))
        await all_of(self._leave(ctx, item, old_inputs) for item in gone(old_inputs, inputs))
        if old_inputs.machines and not inputs.machines:
            await machine_of(inputs.machine).remove([note_of(inputs.path)])
        return VolumeOutputs(path=inputs.path)

    async def delete(self, ctx: Context, id: str, inputs: VolumeInputs, state: VolumeOutputs) -> None:
        """With the folders above it that it leaves empty: `volumes`, and the app's state folder."""
        if inputs.retain:
            return
        await all_of(self._remove(ctx, ref, inputs) for ref in refs(inputs))

    async def _claim(self, inputs: VolumeInputs, before: Corner | None = None) -> None:
        """It may be the first of an app on its machines, and another deployment's data lies under the same path."""
        if inputs.corner is None:
            return
        places = [await place_of(inputs, inputs.corner, ref) for ref in refs(inputs)]
        await claim_all(places, inputs.corner.owner, before.owner if before else "")

    async def _remove(self, ctx: Context, ref: MachineRef, inputs: VolumeInputs) -> None:
        """What another deployment has made its own stays. Who cannot say who they are, as an older state cannot, is not
        asked."""
        machine = machine_of(ref)
        record = f"{root_of(inputs.path)}/{OWNER}"
        known = (await machine.read([record])).get(record, b"").decode().strip()
        if inputs.corner and await self._is_anothers(inputs, inputs.corner, ref, known):
            ctx.left_alone(f"volume {inputs.path} on {machine.name}")
            return
        await machine.remove([inputs.path, note_of(inputs.path)])
        volumes = posixpath.dirname(inputs.path)
        above = [volumes, posixpath.dirname(volumes)] if posixpath.basename(volumes) == "volumes" else []
        await machine.remove(above, only_empty=True)
        if known and inputs.corner:
            await release(await place_of(inputs, inputs.corner, ref))  # it may have been the only one that came so far

    async def _is_anothers(self, inputs: VolumeInputs, corner: Corner, ref: MachineRef, known: str) -> bool:
        """What is known without a token may be ours, by an older version from another folder. Only if instances still
        run is it taken for another deployment's: those of ours went before their volumes."""
        if same(known, corner.owner) or another(known, corner.owner):
            return another(known, corner.owner)
        place = await place_of(inputs, corner, ref)
        running = [unit for unit, state in (await place.manager.states()).items() if state.running]
        return any(parse_instance(unit.removeprefix(f"{corner.ns}-")) for unit in running)

    async def _leave(self, ctx: Context, member: Member, inputs: VolumeInputs) -> None:
        """Off a machine that is no longer in the list: nobody's data is thrown away by that. What still runs there goes
        after this, and takes an empty directory along (`place.release`)."""
        try:
            if await machine_of(member.machine).list(inputs.path):
                ctx.warn(self._stays(member, inputs))
        except Unreachable as error:
            ctx.warn(f"{error.path} does not answer: what is in {inputs.path} stays there")

    @staticmethod
    def _stays(member: Member, inputs: VolumeInputs) -> str:
        return f"what is in {inputs.path} stays on {member}: the volume is no longer kept there"

    async def _make(self, machine: Machine, inputs: VolumeInputs) -> None:
        """The folders above are passed through by programs that run as other users, hence 0711 where new, for root."""
        above = 0o711 if (await machine.facts()).root else 0o700
        volumes = posixpath.dirname(inputs.path)
        folders = [posixpath.dirname(volumes), volumes] if posixpath.basename(volumes) == "volumes" else []
        name = posixpath.basename(inputs.path)
        known = name in await machine.list(volumes)
        files = [File(folder, None, above) for folder in folders if not await machine.list(folder)]
        # An existing volume keeps the owner that its app gave it, unless one is asked for.
        mode = None if known and inputs.owner is None else int(inputs.mode, 8)
        if inputs.machines:
            listed = [item.keyless().wire() for item in inputs.machines]
            files.append(File(note_of(inputs.path), json.dumps(listed).encode(), 0o600))
        await machine.put([*files, File(inputs.path, None, mode, inputs.owner)])


def note_of(path: str) -> str:
    """Beside the folder of volumes: on which machines it is, so that an import finds them all."""
    return f"{root_of(path)}/{NOTE}{posixpath.basename(path)}.json"


def root_of(path: str) -> str:
    """Two folders above the volume, which is the corner of its app."""
    return posixpath.dirname(posixpath.dirname(path))


async def noted(inputs: VolumeInputs) -> VolumeInputs:
    path = note_of(inputs.path)
    data = (await machine_of(inputs.machine).read([path])).get(path)
    if data is None:
        return inputs
    return inputs.model_copy(update={"machines": [Member.model_validate(item) for item in json.loads(data)]})


def machines(inputs: VolumeInputs) -> list[Machine]:
    return [machine_of(ref) for ref in refs(inputs)]


def refs(inputs: VolumeInputs) -> list[MachineRef]:
    return [item.machine for item in inputs.machines] if inputs.machines else [inputs.machine]


async def place_of(inputs: VolumeInputs, corner: Corner, ref: MachineRef) -> Place:
    where = {"root": root_of(inputs.path), "supervisor": corner.supervisor, "ns": corner.ns, "machine": ref}
    return await of(HostInputs.model_validate(where))


def gone(old: VolumeInputs, new: VolumeInputs) -> Sequence[Member]:
    """Machines that it is no longer on."""
    before = old.machines or [Member(name="", machine=old.machine)]
    now = [item.machine for item in new.machines] if new.machines else [new.machine]
    return [item for item in before if not any(same_machine(item.machine, other) for other in now)]
