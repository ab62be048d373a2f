"""Images that outlive their resource, because a kept revision of a workload may go back to them.

A container that is never started holds such an image, so that no clean-up of the host takes it, and says in its labels
what it holds. When no revision needs the image any more, both go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from anytier.errors import Conflict, NotFound, Rejected
from anytier.provider.docker import labels
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.patience import patiently
from anytier.provider.docker.store import Store

_AT_ONCE = 8


async def needed(there: Daemon) -> set[str]:
    """What the kept revisions of all workloads on the daemon are made of, as their containers name it."""
    listed = await there.get("containers/json", all=True, filters=labels.filters(role="store"))
    slots = asyncio.Semaphore(_AT_ONCE)

    async def images(item: Any) -> set[str]:
        async with slots:
            store = Store(there, labels.label(item, labels.NAMESPACE), labels.label(item, labels.WORKLOAD))
            document = await patiently(store.peek, NotFound, Conflict, Rejected)  # it may be going just now
        kept = document.kept if document else []
        return {container.image for each in kept for container in each.revision.template.containers}

    return set().union(*await asyncio.gather(*map(images, listed)))


async def hold(there: Daemon, ref: str, names: Sequence[str]) -> None:
    """Keeps the image `ref`, which goes one day by `names`."""
    marks = {labels.ROLE: "held", labels.IMAGE: ref, labels.INPUTS: " ".join(names)}
    body = {"Image": ref, "Cmd": ["none"], "Labels": marks, "HostConfig": {"NetworkMode": "none"}}
    with suppress(Conflict, NotFound):  # it is held already, or gone
        await there.post("containers/create", body, f"image {ref}", name=f"anytier-held-{ref.rpartition(':')[2][:24]}")


async def tidy(there: Daemon) -> None:
    """Lets go of what no revision needs. After a hold, and after a workload has gone: the last one cleans up."""
    await release(there, await needed(there))


async def release(there: Daemon, wanted: set[str]) -> None:
    """Lets go of what is not among `wanted`, and removes it where nothing else uses it."""
    for item in await there.get("containers/json", all=True, filters=labels.filters(role="held")):
        ref = labels.label(item, labels.IMAGE)
        if ref not in wanted:
            await there.delete(f"containers/{item['Id']}", force=True, v=True)
            await remove(there, str(item["ImageID"]), labels.label(item, labels.INPUTS).split())


async def remove(there: Daemon, id: str, names: Sequence[str]) -> None:
    """An image by these of its names. It stays where a container uses it or others are built on it."""
    for name in names:
        found = await there.find(f"images/{name}/json")
        if found is None or found["Id"] != id:
            continue  # gone, or another one's name by now
        if await users(there, id):
            return
        with suppress(Conflict):
            await there.delete(f"images/{name}", f"image {name}")


async def users(there: Daemon, id: str) -> list[str]:
    """Names of the containers that are made of an image."""
    listed = await there.get("containers/json", all=True, filters={"ancestor": [id]})
    return sorted(labels.name_of(item) for item in listed if item.get("ImageID") == id)
