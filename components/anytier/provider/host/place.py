"""One app's corner of one machine: transport, layout, process manager and what guards them, shared by all resources.

The first use by a deployment claims the corner for its owner; the last one to go leaves nothing there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from anytier.errors import Conflict
from anytier.provider.host import manager as managers
from anytier.provider.host.layout import NOTE, Layout
from anytier.provider.host.machines import machine_of
from anytier.provider.host.models import HostInputs, MachineRef
from anytier.provider.host.program import Site
from anytier.provider.host.toolbox import install, tool
from anytier.provider.host.transport import Facts, File, Machine
from anytier.provider.owner import same, told
from anytier.provider.waiting import all_of

_Key = tuple[MachineRef, str, str, str]


@dataclass
class Place:
    """Everything that acts on one app's corner. One object per process and corner, so that its locks mean something."""

    machine: Machine
    layout: Layout
    facts: Facts
    supervisor: managers.Supervisor
    manager: managers.Manager
    proxy_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    claim_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    images_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    reserved: set[int] = field(default_factory=set)  # ports given out, not yet in any record

    @property
    def site(self) -> Site:
        return Site(self.layout, self.facts, self.supervisor)

    async def tool(self, verb: str, asked: object) -> Any:
        return await tool(self.machine, self.layout, self.facts, verb, asked)


_places: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, Place]] = WeakKeyDictionary()


async def of(inputs: HostInputs) -> Place:
    """The place that the inputs name."""
    loop = asyncio.get_running_loop()
    known = _places.setdefault(loop, {})
    key = (inputs.machine, inputs.root, inputs.ns, inputs.supervisor)
    if key not in known:
        machine, layout = machine_of(inputs.machine), Layout(inputs.root, inputs.ns)
        facts = await machine.facts()
        manager = managers.of(inputs.supervisor, machine, layout, facts)
        known.setdefault(key, Place(machine, layout, facts, inputs.supervisor, manager))
    return known[key]


async def claim(place: Place, owner: str, before: str = "") -> None:
    """Makes the corner ours, or says whose it is. A deployment of which nothing runs any more belongs to nobody.

    `before`: the owner that the state has (`provider.owner.same`).
    """
    async with place.claim_lock:
        machine, layout = place.machine, place.layout
        found = await machine.read([layout.owner, layout.leaving])
        known = found.get(layout.owner, b"").decode().strip()
        await _require_ours(place, owner, known, before)
        # The folder is nobody else's business: it holds secrets.
        await machine.put([File(layout.root, None, place.site.folder_mode)])
        await install(machine, layout)
        if owner and known != owner:
            await machine.put([File(layout.owner, (owner + "\n").encode())])
        if layout.leaving in found:
            await machine.remove([layout.leaving])


async def claim_all(places: Sequence[Place], owner: str, before: str = "") -> None:
    """All of them or none: a corner that is somebody else's is told before another one is made."""
    if len(places) > 1:
        found = await all_of(place.machine.read([place.layout.owner]) for place in places)
        known = [read.get(place.layout.owner, b"").decode().strip() for place, read in zip(places, found, strict=True)]
        await all_of(_require_ours(place, owner, who, before) for place, who in zip(places, known, strict=True))
    await all_of(claim(place, owner, before) for place in places)


async def _require_ours(place: Place, owner: str, known: str, before: str) -> None:
    if not same(known, owner, before) and any(s.running for s in (await place.manager.states()).values()):
        here = "here" if place.machine.name == "this machine" else f"on {place.machine.name}"
        raise Conflict(
            f"app {place.layout.ns}",
            f"is deployed {here} from {told(known, owner)}",
            "destroy it there, or use another stack name or stateDir; if its state is lost, take it over: "
            f"`rm '{place.layout.owner}'`",
        )


async def leave(place: Place) -> None:
    """The machine is no longer the stack's. What is there goes with the last workload; nobody else comes for the proxy
    then, which until that moment serves what still runs there."""
    await place.machine.put([File(place.layout.leaving, b"")])
    await release(place)


async def revision_key(place: Place) -> bytes:
    """Keys the hashes of revisions, which would otherwise let a guess of a secret be checked."""
    async with place.claim_lock:
        path = place.layout.key
        known = (await place.machine.read([path])).get(path)
        if known is None:
            known = secrets.token_hex(32).encode()
            await place.machine.put([File(path, known, 0o600)])
        return known


async def share_key(places: Sequence[Place]) -> bytes:
    """The same key on all: that of the first that has one, so that a revision has one hash wherever it is kept."""
    found = await all_of(place.machine.read([place.layout.key]) for place in places)
    keys = [read.get(place.layout.key) for place, read in zip(places, found, strict=True)]
    key = next((item for item in keys if item), None) or secrets.token_hex(32).encode()
    wanting = [place for place, known in zip(places, keys, strict=True) if known != key]
    await all_of(place.machine.put([File(place.layout.key, key, 0o600)]) for place in wanting)
    return key


async def release(place: Place) -> None:
    """Leaves nothing behind once the last workload, job and proxy is gone. Volumes go by themselves."""
    machine, layout = place.machine, place.layout
    async with place.claim_lock:
        folders = (layout.workloads, layout.jobs, layout.instances, layout.proxy, layout.images)
        used = [folder for folder in folders if await machine.list(folder)]
        left = await machine.read([layout.leaving])
        if used:
            if not left or not set(used) <= {layout.jobs, layout.proxy, layout.images}:
                return
            await place.manager.stop(proxy_unit(layout))
        await place.manager.stop(healthd_unit(layout))
        await place.manager.close()
        await _remove_mount_points(place)
        sockets = layout.sockets(place.facts, place.supervisor)
        gone = [
            layout.lib,
            f"{layout.root}/healthd",
            layout.owner,
            layout.leaving,
            layout.key,
            layout.workloads,
            layout.jobs,
            layout.images,
            layout.instances,
            layout.proxy,
        ]
        await machine.remove([*gone, layout.supervisor, f"{layout.root}/run", sockets, layout.mount_points])
        if layout.leaving in left:
            names = await machine.list(layout.volumes)
            await machine.remove([f"{layout.volumes}/{name}" for name in names], only_empty=True)
            empty = set(names) - set(await machine.list(layout.volumes))
            await machine.remove([f"{layout.root}/{NOTE}{name}.json" for name in empty])
        short = [layout.short_base(place.facts, place.supervisor)] if not sockets.startswith(layout.root) else []
        await machine.remove([layout.volumes, layout.root, *short], only_empty=True)


def healthd_unit(layout: Layout) -> str:
    return f"{layout.ns}-healthd"


def proxy_unit(layout: Layout) -> str:
    return f"{layout.ns}-proxy"


async def remember_mount_points(place: Place, targets: list[str]) -> None:
    """systemd makes what a bind needs below `/` and leaves it there. What we cause, `release` takes away."""
    async with place.claim_lock:
        path = place.layout.mount_points
        known: list[str] = json.loads((await place.machine.read([path])).get(path, b"[]"))
        missing = await place.tool("missing", {"paths": targets})
        new = [item for item in missing if item not in known]
        if new:
            await place.machine.put([File(path, json.dumps(known + new).encode())])


async def _remove_mount_points(place: Place) -> None:
    path = place.layout.mount_points
    made: list[str] = json.loads((await place.machine.read([path])).get(path, b"[]"))
    await place.machine.remove(sorted(made, key=len, reverse=True), only_empty=True)
