"""Starting and stopping machines, and waiting until one is up."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import suppress
from typing import Any, Literal

from pydantic import Field

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.libvirt import errors
from anytier.provider.libvirt.connection import There, in_thread, library
from anytier.provider.libvirt.console import Console
from anytier.provider.resource import Context

_LOOK = 0.5
_AGAIN = 10.0  # seconds after which a guest is asked again to shut down: one that boots does not hear it
_TELL = 2.0


class Wait(Frozen):
    """When a machine counts as up. `address`: it has one, by DHCP; `agent`: its guest agent answers; `port`: it takes
    connections there, at `host` if that is said, else at its first address. `timeout` in seconds."""

    until: Literal["running", "address", "agent", "port"] = "running"
    port: int = Field(default=22, ge=1, le=65535)
    host: str | None = None
    timeout: float = Field(default=300, gt=0, le=86400)


async def start(place: There, uuid: str, path: str) -> bool:
    """Whether it had to be started."""

    def act(raw: Any) -> bool:
        machine = raw.lookupByUUIDString(uuid)
        if machine.isActive():
            if machine.info()[0] == library().VIR_DOMAIN_PAUSED:
                machine.resume()
            return False
        machine.create()
        return True

    return await place.call(path, act, 300)


async def stop(ctx: Context, place: There, uuid: str, path: str, deadline: float) -> None:
    """Asks the guest, then pulls the plug after `deadline` seconds. What is off, or goes meanwhile, is off."""
    begun = asked = None
    while await _active(place, uuid, path):
        now = time.monotonic()
        begun = begun or now
        if now - begun >= deadline:
            ctx.status("it does not stop by itself: switching it off")
            await _unless_off(place.call(path, lambda raw: raw.lookupByUUIDString(uuid).destroy()))
            return
        if asked is None or now - asked >= _AGAIN:
            asked = now
            await _unless_off(place.call(path, lambda raw: raw.lookupByUUIDString(uuid).shutdown()))
        ctx.status(f"shutting down {now - begun:.0f} s")
        await asyncio.sleep(_LOOK)


async def up(ctx: Context, place: There, uuid: str, path: str, wait: Wait, console: Console) -> list[str]:
    """Its addresses, once it is up. If it does not come up, the error has the console's last lines."""
    begun = told = time.monotonic()
    while True:
        if not await _active(place, uuid, path):
            raise Rejected(path, f"it has stopped while it booted{_said(console)}", "mend what it says, and run again")
        found = [] if wait.until == "running" else await addresses(place, uuid, path)
        if await _is_up(place, uuid, path, wait, found):
            return found
        now = time.monotonic()
        if now - begun >= wait.timeout:
            what = f"it runs, but {_missing(wait, found)} after {wait.timeout:g} s{_said(console)}"
            raise Rejected(path, what, "mend what it says, or raise wait.timeout")
        if now - told >= _TELL:
            told, last = now, console.lines(1)
            ctx.status(f"booting {now - begun:.0f} s{': ' + last[0][:80] if last else ''}")
        await asyncio.sleep(_LOOK)


async def addresses(place: There, uuid: str, path: str) -> list[str]:
    """By the leases of libvirt's networks, then by the guest agent; IPv4 first."""
    libvirt = library()
    sources = (libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)

    def ask(raw: Any) -> list[str]:
        machine = raw.lookupByUUIDString(uuid)
        for source in sources:
            with suppress(libvirt.libvirtError):  # no such network, no agent: not an answer, but no fault
                found = machine.interfaceAddresses(source, 0)
                every = [item for name, card in found.items() if name != "lo" for item in card.get("addrs") or ()]
                texts = [str(item["addr"]) for item in sorted(every, key=lambda item: int(item["type"]))]
                good = [text for text in texts if not text.startswith("fe80:")]
                if good:
                    return good
        return []

    return await place.call(path, ask)


async def _is_up(place: There, uuid: str, path: str, wait: Wait, found: list[str]) -> bool:
    if wait.until == "running":
        return True
    if wait.until == "address":
        return bool(found)
    if wait.until == "agent":
        return await _agent_answers(place, uuid, path)
    host = wait.host or (found[0] if found else None)
    return host is not None and await in_thread(lambda: _answers(host, wait.port), 15)


def _answers(host: str, port: int) -> bool:
    """Something there takes the connection and keeps it: a forwarder alone would close it at once."""
    try:
        with socket.create_connection((host, port), timeout=3) as made:
            made.settimeout(2)
            try:
                return made.recv(1) != b""
            except TimeoutError:
                return True  # it waits for the other side to speak
    except OSError:
        return False


async def _agent_answers(place: There, uuid: str, path: str) -> bool:
    libvirt = library()

    def ask(raw: Any) -> bool:
        try:
            raw.lookupByUUIDString(uuid).hostname(libvirt.VIR_DOMAIN_GET_HOSTNAME_AGENT)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (errors.AGENT_UNRESPONSIVE, errors.OPERATION_INVALID):
                return False
            raise
        return True

    return await place.call(path, ask)


async def _active(place: There, uuid: str, path: str) -> bool:
    try:
        return await place.call(path, lambda raw: bool(raw.lookupByUUIDString(uuid).isActive()))
    except NotFound:
        return False


async def _unless_off(work: Any) -> None:
    """It may go off between our look and our word."""
    try:
        await work
    except NotFound:
        return
    except AnytierError as error:
        if errors.code(error) not in (errors.OPERATION_INVALID, errors.AGENT_UNRESPONSIVE):
            raise


def _missing(wait: Wait, found: list[str]) -> str:
    if wait.until == "agent":
        return "its guest agent does not answer"
    if wait.until == "address" or (wait.host is None and not found):
        return "it has no address"
    return f"{wait.host or found[0]} port {wait.port} does not answer"


def _said(console: Console) -> str:
    lines = console.lines()
    return "" if not lines else "; its console's last lines:\n  " + "\n  ".join(lines) + "\n"
