"""Waiting for the SSH of a machine that was just started: what it says while it boots, and when it does not come up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from pydantic import Field

from anytier.errors import AnytierError, Denied, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import ignored
from anytier.provider.libvirt.connection import Hypervisor
from anytier.provider.libvirt.console import Console, Line

T = TypeVar("T")
TELL = 2.0  # seconds between two status lines
AGAIN = 1.0
LOGIN = 30.0  # seconds from the first refused login on: a first boot may not have made the user yet


class Guest(Frozen):
    """A virtual machine where it runs."""

    host: Hypervisor
    name: str


class FirstBoot(Frozen):
    """`timeout`: seconds that the first SSH may take. `console`: a file of this machine that holds what the other one
    says while it boots; `guest`: whose line says it, where no such file can be read. `of`: what was started, in any
    words; another one is waited for again."""

    timeout: Annotated[float, ignored] = Field(default=300, gt=0, le=86400)
    console: Annotated[str | None, ignored] = None
    guest: Annotated[Guest | None, ignored] = None
    of: str = ""


async def up(path: str, boot: FirstBoot, say: Callable[[str], None], look: Callable[[], Awaitable[T]]) -> T:
    """What `look` gives once the machine answers. Unreachable, with the console's last lines, at the deadline."""
    line = Line(boot.guest.host, boot.guest.name) if boot.guest else None
    async with Console(boot.console, True, line) as console:
        return await _up(path, boot, console, say, look)


async def _up(
    path: str, boot: FirstBoot, console: Console, say: Callable[[str], None], look: Callable[[], Awaitable[T]]
) -> T:
    begun, refused = time.monotonic(), 0.0
    why = "it does not answer"
    while True:
        task = asyncio.ensure_future(look())
        try:
            while time.monotonic() - begun < boot.timeout and not (await asyncio.wait({task}, timeout=TELL))[0]:
                say(booting(time.monotonic() - begun, console))
            if task.done():
                return task.result()
        except Unreachable as error:
            why = error.what
        except Denied:
            refused = refused or time.monotonic()
            if time.monotonic() - refused >= LOGIN:
                raise
            why = "it takes no login"
        finally:
            task.cancel()
        if time.monotonic() - begun >= boot.timeout:
            raise _late(path, boot, console, why)
        say(booting(time.monotonic() - begun, console))
        await asyncio.sleep(AGAIN)


def booting(seconds: float, console: Console) -> str:
    last = console.lines(1)
    return f"booting {seconds:.0f} s{': ' + last[0][:80] if last else ''}"


def _late(path: str, boot: FirstBoot, console: Console, why: str) -> AnytierError:
    lines = console.lines()
    said = "; its console's last lines:\n  " + "\n  ".join(lines) + "\n" if lines else ""
    if (boot.console or boot.guest) and not lines:
        said = "; its console said nothing, or cannot be read from here"
    what = f"did not come up within {boot.timeout:g} s: {why}{said}"
    return Unreachable(path, what, "mend what it says, or give it more time: bootTimeout")
