"""The files and secrets of a revision's containers: a volume for each container that has any, filled once.

A helper container that is never started holds the volumes while they are filled. It goes last: volumes without one are
complete, and a fill that was killed is simply done again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from anytier.errors import NotFound, Rejected
from anytier.provider.docker import labels, tools
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.tar import pack, unpack
from anytier.render.docker import Image, kept_files, needs_files
from anytier.render.template import Container, Template


@dataclass(frozen=True)
class Filled:
    """A container's volume, and where the daemon keeps it."""

    volume: str
    path: str


async def ensure(
    daemon: Daemon,
    marks: Mapping[str, str],
    prefix: str,
    template: Template,
    secrets: Mapping[str, str],
    users: Mapping[str, tuple[int, int]],
) -> dict[str, Filled]:
    """Container -> its volume, for those with files. `marks` are labels; `prefix` names revision and workload."""
    wanted = {item.name: item for item in template.containers if needs_files(item)}
    if not wanted:
        return {}
    volumes = {name: f"{prefix}.{name}" for name in wanted}
    helper = f"{prefix}.fill"
    if await daemon.find(f"containers/{helper}/json") is not None:
        await daemon.delete(f"containers/{helper}", force=True)
    elif known := await _known(daemon, volumes):
        return known
    await tools.ensure(daemon)
    own = {**marks, labels.ROLE: "files"}
    mounts = [
        {
            "Type": "volume",
            "Source": volume,
            "Target": f"/{number}",
            "VolumeOptions": {"NoCopy": True, "Labels": own},
        }
        for number, volume in enumerate(volumes.values())
    ]
    host: dict[str, Any] = {"Mounts": mounts, "NetworkMode": "none"}
    body = {"Image": tools.image(), "Cmd": ["none"], "Labels": own, "HostConfig": host}
    await daemon.post("containers/create", body, f"container {helper}", name=helper)
    for number, item in enumerate(wanted.values()):
        await daemon.put_files(helper, f"/{number}", pack(kept_files(item, secrets, users[item.name]).files))
    await daemon.delete(f"containers/{helper}", force=True)
    return await _known(daemon, volumes)


async def users(daemon: Daemon, template: Template, images: Mapping[str, Image]) -> dict[str, tuple[int, int]]:
    """Container -> who it runs as, by number, for those with files, which are made for them."""
    wanted = [item for item in template.containers if needs_files(item)]
    return {item.name: await _user(daemon, item, images[item.image]) for item in wanted}


async def remove(daemon: Daemon, ns: str, workload: str, keep: set[int] | None = None) -> None:
    """Those of all revisions but `keep`."""
    wanted = labels.filters(namespace=ns, workload=workload, role="files")
    for item in await daemon.get("containers/json", all=True, filters=wanted):
        await daemon.delete(f"containers/{item['Id']}", force=True)
    for item in (await daemon.get("volumes", filters=wanted)).get("Volumes") or ():
        if labels.number(item, labels.REVISION) not in (keep or ()):
            await daemon.delete(f"volumes/{item['Name']}")


async def _known(daemon: Daemon, volumes: Mapping[str, str]) -> dict[str, Filled]:
    """All of them, or none."""
    found = {name: await daemon.find(f"volumes/{volume}") for name, volume in volumes.items()}
    if not all(found.values()):
        return {}
    return {name: Filled(volumes[name], str(item["Mountpoint"])) for name, item in found.items()}


async def _user(daemon: Daemon, item: Container, image: Image) -> tuple[int, int]:
    user, _, group = (item.user or image.user or "0").partition(":")
    if user.isdigit() and group.isdigit():
        return int(user), int(group)
    if user.isdigit() and not group:
        return int(user), 0
    users, groups = await _accounts(daemon, item.image)
    uid, gid = (int(user), 0) if user.isdigit() else users.get(user, (-1, -1))
    if group:
        gid = int(group) if group.isdigit() else groups.get(group, -1)
    if uid < 0 or gid < 0:
        what = f"{item.user or image.user!r} is not in the image's /etc/passwd or /etc/group"
        raise Rejected(f"containers.{item.name}.user", what, "name a user that is there, or a number")
    return uid, gid


async def _accounts(daemon: Daemon, image: str) -> tuple[dict[str, tuple[int, int]], dict[str, int]]:
    """The image's own users and groups."""
    mark = {labels.ROLE: "files"}
    made = await daemon.post("containers/create", {"Image": image, "Cmd": ["none"], "Labels": mark}, f"image {image}")
    try:
        rows = {name: await _table(daemon, made["Id"], f"/etc/{name}") for name in ("passwd", "group")}
    finally:
        await daemon.delete(f"containers/{made['Id']}", force=True)
    users = {row[0]: (int(row[2]), int(row[3])) for row in rows["passwd"] if len(row) > 3 and row[2].isdigit()}
    return users, {row[0]: int(row[2]) for row in rows["group"] if len(row) > 2 and row[2].isdigit()}


async def _table(daemon: Daemon, container: str, path: str) -> list[list[str]]:
    try:
        found = unpack(await daemon.get_files(container, path))
    except NotFound:
        return []
    return [line.split(":") for data in found.values() for line in data.decode(errors="replace").splitlines()]
