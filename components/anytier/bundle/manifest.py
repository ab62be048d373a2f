"""A bundle's folder and its `bundle.yaml`: read, written, and held against what lies there. Nothing is downloaded here.

bundle.yaml                       what is in it, with checksums
bin/kubeadm, bin/kubelet          programs, statically linked
cni/bridge, cni/host-local, ...   network plugins
images/*.tar                      docker-archives, each tagged with the names that pods use
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator

from anytier.errors import AnytierError, Denied, NotFound, Rejected
from anytier.frozen import Frozen

FILE = "bundle.yaml"
PROGRAMS = ("bin/kubeadm", "bin/kubelet")
PLUGINS = ("cni/bridge", "cni/host-local", "cni/loopback", "cni/portmap")
NEEDED = (*PROGRAMS, *PLUGINS)
AGAIN = "fill it again: `anytier bundle build -o {}`"
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_VERSION = re.compile(r"v\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?")
_ARCH = re.compile(r"[a-z0-9]+")
_SUM = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_LARGEST = 1 << 20  # bytes of a bundle.yaml

Progress = Callable[[str, int, int], None]  # relative path, bytes of it so far, bytes of it in all


class Manifest(Frozen):
    """What bundle.yaml says. `files` is relative path -> `sha256:...` of every file but bundle.yaml itself, `images`
    relative path of an archive -> the references that it is tagged with."""

    api_version: Literal["anytier.dev/bundle/v1"] = "anytier.dev/bundle/v1"
    kind: Literal["Bundle"] = "Bundle"
    kubernetes: str
    arch: str
    files: dict[str, str] = Field(default_factory=dict)
    images: dict[str, list[str]] = Field(default_factory=dict)

    @field_validator("kubernetes")
    @classmethod
    def _is_version(cls, value: str) -> str:
        if not _VERSION.fullmatch(value):
            raise ValueError(f"{value!r} is not a version such as v1.34.2")
        return value

    @field_validator("arch")
    @classmethod
    def _is_arch(cls, value: str) -> str:
        if not _ARCH.fullmatch(value):
            raise ValueError(f"{value!r} is not an architecture such as amd64")
        return value

    @field_validator("files")
    @classmethod
    def _are_files(cls, value: dict[str, str]) -> dict[str, str]:
        for path, said in value.items():
            if not inside(path):
                raise ValueError(f"{path!r} is not a path inside of the bundle")
            if not _SUM.fullmatch(said):
                raise ValueError(f"{path}: {said!r} is not sha256: and 64 digits of 0-9 and a-f")
        return value

    @field_validator("images")
    @classmethod
    def _are_images(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for path, references in value.items():
            if not references or not all(_printable(item) for item in references):
                raise ValueError(f"{path}: needs at least one reference, each without spaces")
        return value


@dataclass(frozen=True)
class Bundle:
    """A bundle on this disk. `path` is its folder, `digest` that of its bundle.yaml: equal ones hold the same."""

    path: Path
    manifest: Manifest
    digest: str

    @classmethod
    def read(cls, path: str | Path, at: str = "bundle") -> Bundle:
        """The bundle in a folder. `at` is the path of errors. NotFound, Denied, or Rejected for what is none."""
        folder = Path(path).expanduser()
        data = _read(folder, at)
        try:
            found = yaml.safe_load(data)
            manifest = Manifest.model_validate(found)
        except ValidationError as error:
            raise Rejected(f"{at}: {folder / FILE}", "; ".join(_said(error)), AGAIN.format(folder)) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise Rejected(f"{at}: {folder / FILE}", f"is no YAML: {_short(error)}", AGAIN.format(folder)) from None
        unlisted = sorted(set(manifest.images) - set(manifest.files))
        if unlisted:
            what = f"has no checksum of {unlisted[0]}"
            raise Rejected(f"{at}: {folder / FILE}", what, AGAIN.format(folder))
        return cls(folder, manifest, "sha256:" + hashlib.sha256(data).hexdigest())

    @property
    def version(self) -> str:
        """`v1.34.2`."""
        return self.manifest.kubernetes

    @property
    def arch(self) -> str:
        """As Go names it: `amd64`."""
        return self.manifest.arch

    @property
    def files(self) -> Mapping[str, str]:
        """Relative path -> `sha256:...`."""
        return self.manifest.files

    @property
    def images(self) -> Mapping[str, list[str]]:
        """Relative path of an archive -> its references."""
        return self.manifest.images

    @property
    def references(self) -> dict[str, str]:
        """Reference -> relative path of the archive that has it."""
        return {item: path for path, items in self.images.items() for item in items}

    def file(self, relative: str) -> Path:
        return self.path / relative

    def below(self, folder: str) -> dict[str, str]:
        """Name -> relative path of what lies directly in `bin`, `cni` or `images`."""
        return {path.partition("/")[2]: path for path in self.files if path.startswith(f"{folder}/")}

    def missing(self, needed: Iterable[str] = NEEDED) -> list[str]:
        """What is needed and not listed, or listed and not on this disk; checksums are not looked at (cheap)."""
        listed = [path for path in needed if path not in self.files]
        return listed + [path for path in self.files if not _is_file(self.file(path))]

    def complete(self, at: str = "bundle", needed: Iterable[str] = NEEDED) -> None:
        """Rejected where something of it is missing. Cheap enough for a preview."""
        gone = self.missing(needed)
        if gone:
            more = f" and {len(gone) - 1} more" if len(gone) > 1 else ""
            raise Rejected(f"{at}: {self.path}", f"lacks {gone[0]}{more}", AGAIN.format(self.path))

    def faults(self, progress: Progress | None = None) -> Iterator[AnytierError]:
        """Each file that is missing, is no plain file, or is not what its checksum says. Reads all of it."""
        for relative, said in self.files.items():
            error = self._fault(relative, said, progress)
            if error is not None:
                yield error

    def verify(self, progress: Progress | None = None) -> None:
        """One error, or a group of them, where a file is missing or is not what its checksum says."""
        found = list(self.faults(progress))
        if len(found) == 1:
            raise found[0]
        if found:
            raise ExceptionGroup(f"{len(found)} files of {self.path} are not as they should be", found)

    def _fault(self, relative: str, said: str, progress: Progress | None) -> AnytierError | None:
        file = self.file(relative)
        try:
            if not stat.S_ISREG(os.lstat(file).st_mode):
                return Rejected(str(file), "is no plain file", AGAIN.format(self.path))
            found = checksum(file, None if progress is None else _of(progress, relative))
        except FileNotFoundError:
            return NotFound(str(file), "is missing from the bundle", AGAIN.format(self.path))
        except OSError as error:
            return Denied(str(file), f"cannot be read: {error.strerror}", "give this user the right to read it")
        if found != said:
            return Rejected(str(file), f"has {found[:19]}..., not {said[:19]}...", AGAIN.format(self.path))
        return None


def write(folder: Path, manifest: Manifest) -> None:
    """bundle.yaml, replaced whole; sorted, so that equal bundles have equal files."""
    wire: dict[str, Any] = manifest.wire()
    wire["files"] = dict(sorted(manifest.files.items()))
    wire["images"] = dict(sorted(manifest.images.items()))
    new = folder / f".{FILE}.new"
    new.write_text(yaml.safe_dump(wire, sort_keys=False), encoding="utf-8")
    new.replace(folder / FILE)


def checksum(file: Path, told: Callable[[int, int], None] | None = None) -> str:
    """`sha256:...` of a file's content."""
    digest, done, size = hashlib.sha256(), 0, file.stat().st_size
    with file.open("rb") as stream:
        while data := stream.read(_CHUNK):
            digest.update(data)
            done += len(data)
            if told is not None:
                told(done, size)
    return f"sha256:{digest.hexdigest()}"


def inside(path: str) -> bool:
    """Whether it is `folder/name` (or deeper) of harmless names: it can lead to nowhere else."""
    parts = path.split("/")
    return 2 <= len(parts) <= 4 and all(_PART.fullmatch(part) for part in parts)


def _read(folder: Path, at: str) -> bytes:
    file = folder / FILE
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        what = f"{folder} has no {FILE}" if folder.is_dir() else f"there is no folder {folder}"
        raise NotFound(at, what, f"name a bundle's folder, or make one: `anytier bundle build -o {folder}`") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Denied(at, f"{file} cannot be read: {reason}", "give this user the right to read it") from None
    if len(data) > _LARGEST:
        raise Rejected(f"{at}: {file}", "is too large to be a bundle's description", AGAIN.format(folder))
    return data


def _is_file(file: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(file).st_mode)
    except OSError:
        return False


def _of(progress: Progress, relative: str) -> Callable[[int, int], None]:
    return lambda done, size: progress(relative, done, size)


def _printable(text: str) -> bool:
    return bool(text) and text.isprintable() and " " not in text


def _said(error: ValidationError) -> Iterator[str]:
    for item in error.errors(include_url=False):
        where = ".".join(str(part) for part in item["loc"])
        yield f"{where}: {item['msg'].removeprefix('Value error, ')}" if where else str(item["msg"])


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
