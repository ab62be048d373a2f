"""Images of registries: on the daemon already, or pulled now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anytier.errors import Denied, NotFound, Unreachable
from anytier.provider.docker import errors
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.patience import Pace
from anytier.provider.oci import credentials
from anytier.provider.oci.reference import Reference
from anytier.provider.resource import Context


async def find(there: Daemon, reference: str) -> Any:
    """The inspection of an image by reference, digest or id; None where the daemon has none."""
    return await there.find(f"images/{reference}/json")


async def present(there: Daemon, ctx: Context, wanted: Reference) -> tuple[Any, bool]:
    """The image's inspection, and whether it was pulled just now.

    As Kubernetes does: a digest, or a tag that stays, is pulled where it is missing; `latest` always. What is here
    already also serves while its registry cannot be reached, or does not know it.
    """
    found = await find(there, str(wanted))
    if found is not None and not wanted.moves:
        return found, False
    try:
        await pull(there, ctx, wanted)
    except (Unreachable, NotFound, Denied) as error:
        if found is None:
            raise
        ctx.warn(f"{wanted}: the image that is on the daemon already is used ({error.what})")
        return found, False
    now = await find(there, str(wanted))
    if now is None:
        raise NotFound(f"image {wanted}", "was pulled, and is gone again", "run again")
    return now, found is None or found["Id"] != now["Id"]


async def pull(there: Daemon, ctx: Context, wanted: Reference) -> None:
    """Ends when the image is on the daemon, with a status line a second."""
    headers = await credentials.for_registry(wanted.registry)
    query = there.stream(
        "POST", "images/create", None, f"image {wanted}", explain=errors.of_registry, headers=headers,
        fromImage=wanted.repository, tag=wanted.version,
    )  # fmt: skip
    ctx.status(f"pulling {wanted}")
    progress, pace = Progress(), Pace()
    async with query as messages:
        async for message in messages:
            progress.take(message)
            if pace.due():
                ctx.status(f"pulling {wanted}: {progress}")


class Progress:
    """What the layers under way add up to."""

    def __init__(self) -> None:
        self.layers: dict[str, tuple[int, int]] = {}

    def take(self, message: Mapping[str, Any]) -> None:
        detail = message.get("progressDetail") or {}
        if message.get("status") == "Downloading" and detail.get("total"):
            self.layers[str(message.get("id"))] = (int(detail.get("current") or 0), int(detail["total"]))
        elif message.get("status") in ("Download complete", "Pull complete") and str(message.get("id")) in self.layers:
            total = self.layers[str(message["id"])][1]
            self.layers[str(message["id"])] = (total, total)

    def __bool__(self) -> bool:
        return bool(self.layers)

    def __str__(self) -> str:
        done, total = (sum(item[part] for item in self.layers.values()) for part in (0, 1))
        return f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if self else "asking its registry"
