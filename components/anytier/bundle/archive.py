"""An image as one tar file: an OCI image layout that also has Docker's `manifest.json`, as `docker save` writes it.

containerd and Docker both import it. The same parts give the same bytes: no times, no owners, one order.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anytier.bundle.manifest import checksum

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Parts:
    """An image for one platform: its manifest as it is (bytes), and where each blob that this names lies."""

    manifest: bytes
    blobs: Mapping[str, Path | bytes]


def write(target: Path, references: Sequence[str], parts: Parts) -> None:
    """The archive, under its name only once it is whole."""
    said = json.loads(parts.manifest)
    digest = _digest(parts.manifest)
    names = [said["config"]["digest"], *(layer["digest"] for layer in said["layers"])]
    entry = {"mediaType": said.get("mediaType", MANIFEST), "digest": digest, "size": len(parts.manifest)}
    index = {
        "schemaVersion": 2,
        "manifests": [{**entry, "annotations": _annotations(reference)} for reference in references],
    }
    docker = [{"Config": _blob(names[0]), "RepoTags": list(references), "Layers": [_blob(name) for name in names[1:]]}]
    new = target.with_name(f".{target.name}.new")
    try:
        with tarfile.open(new, "w", format=tarfile.PAX_FORMAT) as out:
            _add(out, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
            _add(out, "index.json", _json(index))
            _add(out, "manifest.json", _json(docker))
            _add(out, _blob(digest), parts.manifest)
            for name in dict.fromkeys(names):
                _add(out, _blob(name), parts.blobs[name])
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def made(layers: Iterable[Path], run: Mapping[str, Any], arch: str) -> Parts:
    """An image of plain tar files from the bottom up; `run` is the `config` of its config (`Entrypoint`, `Env`...)."""
    blobs: dict[str, Path | bytes] = {}
    found = []
    for layer in layers:
        digest = checksum(layer)
        blobs[digest] = layer
        found.append({"mediaType": LAYER, "digest": digest, "size": layer.stat().st_size})
    roots = {"type": "layers", "diff_ids": [item["digest"] for item in found]}
    config = _json({"architecture": arch, "os": "linux", "config": dict(run), "rootfs": roots})
    blobs[_digest(config)] = config
    named = {"mediaType": CONFIG, "digest": _digest(config), "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": found}
    return Parts(_json(manifest), blobs)


def layer(target: Path, files: Mapping[str, Path | bytes], links: Mapping[str, str] | None = None) -> Path:
    """A layer with programs (mode 0755), the folders above them, and symbolic links."""
    links = links or {}
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as out:
        above = {str(part) for name in (*files, *links) for part in Path(name).parents if str(part) != "."}
        for name in sorted(above):
            out.addfile(_info(name, tarfile.DIRTYPE))
        for name, content in sorted(files.items()):
            _add(out, name, content, 0o755)
        for name, where in sorted(links.items()):
            info = _info(name, tarfile.SYMTYPE)
            info.linkname = where
            out.addfile(info)
    return target


def canonical(reference: str) -> str:
    """As containerd names it: with its registry, `docker.io/library/` where none is written."""
    first, slash, _ = reference.partition("/")
    if not slash:
        return f"docker.io/library/{reference}"
    return reference if "." in first or ":" in first or first == "localhost" else f"docker.io/{reference}"


def _annotations(reference: str) -> dict[str, str]:
    tag = reference.rpartition(":")[2]
    return {"io.containerd.image.name": canonical(reference), "org.opencontainers.image.ref.name": tag}


def _add(out: tarfile.TarFile, name: str, content: Path | bytes, mode: int = 0o644) -> None:
    info = _info(name, tarfile.REGTYPE, mode)
    if isinstance(content, bytes):
        info.size = len(content)
        out.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as stream:
        out.addfile(info, stream)


def _info(name: str, kind: bytes, mode: int = 0o755) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, mode
    return info


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def references(file: Path) -> list[str]:
    """What an archive is tagged with; none where it is not there, or is none of ours."""
    try:
        with tarfile.open(file) as tar:
            source = tar.extractfile("manifest.json")
            found = json.loads(source.read()) if source is not None else []
        return [str(item) for entry in found for item in entry["RepoTags"]]
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError):
        return []
