"""What a registry says of an image: an index of platforms, a manifest of layers, a config. Pure: bytes to values."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from anytier.errors import Rejected
from anytier.frozen import Frozen

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
ACCEPTED = (*_INDEXES, *_MANIFESTS)
LARGEST_DOCUMENT = 4 << 20  # bytes of a manifest or a config; registries take no larger ones either
_MOST_LAYERS = 512  # Docker's own limit is 127
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# What `uname -m` says -> GOARCH and, where it matters, the variant that runs there.
_MACHINES = {
    "x86_64": ("amd64", ""),
    "aarch64": ("arm64", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i686": ("386", ""),
    "ppc64le": ("ppc64le", ""),
    "s390x": ("s390x", ""),
    "riscv64": ("riscv64", ""),
}


@dataclass(frozen=True)
class Blob:
    """Content by its digest (`sha256:...`); `size` in bytes."""

    digest: str
    size: int


@dataclass(frozen=True)
class Manifest:
    """The parts of an image for one platform, layers from the bottom up."""

    config: Blob
    layers: tuple[Blob, ...]


class ImageConfig(Frozen):
    """What an image says of how it is run. `diff_ids` are the digests of its unpacked layers."""

    entrypoint: list[str] = Field(default_factory=list)
    cmd: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    stop_signal: str | None = None
    exposed_ports: list[str] = Field(default_factory=list)
    architecture: str = ""
    diff_ids: list[str] = Field(default_factory=list)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def platform(machine: str) -> str:
    """`amd64` for what `uname -m` says; as it stands where it is unknown."""
    return _MACHINES.get(machine, (machine, ""))[0]


def document(data: bytes, path: str) -> Mapping[str, Any]:
    """A JSON object; Rejected for anything else."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise _wrong(path, "its description is not JSON")
    return found


def is_index(found: Mapping[str, Any], path: str) -> bool:
    """Whether it lists platforms. Rejected for a kind of image that nobody makes any more, or that is none."""
    kind = found.get("mediaType")
    if found.get("schemaVersion") == 1:
        raise _wrong(path, "is in the registry's old form (schema 1)", "push it again with a current Docker")
    if found.get("schemaVersion") != 2 or (kind is not None and kind not in ACCEPTED):
        raise _wrong(path, f"is no image ({kind or 'of an unknown kind'})", "name an image, not another artefact")
    return kind in _INDEXES or (kind is None and "manifests" in found)


def choose(found: Mapping[str, Any], machine: str, path: str) -> Blob:
    """The manifest for a machine, of an index. Rejected where there is none."""
    wanted, variant = _MACHINES.get(machine, (machine, ""))
    fitting: list[tuple[bool, Blob]] = []
    seen: list[str] = []
    for item in _list(found, "manifests", path):
        said = item.get("platform") or {}
        seen.append("/".join(str(said[key]) for key in ("os", "architecture", "variant") if said.get(key)))
        if said.get("os") != "linux" or said.get("architecture") != wanted:
            continue
        exact = not said.get("variant") or said["variant"] == variant
        if exact or wanted != "arm":
            fitting.append((exact, _blob(item, path)))
    if not fitting:
        told = ", ".join(dict.fromkeys(item for item in seen if item and "unknown" not in item)) or "none"
        raise Rejected(path, f"has nothing for linux/{wanted}; it has: {told}", "use an image for this machine")
    return next((blob for exact, blob in fitting if exact), fitting[0][1])


def manifest(found: Mapping[str, Any], path: str) -> Manifest:
    layers = tuple(_blob(item, path) for item in _list(found, "layers", path))
    if len(layers) > _MOST_LAYERS:
        raise _wrong(path, f"has {len(layers)} layers, and more than {_MOST_LAYERS} are not read")
    config = _blob(found.get("config"), path)
    if config.size > LARGEST_DOCUMENT:
        raise _wrong(path, "has a config that is too large to be one")
    return Manifest(config, layers)


def config(data: bytes, path: str) -> ImageConfig:
    """Rejected where it is not what it should be; what it leaves out is empty."""
    found = document(data, path)
    said = found.get("config") or {}
    roots = found.get("rootfs") or {}
    if not isinstance(said, dict) or not isinstance(roots, dict):
        raise _wrong(path, "has a config that cannot be read")
    try:
        return ImageConfig(
            entrypoint=said.get("Entrypoint") or [],
            cmd=said.get("Cmd") or [],
            env=dict(item.partition("=")[::2] for item in said.get("Env") or [] if item.partition("=")[0]),
            user=said.get("User") or "",
            working_dir=said.get("WorkingDir") or "",
            stop_signal=said.get("StopSignal") or None,
            exposed_ports=sorted(said.get("ExposedPorts") or {}),
            architecture=found.get("architecture") or "",
            diff_ids=roots.get("diff_ids") or [],
        )
    except (ValueError, AttributeError, TypeError):
        raise _wrong(path, "has a config that cannot be read") from None


def _list(found: Mapping[str, Any], key: str, path: str) -> list[Mapping[str, Any]]:
    items = found.get(key)
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _wrong(path, f"its description has no {key}")
    return items


def _blob(item: Any, path: str) -> Blob:
    digest, size = (item.get("digest"), item.get("size")) if isinstance(item, dict) else (None, None)
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not whole:
        raise _wrong(path, "its description names a part without a sha256 digest and a size")
    return Blob(digest, int(size))  # type: ignore[arg-type]


def _wrong(path: str, what: str, do: str = "build and push it anew") -> Rejected:
    return Rejected(path, what, do)
