"""Caddy's admin API of one app's proxy, on its unix socket: every change is one atomic load of the whole config.

The config that was loaded last also lies in a file, which Caddy starts from: its restart loses nothing.

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
from anytier.provider.host.layout import Layout
from anytier.provider.host.place import Place
from anytier.provider.host.transport import File
from anytier.render import caddy as render
from anytier.render.proxy import HealthCheck, Pool, ProxyConfig, Upstream

_PATIENCE = 15.0  # a proxy that was killed is back sooner
FIRST_SOCKET = 100  # the launcher's number for the first listener; each has this one and the next


def unit_name(layout: Layout) -> str:
    return f"{layout.ns}-proxy"


class Caddy:
    """The running proxy of a place."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.file = f"{place.layout.proxy}/caddy.json"
        self.socket = f"{place.layout.sockets(place.facts, place.supervisor)}/proxy.sock"

    async def body(self, config: ProxyConfig, other: bool = False) -> bytes:
        """The config in Caddy's language, with our admin socket: a load without one would close the door behind us.

        `other`: under the other number of each socket.
        """
        admin = {"listen": f"unix/{self.socket}|0600", "config": {"persist": False}}
        out = render.render(config) | {"admin": admin}
        opened = await self.opened()
        for server in out["apps"]["http"]["servers"].values():
            server["listen"] = [_number(opened, address, other) for address in server["listen"]]
        return json.dumps(out).encode()

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
        return parse(await self._running(wait))

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

    async def change(self, edit: Callable[[ProxyConfig], ProxyConfig], anew: bool = False) -> None:
        """Read, edit, load, one at a time. The file goes first and comes back if Caddy refuses.

        `anew`: also what has not changed, since files that it names have.
        """
        async with self.place.proxy_lock:
            running = await self._running()
            old = parse(running)
            new = edit(old)
            if new == old and not anew:
                return
            body = await self.body(new, other=not _is_other(running))
            await self.place.machine.put([File(self.file, body)])
            try:
                await self._patient("POST", "/load", body)
            except Rejected:
                await self.place.machine.put([File(self.file, running)])
                raise

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
        log = await self.place.manager.log(unit_name(self.place.layout), f"{self.place.layout.proxy}/log", 5)
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


# edits: pure functions from one config to the next


def with_upstreams(config: ProxyConfig, dials: Mapping[str, list[str]]) -> ProxyConfig:
    """Each pool's `dials` take traffic; others of the pool stay as they are."""
    return _edit(config, dials, lambda known, mine: [*_without(known, mine), *[Upstream(dial=dial) for dial in mine]])


def draining(config: ProxyConfig, dials: Mapping[str, list[str]]) -> ProxyConfig:
    """Those of `dials` that the pool has get nothing new and are still counted."""
    return _edit(config, dials, lambda known, mine: [_drained(item) if item.dial in mine else item for item in known])


def without_serving(config: ProxyConfig, dials: Mapping[str, list[str]]) -> ProxyConfig:
    """Those of `dials` that still take traffic take none. One that drains is in nobody's way and may stay a while."""
    return _edit(config, dials, lambda known, mine: [item for item in known if item.draining or item.dial not in mine])


def only(config: ProxyConfig, dials: Mapping[str, list[str]]) -> ProxyConfig:
    """The pools hold no upstream but `dials`."""
    return _edit(config, dials, lambda known, mine: [item for item in known if item.dial in mine])


def with_health(config: ProxyConfig, checks: Mapping[str, HealthCheck | None]) -> ProxyConfig:
    """The pools are checked as their instances' revision says."""
    pools = dict(config.pools)
    for key, check in checks.items():
        pools[key] = pools.get(key, Pool()).model_copy(update={"health": check})
    return config.model_copy(update={"pools": pools})


def merged(wanted: ProxyConfig, running: ProxyConfig) -> ProxyConfig:
    """The wanted listeners, routes and pools, filled with what the workloads have put in."""
    pools = {key: running.pools.get(key, pool) for key, pool in wanted.pools.items()}
    return wanted.model_copy(update={"pools": pools})


def bare(config: ProxyConfig) -> ProxyConfig:
    """With empty pools: what the stack's program says of the proxy."""
    return config.model_copy(update={"pools": {key: Pool() for key in config.pools}})


def _edit(
    config: ProxyConfig, dials: Mapping[str, list[str]], change: Callable[[list[Upstream], list[str]], list[Upstream]]
) -> ProxyConfig:
    """A pool of which the program has not told the proxy yet is made: the order of resources must not matter."""
    pools = dict(config.pools)
    for key, mine in dials.items():
        pool = pools.get(key, Pool())
        pools[key] = pool.model_copy(update={"upstreams": change(pool.upstreams, mine)})
    return config.model_copy(update={"pools": pools})


def _without(known: list[Upstream], mine: list[str]) -> list[Upstream]:
    return [item for item in known if item.dial not in mine]


def _drained(upstream: Upstream) -> Upstream:
    return upstream.model_copy(update={"draining": True})
