"""Base images on the controlling side: fetched once, known by their digest, and looked at before they are sent."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BeforeValidator, StringConstraints

from anytier.errors import AnytierError, NoSpace, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import ignored
from anytier.provider.libvirt.connection import in_thread

_CHUNK = 2**20
_SILENCE = 60.0  # seconds without a byte
_LONGEST = 6 * 3600.0
_MAGIC = b"QFI\xfb"
_DATA_FILE = 1 << 2  # an incompatible feature bit: the data is in another file


class Source(Frozen):
    """An image by `url` (http or https) or by `file` of this machine; its digest is always checked, and says which it
    is: from where it was taken makes no other one of it."""

    url: Annotated[str | None, ignored] = None
    file: Annotated[str | None, ignored] = None
    sha256: Annotated[
        str,
        BeforeValidator(lambda given: given.strip().lower() if isinstance(given, str) else given),
        StringConstraints(pattern="^[0-9a-f]{64}$"),
    ]


@dataclass(frozen=True)
class Image:
    """`size`: bytes that a guest sees; `length`: bytes of the file."""

    path: Path
    format: str
    size: int
    length: int


def wrong_source(source: Source, path: str = "source") -> list[AnytierError]:
    if (source.url is None) == (source.file is None):
        return [Rejected(path, "needs either a url or a file", "give one of the two")]
    if source.url is not None and (
        urlsplit(source.url).scheme not in ("http", "https") or not urlsplit(source.url).netloc
    ):
        return [Rejected(f"{path}.url", f"{source.url!r} is no URL of http or https", "or give a file")]
    if source.url is not None and urlsplit(source.url).password is not None:
        return [Rejected(f"{path}.url", "holds a password", "fetch it beforehand, and give the file")]
    return []


async def ready(source: Source, name: str, say: Callable[[str], None]) -> Image:
    """The image as a local file with the digest that was asked for."""
    path = f"volume {name}"
    stop = False

    def progress(done: int) -> None:
        if stop:
            raise InterruptedError
        shown[0] = done

    shown = [0]
    work = asyncio.ensure_future(in_thread(lambda: _have(source, path, progress), _LONGEST))
    try:
        while not (await asyncio.wait({work}, timeout=1))[0]:
            say(f"reading the image: {shown[0] // 2**20} MiB")
        return inspect(work.result(), path)
    finally:
        stop = True
        work.cancel()


def inspect(file: Path, path: str) -> Image:
    """Its format and size by its first bytes. An image that leads to another file of the host is refused."""
    with file.open("rb") as data:
        head = data.read(80)
    length = file.stat().st_size
    if not head.startswith(_MAGIC):
        return Image(file, "raw", length, length)
    if len(head) < 72:
        raise Rejected(path, "the image is cut off", "fetch it again")
    version, backing = struct.unpack(">IQ", head[4:16])
    (size,) = struct.unpack(">Q", head[24:32])
    features = struct.unpack(">Q", head[72:80])[0] if version >= 3 and len(head) >= 80 else 0
    if backing or features & _DATA_FILE:
        raise Rejected(path, "the image refers to another file", "make a whole one: `qemu-img convert -O qcow2`")
    return Image(file, "qcow2", size, length)


def cache_folder() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ANYTIER_CACHE_DIR") or home / "anytier") / "images"


def _have(source: Source, path: str, progress: Callable[[int], None]) -> Path:
    if source.file is not None:
        file = Path(source.file)
        _digest_is(file, source.sha256, path, progress)
        return file
    kept = cache_folder() / source.sha256
    if not kept.is_file():
        _fetch(str(source.url), source.sha256, kept, path, progress)
    return kept


def _digest_is(file: Path, sha256: str, path: str, progress: Callable[[int], None]) -> None:
    digest, done = hashlib.sha256(), 0
    try:
        with file.open("rb") as data:
            while chunk := data.read(_CHUNK):
                digest.update(chunk)
                done += len(chunk)
                progress(done)
    except FileNotFoundError as error:
        raise NotFound(path, f"its image {file} is not there", "mend source.file") from error
    except OSError as error:
        raise Rejected(path, f"its image {file} cannot be read: {error.strerror}", "mend source.file") from error
    if digest.hexdigest() != sha256:
        raise _other_digest(path, sha256, digest.hexdigest())


def _fetch(url: str, sha256: str, kept: Path, path: str, progress: Callable[[int], None]) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    digest, done = hashlib.sha256(), 0
    handle, name = tempfile.mkstemp(dir=kept.parent, prefix=".part-")
    try:
        with open(handle, "wb") as part, urllib.request.urlopen(url, timeout=_SILENCE) as answer:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                part.write(chunk)
                done += len(chunk)
                progress(done)
        if digest.hexdigest() != sha256:
            raise _other_digest(path, sha256, digest.hexdigest())
        os.replace(name, kept)
    except urllib.error.HTTPError as error:
        error.close()
        kind = NotFound if error.code in (404, 410) else Unreachable
        raise kind(path, f"{url} answers {error.code} {error.reason}", "mend source.url") from error
    except urllib.error.URLError as error:
        raise Unreachable(path, f"{url}: {error.reason}", "is the network up? Or give a file") from error
    except OSError as error:
        if isinstance(error, InterruptedError):
            raise
        if error.errno == 28:
            raise NoSpace(
                path, f"no room for the image in {kept.parent}", "free some, or set ANYTIER_CACHE_DIR"
            ) from error
        raise Unreachable(path, f"{url}: {error}", "run again") from error
    finally:
        Path(name).unlink(missing_ok=True)


def _other_digest(path: str, wanted: str, found: str) -> AnytierError:
    return Rejected(path, f"the image's sha256 is {found}, not {wanted}", "is it the image you mean? Then mend sha256")
