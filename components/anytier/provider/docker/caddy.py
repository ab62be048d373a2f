"""The running proxy of an app on a daemon: its config read and changed, its requests counted.

Who serves changes without a new config, by slots (`render.slots`). Only other routes, other checks or more slots need
another one.

Caddy listens for orders on a unix socket inside its container; we reach it by commands there. Config, slots and who
serves lie in the proxy's volume, so that a restart loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from anytier.errors import Conflict, NotFound, Rejected, Unreachable
from anytier.provider.docker.client import Daemon, Result
from anytier.provider.docker.tar import Entry, pack, unpack
from anytier.render import caddy as render
from anytier.render import slots
from anytier.render.docker import TOOLS
from anytier.render.proxy import ProxyConfig
from anytier.render.slots import Members

CONFIG = "/config"
FILE = f"{CONFIG}/caddy.json"
_SOCKET = "/run/anytier/admin.sock"
_STATUS = "127.0.0.1:2021"
_HOLD = "127.0.0.1:2022"  # where slots point that have no instance: it says so at once, and is always healthy
_BUSYBOX = f"{TOOLS}/busybox"
_PATIENCE = 15.0
_ONE, _OTHER = "tcp4/:", "tcp4/0.0.0.0:"  # two spellings of one address
_DELAY = "500ms"  # how long a replaced config tells keep-alive clients to come again
_SLOTS, _MEMBERS = f"{CONFIG}/slots", "members.json"
_BREAK = "\n--\n"
# The old config comes back if Caddy refuses the new one, and a kill in between leaves a whole file. Half of a copy,
# where the disk is full, must not come back.
_LOAD = f"""cd {CONFIG} && {_BUSYBOX} cp caddy.json old.json || {{ {_BUSYBOX} rm -f old.json next.json; exit 1; }}
{_BUSYBOX} mv next.json caddy.json &&
/usr/bin/caddy reload --config {FILE} --address unix/{_SOCKET} ||
{{ code=$?; {_BUSYBOX} mv old.json caddy.json; exit $code; }}"""
# Config, members, what the slots really say, and an end, or the answer was cut off. One command: each costs time.
_STATE = f"""cd {CONFIG} && {_BUSYBOX} wget -q -O - http://{_STATUS}/config/ || exit 1
echo; echo --; {_BUSYBOX} cat {_MEMBERS} 2>/dev/null; echo; echo --; cd {_SLOTS} 2>/dev/null && {_BUSYBOX} grep -H . *
echo; echo --"""
# Each slot changes at once; members follow, so that a kill in between is made good by doing it again.
_TAKE = f"""cd {CONFIG} && {_BUSYBOX} mkdir -p slots && while read -r name dial; do
printf %s "$dial" >slots/.next && {_BUSYBOX} mv slots/.next "slots/$name" || exit 1
done <slots.next && {_BUSYBOX} mv members.next {_MEMBERS}"""


def container_name(ns: str) -> str:
    return f"{ns}-proxy"


def body(config: ProxyConfig, other: bool = False) -> bytes:
    """The config in Caddy's language. `other`: under the other spelling of each address.

    Caddy keeps a socket whose address stays the same, and cuts the connections that idle on it. Under another spelling
    it opens a second socket beside the first (both share the port), takes the old config for one that ends and waits
    `shutdown_delay`, answering `Connection: close`. What waits in the old socket's queue moves over: `sysctls`.
    """
    made = render.render(config, _SOCKET, f"{CONFIG}/data", _STATUS)
    made["admin"]["config"] = {"persist": False}
    http = made["apps"]["http"]
    http["shutdown_delay"] = _DELAY
    for server in http["servers"].values():
        server["listen"] = [_spelled(address, other) for address in server["listen"]]
    return json.dumps(slots.held(made, _HOLD)).encode()


@dataclass(frozen=True)
class State:
    """What runs: Caddy's own config, the same as others see it, and what each slot says."""

    raw: Mapping[str, Any]
    config: ProxyConfig
    slots: Mapping[str, list[str]]

    @property
    def seen(self) -> ProxyConfig:
        return render.parse(dict(self.raw))


def parsed(text: str) -> State:
    """From the three parts of the command's answer."""
    config, members, written = (text + _BREAK + _BREAK).split(_BREAK)[:3]
    raw: dict[str, Any] = json.loads(config)
    known = Members.model_validate_json(members) if members.strip() else Members()
    lines = dict(line.partition(":")[::2] for line in written.splitlines() if ":" in line)
    found = slots.as_written(known, lines)
    return State(raw, slots.logical(render.parse(raw), known), found)


def _spelled(address: str, other: bool) -> str:
    host, _, port = address.rpartition(":")
    return address if host else f"{_OTHER if other else _ONE}{port}"


def _is_other(running: Mapping[str, Any]) -> bool:
    servers = ((running.get("apps") or {}).get("http") or {}).get("servers") or {}
    return any(address.startswith(_OTHER) for server in servers.values() for address in server["listen"])


def sysctls(kernel: str) -> dict[str, str]:
    """Connections that wait at a socket which closes go to the other one of that port, where the kernel can."""
    found = re.match(r"(\d+)\.(\d+)", kernel)
    return {"net.ipv4.tcp_migrate_req": "1"} if found and (int(found[1]), int(found[2])) >= (5, 14) else {}


class Caddy:
    """One app's proxy. One object a daemon and app, so that its lock means something: see `of`."""

    def __init__(self, daemon: Daemon, ns: str) -> None:
        self.daemon, self.name = daemon, container_name(ns)
        self.lock = asyncio.Lock()
        self._known: ProxyConfig | None = None

    async def alive(self, patience: float = 5) -> bool:
        try:
            return (await self._ask("/config/admin", timeout=patience)).code == 0
        except (NotFound, Conflict, Rejected, TimeoutError):
            return False
        except Unreachable:
            await self.daemon.get("_ping")  # away is the daemon, or only what ran the command
            return False

    async def config(self) -> ProxyConfig:
        """What it does now."""
        self._known = (await self._state()).config
        return self._known

    async def seen(self) -> ProxyConfig:
        """What it did when we last looked or changed it. Within one run nobody else changes it."""
        return self._known or await self.config()

    async def change(
        self, edit: Callable[[ProxyConfig], ProxyConfig], room: Mapping[str, int] | None = None, anew: bool = False
    ) -> None:
        """Read, edit, write, one at a time. `room`: pool -> for how many instances. `anew`: load the config also where
        it has not changed, since files that it names have."""
        async with self.lock:
            state = await self._state()
            new = edit(state.config)
            members = slots.seated(new, state.slots, room or {}, _HOLD)
            wanted = slots.physical(new, members.slots, _SLOTS)
            if new != state.config or members.slots != state.slots:
                await self._take(members, state)
            if wanted != state.seen or anew:
                await self._load(wanted, other=not _is_other(state.raw))
            self._known = new

    async def first_files(self, config: ProxyConfig) -> dict[str, Entry]:
        """What a new container starts with: this config, with those who served before, as the volume still knows."""
        try:
            found = unpack(await self.daemon.get_files(self.name, f"{CONFIG}/{_MEMBERS}"))
            known = Members.model_validate_json(next(iter(found.values())))
        except (NotFound, StopIteration, ValidationError):
            known = Members()
        new = slots.logical(config, known)
        members = slots.seated(new, known.slots, {}, _HOLD)
        files = {"caddy.json": body(slots.physical(new, members.slots, _SLOTS)), _MEMBERS: members.json_bytes()}
        files |= {f"slots/{name}": dial.encode() for name, dial in slots.files(members.slots).items()}
        return {name: (data, 0o600, 0, 0) for name, data in files.items()}

    async def _state(self) -> State:
        """Without a config Caddy is on its way out, or so is the connection."""
        for _ in range(3):
            answer = await self._patient(lambda: self._command(_STATE))
            if not answer.out.startswith("null") and answer.out.endswith(_BREAK):
                return parsed(answer.out)
            await asyncio.sleep(0.2)
            await self.until_alive()
        raise Unreachable("proxy", "Caddy has no config", f"see `docker logs {self.name}`")

    async def _take(self, members: Members, state: State) -> None:
        """Slots lead elsewhere from now on: for the next request, none under way is touched."""
        changed = slots.changed(state.slots, members.slots)
        lines = "".join(f"{name} {dial}\n" for name, dial in changed.items()).encode()
        files = {"slots.next": (lines, 0o600, 0, 0), "members.next": (members.json_bytes(), 0o600, 0, 0)}
        done = await self._patient(lambda: self._with_files(files, _TAKE))
        if done.code != 0:
            raise Rejected("proxy", f"its slots cannot be written: {done.last}", "run again")

    async def _command(self, script: str, timeout: float = 30) -> Result:
        return await self.daemon.run(self.name, [_BUSYBOX, "sh", "-c", script], timeout)

    async def _with_files(self, files: Mapping[str, Entry], script: str, timeout: float = 30) -> Result:
        """A script that uses its files up: whoever runs it again gives it the files again."""
        await self.daemon.put_files(self.name, CONFIG, pack(dict(files)))
        return await self._command(script, timeout)

    async def in_flight(self) -> Mapping[str, int]:
        """Requests under way by upstream, draining ones included. An answer may be cut off as any command's."""
        for _ in range(2):
            answer = await self._patient(lambda: self._ask("/reverse_proxy/upstreams"))
            with contextlib.suppress(json.JSONDecodeError):
                found: list[dict[str, Any]] = json.loads(answer.out) or []
                return {item["address"]: int(item["num_requests"]) for item in found}
        raise Unreachable("proxy", "its answer was cut off", "run again")

    async def until_idle(self, dials: Collection[str], timeout: float) -> None:
        """Returns when none of these has a request under way, or after `timeout`."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            flying = await self.in_flight()
            if not any(flying.get(dial) for dial in dials):
                return
            await asyncio.sleep(0.2)

    async def until_alive(self, timeout: float = _PATIENCE) -> None:
        for _ in range(int(timeout / 0.1)):
            if await self.alive():
                return
            await asyncio.sleep(0.1)
        log = await self.daemon.log(self.name, 5)
        raise Unreachable("proxy", f"Caddy does not answer: {last_error(log)}", f"see `docker logs {self.name}`")

    async def _load(self, config: ProxyConfig, other: bool) -> None:
        files = {"next.json": (body(config, other), 0o600, 0, 0)}
        done = await self._patient(lambda: self._with_files(files, _LOAD, 60), codes=True)
        if done.code != 0:
            raise Rejected("proxy", last_error(done.out), "mend the routes, then run again")

    async def _ask(self, path: str, timeout: float = 30) -> Result:
        return await self.daemon.run(self.name, [_BUSYBOX, "wget", "-q", "-O", "-", f"http://{_STATUS}{path}"], timeout)

    async def _patient(self, ask: Callable[[], Any], codes: bool = False) -> Result:
        """Docker brings it back within seconds; only then is it away. A command whose end nobody has seen is given
        again: it has the same effect twice."""
        try:
            done: Result = await ask()
            if done.code == 0 or codes:
                return done
        except (Conflict, Rejected, Unreachable, TimeoutError):
            pass
        await self.until_alive()
        again: Result = await ask()
        if again.code != 0 and not codes:
            raise Unreachable("proxy", f"Caddy does not answer: {again.last}", f"see `docker logs {self.name}`")
        return again


def of(daemon: Daemon, ns: str) -> Caddy:
    """The app's proxy on the daemon."""
    return daemon.shared(f"caddy {ns}", lambda: Caddy(daemon, ns))


def last_error(text: str) -> str:
    """What Caddy's last line that is an error says."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        try:
            said = json.loads(line)
        except ValueError:
            if line.startswith("Error:"):
                return line.removeprefix("Error:").strip()
            continue
        if isinstance(said, dict) and said.get("level") in ("error", "fatal", "panic"):
            return str(said.get("error") or said.get("msg") or line)
    return lines[-1] if lines else "it said nothing"
