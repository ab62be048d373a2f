"""Pulling an image to this machine: which one a tag means now, and everything of it for one kind of machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from anytier.errors import Rejected
from anytier.provider.oci import credentials, store
from anytier.provider.oci.manifest import (
    Blob,
    ImageConfig,
    choose,
    config,
    digest_of,
    document,
    is_index,
    manifest,
    platform,
)
from anytier.provider.oci.reference import Reference
from anytier.provider.oci.registry import Registry

_AT_ONCE = 3  # blobs
Progress = Callable[[int, int], None]  # bytes so far, bytes in all


@dataclass(frozen=True)
class Layer:
    """A layer here: the file as it was pulled, and the digest of what it unpacks to."""

    file: Path
    digest: str
    diff_id: str
    size: int


@dataclass(frozen=True)
class Pulled:
    """An image for one kind of machine, all of it on this disk. `digest` is what its reference means, `manifest` that
    of the machine's own manifest in it."""

    digest: str
    manifest: str
    config: ImageConfig
    layers: tuple[Layer, ...]


async def resolve(reference: Reference) -> str:
    """The digest that a reference means now: its own, else what the registry says of its tag."""
    if reference.digest is not None:
        return reference.digest
    registry = Registry(reference, await credentials.login(reference.registry))
    found = await asyncio.to_thread(registry.digest, reference.version)
    if found is not None:
        return found
    data = await asyncio.to_thread(registry.manifest, reference.version)
    return digest_of(data)


async def pull(reference: Reference, digest: str, machine: str, progress: Progress) -> Pulled:
    """Everything of the image `digest` for a machine (`uname -m`). What is here already is not asked for."""
    path = f"image {reference}"
    registry = Registry(reference, await credentials.login(reference.registry))
    try:
        found, own = document(await _document(registry, digest, path), path), digest
        if is_index(found, path):
            own = choose(found, machine, path).digest
            found = document(await _document(registry, own, path), path)
            if is_index(found, path):
                raise Rejected(path, "is an index of indexes", "name one of its images by digest")
        parts = manifest(found, path)
        await _blobs(registry, [parts.config, *parts.layers], path, progress)
    except asyncio.CancelledError:
        registry.cancelled.set()
        raise
    said = config(await asyncio.to_thread(store.path(parts.config.digest).read_bytes), path)
    wanted = platform(machine)
    if said.architecture and said.architecture != wanted:
        raise Rejected(path, f"is for {said.architecture}, and the machine is {wanted}", "use one for this machine")
    if len(said.diff_ids) != len(parts.layers):
        raise Rejected(path, "its config and its layers do not belong together", "build and push it anew")
    layers = zip(parts.layers, said.diff_ids, strict=True)
    return Pulled(digest, own, said, tuple(Layer(store.path(b.digest), b.digest, diff, b.size) for b, diff in layers))


async def _document(registry: Registry, digest: str, path: str) -> bytes:
    known = await asyncio.to_thread(store.document, digest)
    if known is not None:
        return known
    data = await asyncio.to_thread(registry.manifest, digest)
    if digest_of(data) != digest:
        raise Rejected(path, f"what its registry sent is not {digest[:19]}...", "run again; else push it again")
    await asyncio.to_thread(store.keep, digest, data)
    return data


async def _blobs(registry: Registry, wanted: list[Blob], path: str, progress: Progress) -> None:
    unique = list(dict.fromkeys(wanted))
    there = [await asyncio.to_thread(store.has, blob) for blob in unique]
    missing = [blob for blob, known in zip(unique, there, strict=True) if not known]
    total, done, limit = sum(blob.size for blob in missing), 0, asyncio.Semaphore(_AT_ONCE)
    loop = asyncio.get_running_loop()

    def more(size: int) -> None:
        nonlocal done
        done += size
        progress(done, total)

    async def one(blob: Blob) -> None:
        def source(take: Callable[[bytes], object]) -> None:
            def told(data: bytes) -> None:
                take(data)
                loop.call_soon_threadsafe(more, len(data))

            registry.blob(blob.digest, told)

        async with limit:
            await asyncio.to_thread(store.fetch, blob, source, path)

    try:
        async with asyncio.TaskGroup() as group:
            for blob in missing:
                group.create_task(one(blob))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # one is told: the others were ended by it, or say the same
