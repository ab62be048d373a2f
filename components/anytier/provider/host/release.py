"""A snapshot of a program's sources on the machine, so that a revision stays what it was when the sources move on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from anytier.errors import NotFound, Rejected
from anytier.provider.host.place import Place
from anytier.provider.host.transport import File, mapped

_LEFT_OUT = {".git", ".hg", "__pycache__", ".venv", ".pytest_cache"}
_COMPLETE = ".anytier-complete"


async def ensure(place: Place, releases: str, name: str | None, entries: Mapping[str, str]) -> None:
    """Copies the folders of `entries` to `<releases>/<name>/`, unless they are there. The mark comes last."""
    if name is None:
        return
    folder = f"{releases}/{name}"
    if _COMPLETE in await place.machine.list(folder):
        return
    if not entries:
        raise NotFound(f"release {name}", "its sources are no longer here", "roll back to a newer revision")
    await place.machine.remove([folder])
    files = await asyncio.to_thread(lambda: list(snapshot(folder, entries, place.facts.root)))
    await place.machine.put([File(releases, None, 0o755), *files, File(f"{folder}/{_COMPLETE}", b"")])


async def prune(place: Place, releases: str, keep: set[str]) -> None:
    gone = [name for name in await place.machine.list(releases) if name not in keep]
    await place.machine.remove([f"{releases}/{name}" for name in gone])


def snapshot(folder: str, entries: Mapping[str, str], readable: bool) -> Iterator[File]:
    """`readable`: whoever the program will run as can read it."""
    for key, source in sorted(entries.items()):
        if os.path.isabs(key) or key.split("/")[0] == "..":
            raise Rejected(
                f"release.entries[{key}]", "leads out of the snapshot", "build from a folder below the spec's"
            )
        if not os.path.isdir(source):
            raise NotFound(source, "is not a folder on this machine", "mend the build's context")
        yield from _tree(Path(source), os.path.normpath(f"{folder}/{key}"), readable, set())


def _tree(source: Path, target: str, readable: bool, above: set[str]) -> Iterator[File]:
    """Links are followed, once: a snapshot must not lead back to what changes."""
    real = os.path.realpath(source)
    if real in above:
        return
    yield File(target, None, 0o755)
    for item in sorted(source.iterdir()):
        if item.name in _LEFT_OUT:
            continue
        if item.is_dir():
            yield from _tree(item, f"{target}/{item.name}", readable, above | {real})
        elif item.is_file():
            with mapped(str(item)):
                mode = item.stat().st_mode & 0o755
                yield File(f"{target}/{item.name}", item.read_bytes(), mode | (0o444 if readable else 0))
