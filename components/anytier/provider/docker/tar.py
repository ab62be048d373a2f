"""Tar archives: in memory for the daemon's archive calls, and of a build context for its builder."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

Entry = tuple[bytes, int, int, int]  # content, mode, uid, gid


def pack(files: Mapping[str, Entry], links: Mapping[str, str] | None = None) -> bytes:
    """Folders above a file are made readable; links are path -> target."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for folder in sorted({above for name in files for above in _above(name)}):
            made = tarfile.TarInfo(folder)
            made.type, made.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(made)
        for name, (data, mode, uid, gid) in sorted(files.items()):
            made = tarfile.TarInfo(name)
            made.size, made.mode, made.uid, made.gid = len(data), mode, uid, gid
            tar.addfile(made, io.BytesIO(data))
        for name, target in sorted((links or {}).items()):
            made = tarfile.TarInfo(name.lstrip("/"))
            made.type, made.linkname, made.mode = tarfile.SYMTYPE, target, 0o777
            tar.addfile(made)
    return out.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    """Regular files by their name in the archive."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {item.name: tar.extractfile(item) for item in tar.getmembers() if item.isfile()}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def write_context(context: Path, names: Iterable[str], out: IO[bytes]) -> None:
    """These entries of a folder, as Docker's own client sends them: owned by root, times and permissions kept.

    OSError where one cannot be read or shrinks meanwhile.
    """
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            path = context / name
            made = tar.gettarinfo(path, arcname=name)
            made.uid = made.gid = 0
            made.uname = made.gname = ""
            if made.islnk():  # a second name of a file, which may be outside of the context or come later
                made.type, made.linkname, made.size = tarfile.REGTYPE, "", path.stat().st_size
            if made.isreg():
                with path.open("rb") as stream:
                    tar.addfile(made, stream)
            else:
                tar.addfile(made)


def _above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]
