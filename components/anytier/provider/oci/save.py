"""A registry's image as a file: pulled for one kind of machine and written as an archive, its manifest as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from anytier.bundle import archive
from anytier.errors import NotFound
from anytier.provider.oci import manifest, store
from anytier.provider.oci.pull import pull, resolve
from anytier.provider.oci.reference import parse


async def save(asked: str, named: str, machine: str, target: Path, progress: Callable[[int, int], None]) -> None:
    """Pulls the image `asked` for a machine (`uname -m`) and writes it to `target`, tagged `named`."""
    reference = parse(asked, f"image {asked}")
    pulled = await pull(reference, await resolve(reference), machine, progress)
    data = await asyncio.to_thread(store.document, pulled.manifest)
    if data is None:
        raise NotFound(str(store.path(pulled.manifest)), "has gone from the cache of images", "run it again")
    said = manifest.manifest(manifest.document(data, asked), asked)
    blobs: dict[str, Path | bytes] = {blob.digest: store.path(blob.digest) for blob in (said.config, *said.layers)}
    await asyncio.to_thread(archive.write, target, [named], archive.Parts(data, blobs))
