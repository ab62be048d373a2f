"""One app's corner of one machine: transport, layout, process manager and what guards them, shared by all resources.

The first use by a deployment claims the corner for its owner; the last one to go leaves nothing there.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from anytier.errors import Conflict
from anytier.provider.host import manager as managers
from anytier.provider.host.layout import Layout
from anytier.provider.host.machines import machine_of
from anytier.provider.host.models import HostInputs, MachineRef
from anytier.provider.host.program import Site
from anytier.provider.host.toolbox import install, tool
from anytier.provider.host.transport import Facts, File, Machine

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


async def claim(place: Place, owner: str) -> None:
    """Makes the corner ours, or says whose it is. A deployment of which nothing runs any more belongs to nobody."""
    async with place.claim_lock:
        machine, layout = place.machine, place.layout
        known = (await machine.read([layout.owner])).get(layout.owner, b"").decode().strip()
        if owner and known and known != owner and any(s.running for s in (await place.manager.states()).values()):
            raise Conflict(
                f"app {layout.ns}",
                f"is deployed here from {known}",
                "destroy it there, or deploy from there, or use another stack name or stateDir",
            )
        # The folder is nobody else's business: it holds secrets.
        await machine.put([File(layout.root, None, place.site.folder_mode)])
        await install(machine, layout)
        if owner and known != owner:
            await machine.put([File(layout.owner, (owner + "\n").encode())])


async def revision_key(place: Place) -> bytes:
    """Keys the hashes of revisions, which would otherwise let a guess of a secret be checked."""
    async with place.claim_lock:
        path = place.layout.key
        known = (await place.machine.read([path])).get(path)
        if known is None:
            known = secrets.token_hex(32).encode()
            await place.machine.put([File(path, known, 0o600)])
        return known


async def release(place: Place) -> None:
    """Leaves nothing behind once the last workload, job and proxy is gone. Volumes go by themselves."""
    machine, layout = place.machine, place.layout
    async with place.claim_lock:
        for folder in (layout.workloads, layout.jobs, layout.instances, layout.proxy, layout.images):
            if await machine.list(folder):
                return
        await place.manager.stop(healthd_unit(layout))
        await place.manager.close()
        await _remove_mount_points(place)
        sockets = layout.sockets(place.facts, place.supervisor)
        gone = [
            layout.lib,
            f"{layout.root}/healthd",
            layout.owner,
            layout.key,
            layout.workloads,
            layout.jobs,
            layout.instances,
            layout.proxy,
        ]
        await machine.remove([*gone, layout.supervisor, f"{layout.root}/run", sockets, layout.mount_points])
        short = [layout.short_base(place.facts, place.supervisor)] if not sockets.startswith(layout.root) else []
        await machine.remove([layout.volumes, layout.root, *short], only_empty=True)


def healthd_unit(layout: Layout) -> str:
    return f"{layout.ns}-healthd"


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
