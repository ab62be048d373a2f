"""What was pulled, kept here as files named by their digest, so that it is pulled once for all projects and machines.

A file under its name is whole and has its digest: it is written beside it and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from anytier.errors import NoSpace, Rejected
from anytier.provider.oci.manifest import Blob

_sound: set[tuple[str, int, int, int]] = set()  # files of which a look has told that they have their digest


def folder() -> Path:
    """`$ANYTIER_CACHE_DIR`, else `anytier` in the user's cache folder; `oci` in it."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ANYTIER_CACHE_DIR") or home / "anytier") / "oci" / "sha256"


def path(digest: str) -> Path:
    return folder() / digest.removeprefix("sha256:")


def has(blob: Blob) -> bool:
    """Whole and with its digest: one that a disk has spoilt meanwhile is pulled again. Each is read once a process."""
    with contextlib.suppress(OSError):
        file = path(blob.digest)
        found = file.stat()
        known = (str(file), found.st_ino, found.st_size, found.st_mtime_ns)
        if found.st_size == blob.size and known not in _sound:
            with file.open("rb") as stream:
                if f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" == blob.digest:
                    _sound.add(known)
        return known in _sound
    return False


def document(digest: str) -> bytes | None:
    """A small one, checked; None where it is not here, or is spoilt."""
    with contextlib.suppress(OSError):
        data = path(digest).read_bytes()
        return data if "sha256:" + hashlib.sha256(data).hexdigest() == digest else None
    return None


def keep(digest: str, data: bytes) -> None:
    with _writing(digest) as write:
        write(data)


def fetch(blob: Blob, source: Callable[[Callable[[bytes], object]], None], what: str) -> None:
    """Takes a blob from `source`. Rejected where it is not what its digest and size say."""
    digest, size = hashlib.sha256(), 0
    with _writing(blob.digest) as write:

        def take(data: bytes) -> None:
            nonlocal size
            size += len(data)
            if size > blob.size:
                raise _another(what, blob)
            digest.update(data)
            write(data)

        source(take)
        if size != blob.size or f"sha256:{digest.hexdigest()}" != blob.digest:
            raise _another(what, blob)


@contextlib.contextmanager
def _writing(digest: str) -> Iterator[Callable[[bytes], object]]:
    target = path(digest)
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, temporary = tempfile.mkstemp(prefix=".new-", dir=target.parent)
    except OSError as error:
        raise _cannot(target.parent, error) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield _checked(stream.write, target.parent)
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _checked(write: Callable[[bytes], object], where: Path) -> Callable[[bytes], object]:
    """An error of this disk is no error of the registry's connection."""

    def checked(data: bytes) -> None:
        try:
            write(data)
        except OSError as error:
            raise _cannot(where, error) from error

    return checked


def _cannot(where: Path, error: OSError) -> NoSpace | Rejected:
    kind = NoSpace if error.errno in (28, 122) else Rejected
    return kind(str(where), error.strerror or str(error), "free some space there, or set ANYTIER_CACHE_DIR")


def _another(what: str, blob: Blob) -> Rejected:
    do = "run again; if it stays so, the registry's copy is spoilt: push the image again"
    return Rejected(what, f"what its registry sent is not {blob.digest[:19]}...", do)
