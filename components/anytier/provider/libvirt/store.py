"""What is done to volumes, whoever asks: find, make, fill, grow, remove. One thing at a time in each pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, BinaryIO
from xml.etree.ElementTree import Element

from anytier.errors import Conflict, NotFound, Rejected
from anytier.provider.libvirt import errors
from anytier.provider.libvirt.connection import There, library
from anytier.render.libvirt import storage, xml
from anytier.render.libvirt.storage import Found, Volume

_LONGEST = 6 * 3600.0
_CHUNK = 2**20
_PATIENCE = 30.0


async def find(place: There, pool: str, name: str) -> Found | None:
    """A volume as it is there; None also where the whole pool is gone. A pool that is off is no answer."""

    def look(raw: Any) -> Found:
        item = raw.storagePoolLookupByName(pool)
        if not item.isActive():
            raise Rejected(
                f"pool {pool}", "is not active, so that its volumes cannot be seen", f"`virsh pool-start {pool}`"
            )
        return storage.parse_volume(xml.read(item.storageVolLookupByName(name).XMLDesc(0)))

    try:
        return await place.call(f"volume {pool}/{name}", look)
    except NotFound:
        # It may be there without libvirt having seen it: somebody put it into the folder.
        async with place.lock(pool):
            try:
                await place.call(f"pool {pool}", lambda raw: _refreshed(raw, pool))
                return await place.call(f"volume {pool}/{name}", look)
            except NotFound:
                return None


async def make(place: There, pool: str, volume: Volume) -> Found:
    text = xml.written(storage.volume(volume))
    path = f"volume {pool}/{volume.name}"
    async with place.lock(pool):
        return await place.call(
            path,
            lambda raw: storage.parse_volume(xml.read(raw.storagePoolLookupByName(pool).createXML(text, 0).XMLDesc(0))),
            _LONGEST,
        )


async def fill(place: There, pool: str, name: str, body: BinaryIO, length: int, say: Callable[[str], None]) -> None:
    """Writes the volume's bytes. When we are stopped, so is the transfer."""
    place.require("upload", f"volume {pool}/{name}")
    sent, stop = [0], [False]

    def more(_: Any, count: int, __: Any) -> bytes:
        if stop[0]:
            raise InterruptedError
        chunk = body.read(min(count, _CHUNK))
        sent[0] += len(chunk)
        return chunk

    def upload(raw: Any) -> None:
        item = raw.storagePoolLookupByName(pool).storageVolLookupByName(name)
        stream = raw.newStream(0)
        item.upload(stream, 0, length, 0)
        try:
            stream.sendAll(more, None)
        except BaseException:
            stream.abort()
            raise
        stream.finish()

    work = asyncio.ensure_future(place.call(f"volume {pool}/{name}", upload, _LONGEST))
    try:
        while not (await asyncio.wait({work}, timeout=1))[0]:
            say(f"sending {sent[0] * 100 // max(length, 1)} % of {length // 2**20} MiB")
        work.result()
    finally:
        stop[0] = True
        work.cancel()


async def grow(place: There, pool: str, name: str, size: int) -> None:
    """To at least `size` bytes; through the machine that runs on it, where one does."""
    place.require("resize", f"volume {pool}/{name}")

    def act(raw: Any) -> None:
        item = raw.storagePoolLookupByName(pool).storageVolLookupByName(name)
        if item.info()[1] >= size:
            return
        path = item.path()
        for machine, root in _running(raw):
            if any(_is(source, path) for source in root.findall("devices/disk/source")):
                machine.blockResize(path, size, library().VIR_DOMAIN_BLOCK_RESIZE_BYTES)
                return
        item.resize(size, 0)

    async with place.lock(pool):
        await place.call(f"volume {pool}/{name}", act)
        await place.call(f"pool {pool}", lambda raw: _refreshed(raw, pool))


async def remove(place: There, pool: str, name: str) -> None:
    """Not while a machine or an overlay needs it. Gone already is fine."""
    path = f"volume {pool}/{name}"
    limit = time.monotonic() + _PATIENCE
    while True:
        try:
            async with place.lock(pool):
                users = await place.call(path, lambda raw: _users(raw, pool, name))
                if not users:
                    await place.call(path, lambda raw: _named(raw, pool, name).delete(0))
                    return
            raise Conflict(path, f"is used by {', '.join(users)}", "remove what uses it, then run again")
        except NotFound:
            return
        except Conflict:
            # A machine that is going, or another job on the pool, may let go in a moment.
            if time.monotonic() > limit:
                raise
        await asyncio.sleep(0.5)


async def discard(place: There, pool: str, name: str) -> None:
    """As `remove`, but also from under a machine, which keeps what it has open. For what can be made anew."""
    path = f"volume {pool}/{name}"
    async with place.lock(pool):
        try:
            await place.call(path, lambda raw: _named(raw, pool, name).delete(0))
        except NotFound:
            return


async def capacity_of(place: There, path: str) -> int:
    """Bytes of the volume with this path."""
    return await place.call(f"volume {path}", lambda raw: int(raw.storageVolLookupByPath(path).info()[1]))


async def refresh(place: There, pool: str) -> None:
    async with place.lock(pool):
        await place.call(f"pool {pool}", lambda raw: _refreshed(raw, pool))


def _named(raw: Any, pool: str, name: str) -> Any:
    return raw.storagePoolLookupByName(pool).storageVolLookupByName(name)


def _refreshed(raw: Any, pool: str) -> None:
    """What lies in the folder now. A job of somebody else's on the pool is waited for."""
    libvirt = library()
    limit = time.monotonic() + _PATIENCE
    while True:
        try:
            raw.storagePoolLookupByName(pool).refresh(0)
            return
        except libvirt.libvirtError as error:
            busy = error.get_error_code() in (errors.INTERNAL_ERROR, errors.OPERATION_INVALID)
            if not busy or time.monotonic() > limit or not raw.storagePoolLookupByName(pool).isActive():
                raise
        time.sleep(0.25)


def _users(raw: Any, pool: str, name: str) -> list[str]:
    """Machines that have the volume, running or not, and volumes that are overlays of it."""
    path = _named(raw, pool, name).path()
    found = {
        f"machine {machine.name()}"
        for machine, root in _machines(raw, 0)
        if any(_is(source, path) for source in root.findall("devices/disk/source"))
    }
    for item in raw.storagePoolLookupByName(pool).listAllVolumes(0):
        if xml.read(item.XMLDesc(0)).findtext("backingStore/path") == path:
            found.add(f"volume {item.name()}")
    return sorted(found)


def _running(raw: Any) -> list[tuple[Any, Element]]:
    return _machines(raw, library().VIR_CONNECT_LIST_DOMAINS_ACTIVE)


def _machines(raw: Any, flags: int) -> list[tuple[Any, Element]]:
    """Those that are there long enough to be looked at."""
    libvirt, found = library(), []
    for item in raw.listAllDomains(flags):
        try:
            found.append((item, xml.read(item.XMLDesc(0))))
        except libvirt.libvirtError as error:
            if error.get_error_code() != 42:
                raise
    return found


def _is(source: Element, path: str) -> bool:
    return path in (source.get("file"), source.get("dev"))
