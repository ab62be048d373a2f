"""Caddy's admin API of one app's proxy, on its unix socket, and the files that say who serves.

Who serves changes without a new config, by slots (`render.slots`). Only other routes, other checks or more slots need
another one: one atomic load of the whole. It also lies in a file, which Caddy starts from: its restart loses nothing.

Sockets are opened by the launcher and handed over, each under two numbers. Caddy by itself opens a second socket when
it is given a new config and closes the first at once, which resets connections that wait to be accepted and cuts idle
ones. With the other number for the same socket it takes the old config for one that ends: it waits `shutdown_delay`,
answering `Connection: close`, and nothing that waits in the queue is lost.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from anytier.errors import NotFound, Rejected, Unreachable
from anytier.provider.host import http
from anytier.provider.host.place import Place, proxy_unit
from anytier.provider.host.transport import File
from anytier.provider.waiting import both
from anytier.render import caddy as render
from anytier.render import slots
from anytier.render.proxy import ProxyConfig
from anytier.render.slots import Members

_PATIENCE = 15.0  # a proxy that was killed is back sooner
FIRST_SOCKET = 100  # the launcher's number for the first listener; each has this one and the next


class Caddy:
    """The running proxy of a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.file = f"{place.layout.proxy}/caddy.json"
        self.members = f"{place.layout.proxy}/members.json"
        self.slots = f"{place.layout.proxy}/slots"
        sockets = place.layout.sockets(place.facts, place.supervisor)
        self.socket = f"{sockets}/proxy.sock"
        self.hold = f"unix/{sockets}/hold.sock"

    async def body(self, config: ProxyConfig, other: bool = False) -> bytes:
        """A config with slots in Caddy's language, and our admin socket: a load without one would close the door.

        `other`: under the other number of each socket.
        """
        admin = {"listen": f"unix/{self.socket}|0600", "config": {"persist": False}}
        out = render.render(config) | {"admin": admin}
        opened = await self.opened()
        for server in out["apps"]["http"]["servers"].values():
            server["listen"] = [_number(opened, address, other) for address in server["listen"]]
        return json.dumps(slots.held(out, f"{self.hold}|0600")).encode()

    async def opened(self) -> list[str]:
        """The addresses that the launcher opens for Caddy, in the order of their numbers."""
        path = f"{self.place.layout.proxy}/launch.json"
        data = (await self.place.machine.read([path])).get(path)
        return list(json.loads(data).get("listen") or []) if data else []

    async def alive(self) -> bool:
        """One that is about to end has no config any more, and says that there is no such path."""
        try:
            await self._request("GET", "/config/admin", timeout=3)
        except (Rejected, Unreachable):
            return False
        return True

    async def config(self, wait: bool = True) -> ProxyConfig:
        """What it does now."""
        return slots.logical(parse(await self._running(wait)), await self._members())

    async def now(self) -> ProxyConfig | None:
        """The same in one round of calls; None where it does not answer, or is about to end."""
        running, members = await both(self._answered(), self._members())
        return None if running is None else slots.logical(parse(running), members)

    async def _answered(self) -> bytes | None:
        try:
            found = await self._request("GET", "/config/", timeout=10)
        except (Rejected, Unreachable):
            return None
        return None if json.loads(found) is None else found

    async def _running(self, wait: bool = True) -> bytes:
        """Without a config Caddy is on its way out."""
        found = await self._request("GET", "/config/") if not wait else await self._patient("GET", "/config/")
        if json.loads(found) is None:
            if not wait:
                raise Unreachable("proxy", "is about to end", "run again")
            await asyncio.sleep(0.2)
            await self.until_alive()
            return await self._running(wait=False)
        return found

    async def saved(self) -> ProxyConfig | None:
        """What it will do when it starts."""
        data = (await self.place.machine.read([self.file])).get(self.file)
        return parse(data) if data else None

    async def change(
        self, edit: Callable[[ProxyConfig], ProxyConfig], room: Mapping[str, int] | None = None, anew: bool = False
    ) -> None:
        """Read, edit, write, one at a time. `room`: pool -> for how many instances. `anew`: load the config also where
        it has not changed, since files that it names have.

        Slots change at once, each for its next request; members follow, so that a kill in between is made good by
        doing it again. A config's file goes first and comes back if Caddy refuses.
        """
        async with self.place.proxy_lock:
            running, known = await self._running(), await self._members()
            now = await self._written(known)
            physical = parse(running)
            old = slots.logical(physical, known)
            new = edit(old)
            members = slots.seated(new, now, room or {}, self.hold)
            if new != old or members.slots != now:
                await self.place.machine.put(self._files(slots.changed(now, members.slots), members))
            wanted = slots.physical(new, members.slots, self.slots)
            if wanted == physical and not anew:
                return
            body = await self.body(wanted, other=not _is_other(running))
            await self.place.machine.put([File(self.file, body)])
            try:
                await self._patient("POST", "/load", body)
            except Rejected:
                await self.place.machine.put([File(self.file, running)])
                raise

    async def first_files(self, config: ProxyConfig) -> list[File]:
        """What a new process starts with: this config, with those who served before, as the files still know."""
        known = await self._members()
        new = slots.logical(config, known)
        members = slots.seated(new, known.slots, {}, self.hold)
        body = await self.body(slots.physical(new, members.slots, self.slots))
        return [*self._files(slots.files(members.slots), members), File(self.file, body)]

    async def _members(self) -> Members:
        data = (await self.place.machine.read([self.members])).get(self.members)
        return Members.model_validate_json(data) if data else Members()

    async def _written(self, known: Members) -> dict[str, list[str]]:
        """The slots as their files say."""
        paths = {name: f"{self.slots}/{name}" for name in slots.files(known.slots)}
        found = await self.place.machine.read(list(paths.values()))
        return slots.as_written(known, {name: found.get(path, b"").decode() for name, path in paths.items()})

    def _files(self, dials: Mapping[str, str], members: Members) -> list[File]:
        folder = File(self.slots, None, self.place.site.folder_mode)
        leads = [File(f"{self.slots}/{name}", dial.encode()) for name, dial in dials.items()]
        return [folder, *leads, File(self.members, members.json_bytes(), 0o600)]

    async def in_flight(self) -> Mapping[str, int]:
        """Requests under way by upstream, draining ones included."""
        found: list[dict[str, Any]] = json.loads(await self._patient("GET", "/reverse_proxy/upstreams")) or []
        return {item["address"]: int(item["num_requests"]) for item in found}

    async def until_alive(self, timeout: float = _PATIENCE) -> None:
        """NotFound as soon as there is no proxy any more that could come back."""
        for _ in range(int(timeout / 0.1)):
            if await self.alive():
                return
            if await self.saved() is None:
                raise NotFound("proxy", "is gone", "run `pulumi up --refresh`, which makes it anew")
            await asyncio.sleep(0.1)
        log = await self.place.manager.log(proxy_unit(self.place.layout), f"{self.place.layout.proxy}/log", 5)
        raise Unreachable("proxy", f"Caddy does not answer: {last_error(log)}", "see its log: anytier logs proxy")

    async def _patient(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Its supervisor brings it back within seconds; only then is it away."""
        try:
            return await self._request(method, path, body)
        except Unreachable:
            await self.until_alive()
            return await self._request(method, path, body)

    async def _request(self, method: str, path: str, body: bytes = b"", timeout: float = 30) -> bytes:
        try:
            answer = await http.request(
                lambda: self.place.machine.open_unix(self.socket),
                method,
                path,
                host="127.0.0.1",
                headers={"Content-Type": "application/json"},
                body=body,
                timeout=timeout,
            )
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            raise http.no_answer("proxy", error, "run `pulumi up --refresh`, which brings it back") from error
        if answer.status >= 300:
            raise Rejected("proxy", last_error(answer.body.decode(errors="replace")), "mend the routes, then run again")
        return answer.body


def last_error(text: str) -> str:
    """The message of Caddy's last JSON line, or the line itself."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return "it said nothing"
    try:
        said = json.loads(lines[-1])
        return str(said.get("error") or said.get("msg") or lines[-1])
    except (ValueError, AttributeError):
        return lines[-1]


def parse(data: bytes) -> ProxyConfig:
    return render.parse({key: value for key, value in (json.loads(data) or {}).items() if key != "admin"})


def _number(opened: list[str], address: str, other: bool) -> str:
    """`fd/100` for an address that the launcher has opened; one that came later is opened by Caddy itself."""
    return f"fd/{FIRST_SOCKET + 2 * opened.index(address) + other}" if address in opened else address


def _is_other(running: bytes) -> bool:
    servers = json.loads(running)["apps"]["http"]["servers"].values()
    numbers = [int(item[3:]) for server in servers for item in server["listen"] if item.startswith("fd/")]
    return any(number % 2 for number in numbers)
