"""What every daemon gets from us once: a volume with a static busybox and our scripts, and an image of the same.

Health checks, secrets and shared networks need a shell inside containers whose images have none.
"""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

from anytier.errors import AnytierError, NotFound
from anytier.provider.docker import labels
from anytier.provider.docker.client import Daemon
from anytier.provider.docker.tar import Entry, pack, unpack
from anytier.render.docker import TOOLS

_OFFICIAL = "busybox:1.37.0-musl"
_LOCAL = ("/bin/busybox", "/usr/bin/busybox")
_SCRIPTS = ("entry", "probe", "check")
_PATIENCE = 60.0
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


def name() -> str:
    """Of the volume, and of the image without its tag: by the scripts' content, so that a new release has its own."""
    return f"anytier-tools-{_digest()[:12]}"


def image() -> str:
    return f"{name()}:latest"


async def ensure(daemon: Daemon) -> str:
    """The volume's name, made and filled where it is not there yet. One without our label Docker has made by itself,
    empty, since another app's end took ours away between this and the container that mounts it."""
    async with daemon.lock:
        if await daemon.find(f"images/{image()}/json") is None:
            await import_image(daemon, name(), await _content(daemon))
        found = await daemon.find(f"volumes/{name()}")
        if found is None or labels.label(found, labels.ROLE) != "tools":
            if found is not None:
                await _try(daemon, f"volumes/{name()}")  # it stays as it is named where something mounts it
            await fill(daemon)
    return name()


async def fill(daemon: Daemon) -> None:
    """Docker copies what the image has at a path into an empty volume there, when a container is made."""
    mounts = [{"Type": "volume", "Source": name(), "Target": TOOLS, "VolumeOptions": {"Labels": _labels()}}]
    body = {"Image": image(), "Cmd": ["none"], "Labels": _labels(), "HostConfig": {"Mounts": mounts}}
    made = await daemon.post("containers/create", body, "the tools volume")
    await daemon.delete(f"containers/{made['Id']}", force=True)


async def tidy(daemon: Daemon) -> None:
    """The last app to go takes the tools and the proxy's image along."""
    async with daemon.lock:
        listed = await daemon.get("containers/json", all=True, filters={"label": [labels.NAMESPACE]})
        if listed:
            return
        for made in await daemon.get("images/json", filters=labels.filters(role="tools")):
            await _try(daemon, f"images/{made['Id']}", force=True)
        volumes = await daemon.get("volumes", filters=labels.filters(role="tools"))
        for there in {name(), *(str(item["Name"]) for item in volumes.get("Volumes") or ())}:
            await _try(daemon, f"volumes/{there}")


async def import_image(daemon: Daemon, repo: str, content: dict[str, Entry]) -> None:
    """An image of one layer, labelled as ours."""
    changes = " ".join(f"{key}={value}" for key, value in _labels().items())
    query = daemon.stream(
        "POST", "images/create", pack(content), "an image of ours",
        fromSrc="-", repo=repo, tag="latest", changes=f"LABEL {changes}",
    )  # fmt: skip
    async with query as messages:
        async for _ in messages:
            pass  # an error among them is raised


async def pulled(daemon: Daemon, reference: str) -> bool:
    """Whether the image is on the daemon, pulled now if a registry can be reached."""
    if await daemon.find(f"images/{reference}/json") is not None:
        return True
    repo, _, tag = reference.rpartition(":")
    try:
        async with daemon.stream("POST", "images/create", None, reference, fromImage=repo, tag=tag) as messages:
            async for _ in messages:
                pass
    except AnytierError:
        return False
    return True


def same_machine(daemon: Daemon) -> bool:
    """Whether a binary of this machine runs there."""
    theirs = str(daemon.facts.get("Architecture") or "")
    return _MACHINES.get(theirs, theirs) == _MACHINES.get(platform.machine(), platform.machine())


async def _content(daemon: Daemon) -> dict[str, Entry]:
    found = {f"{TOOLS[1:]}/{item}": (_script(item), 0o755, 0, 0) for item in _SCRIPTS}
    return found | {f"{TOOLS[1:]}/busybox": (await _busybox(daemon), 0o755, 0, 0)}


async def _busybox(daemon: Daemon) -> bytes:
    """A static one of this machine, else the official image's."""
    for path in map(Path, _LOCAL):
        if same_machine(daemon) and path.is_file() and is_static(data := path.read_bytes()):
            return data
    if await pulled(daemon, _OFFICIAL):
        made = await daemon.post("containers/create", {"Image": _OFFICIAL, "Labels": _labels()}, _OFFICIAL)
        try:
            return next(iter(unpack(await daemon.get_files(made["Id"], "/bin/busybox")).values()))
        finally:
            await daemon.delete(f"containers/{made['Id']}", force=True)
    raise NotFound(
        "docker tools",
        f"health checks and secrets need a static busybox: neither {_OFFICIAL} nor one of this machine is to be had",
        f"apt-get install busybox-static, or `docker load` the image {_OFFICIAL} on the Docker host",
    )


def is_static(elf: bytes) -> bool:
    """An ELF program without an interpreter (program header type 3), 64 or 32 bits, either byte order."""
    if elf[:4] != b"\x7fELF":
        return False
    order, wide = ("little" if elf[5] == 1 else "big"), elf[4] == 2

    def at(offset: int, size: int) -> int:
        return int.from_bytes(elf[offset : offset + size], order)  # type: ignore[arg-type]

    table, size, count = (at(32, 8), at(54, 2), at(56, 2)) if wide else (at(28, 4), at(42, 2), at(44, 2))
    return all(at(table + number * size, 4) != 3 for number in range(count))


async def _try(daemon: Daemon, path: str, force: bool = False) -> None:
    with suppress(AnytierError):  # somebody uses it
        await daemon.call("DELETE", path, force=force)


@cache
def _script(item: str) -> bytes:
    return files("anytier.provider.docker").joinpath("scripts", item).read_bytes()


@cache
def _digest() -> str:
    return hashlib.sha256(b"\0".join(_script(item) for item in _SCRIPTS)).hexdigest()


def _labels() -> dict[str, str]:
    return {labels.ROLE: "tools"}
