"""An image's archive, as `docker save` writes it, made into one that containerd takes under a name of ours.

Works on files of this side, piece by piece: an image is never in memory as a whole.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from anytier.errors import Rejected

_LARGEST = 16 << 20  # bytes of a JSON in it


def with_signal(config: Mapping[str, Any], signal: str | None) -> dict[str, Any]:
    """The image's description with another stop signal; everything else stays."""
    if signal is None:
        return dict(config)
    return {**config, "config": {**(config.get("config") or {}), "StopSignal": signal}}


def rewrite(source: Path, target: Path, reference: str, signal: str | None) -> str:
    """Writes the archive of the one image in `source`, named `reference`; the digest of its description.

    The description is kept byte for byte where nothing of it changes. Equal images make equal archives.
    """
    with tarfile.open(source) as old, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as new:
        entry = _entry(old, source)
        data = _read(old, str(entry["Config"]))
        if signal is not None:
            data = json.dumps(with_signal(json.loads(data), signal), separators=(",", ":")).encode()
        digest = hashlib.sha256(data).hexdigest()
        layers = [f"{number}.tar" for number in range(len(entry["Layers"]))]
        manifest = [{"Config": f"{digest}.json", "RepoTags": [reference], "Layers": layers}]
        _add(new, "manifest.json", json.dumps(manifest).encode())
        _add(new, f"{digest}.json", data)
        for name, layer in zip(layers, entry["Layers"], strict=True):
            found = _open(old, layer)
            info = tarfile.TarInfo(name)
            info.size = _size(old, layer)
            new.addfile(info, found)
    return f"sha256:{digest}"


def _entry(archive: tarfile.TarFile, source: Path) -> dict[str, Any]:
    found = json.loads(_read(archive, "manifest.json"))
    if len(found) != 1:
        raise Rejected(source.name, f"holds {len(found)} images, not one", "name a single image")
    entry: dict[str, Any] = found[0]
    return entry


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    if _size(archive, name) > _LARGEST:
        raise Rejected(name, "is too large for an image's description", "build the image anew")
    return _open(archive, name).read()


def _open(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """A link is followed within the archive."""
    try:
        found = archive.extractfile(name)
    except KeyError:
        found = None
    if found is None:
        raise Rejected(name, "is missing from the image's archive", "build or pull the image anew")
    return found


def _size(archive: tarfile.TarFile, name: str) -> int:
    found = _open(archive, name)
    size = found.seek(0, io.SEEK_END)
    found.seek(0)
    return size


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
