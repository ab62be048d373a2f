"""The process manager where no systemd runs: one supervisord for one app, in a session of its own.

It answers on a unix socket that only its user may open. Killed, it is brought back by the next look at it, after
what it left running has been ended: its programs carry ANYTIER_ROOT in their environment, and only those are touched.
"""

from __future__ import annotations

import asyncio
import sys
import xmlrpc.client
from collections.abc import Sequence
from typing import Any

from anytier.errors import Rejected, Unreachable
from anytier.provider.host import http
from anytier.provider.host.layout import Layout
from anytier.provider.host.manager import State, Together
from anytier.provider.host.toolbox import tool
from anytier.provider.host.transport import Facts, File, Machine
from anytier.render import supervisor as render
from anytier.render.unit import Unit

_BAD_NAME, _ALREADY_STARTED, _NOT_RUNNING, _ALREADY_ADDED, _STILL_RUNNING = 10, 60, 70, 90, 91
_START_TIMEOUT = 15.0


class Supervisord:
    """`Manager` over supervisord's XML-RPC."""

    def __init__(self, machine: Machine, layout: Layout, facts: Facts) -> None:
        self.machine, self.layout, self.facts = machine, layout, facts
        self.folder = layout.supervisor
        self.socket = f"{layout.sockets(facts, 'supervisord')}/supervisor.sock"
        self._together: Together[Unit] = Together(self._start_all)
        self._lock = asyncio.Lock()

    # Manager

    async def start(self, unit: Unit) -> None:
        await self._together(unit)

    async def stop(self, name: str) -> None:
        async with self._lock:
            while True:
                alive = await self._alive()
                if alive:
                    await self._quiet("stopProcess", name, True, ignore=(_BAD_NAME, _NOT_RUNNING), timeout=600)
                    await self._remove_group(name)
                await self._reap(name)
                # One that was only too busy to answer would start again what was ended behind its back.
                if alive or not await self._alive():
                    break
            await self.machine.remove([self._program(name)])

    async def restart(self, name: str) -> None:
        await self._quiet("stopProcess", name, True, ignore=(_NOT_RUNNING,), timeout=600)
        await self._quiet("startProcess", name, False, ignore=(_ALREADY_STARTED,))

    async def states(self, revive: bool = False) -> dict[str, State]:
        if not await self._alive():
            if not revive or not await self._programs():
                return {}
            async with self._lock:
                await self._ensure()
        return {info["name"]: _state(info) for info in await self._call("getAllProcessInfo")}

    async def log(self, name: str, log: str, lines: int) -> str:
        found = await self.machine.run(["tail", "-n", str(lines), "--", log])
        return found.out

    def log_argv(self, name: str, log: str, lines: int, follow: bool) -> list[str]:
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), "--", log]

    async def close(self) -> None:
        """Ends supervisord. Its socket is gone only when its programs are."""
        async with self._lock:
            if await self._alive():
                await self._quiet("shutdown", ignore=())
                await self._until_gone()
            await tool(self.machine, self.layout, self.facts, "reap", {"root": self.layout.root, "grace": 5})
            await self.machine.remove([self.folder, self.socket])

    # supervisord's own life

    async def _ensure(self) -> None:
        """A supervisord that answers. One that does not is ended with all it had started: nobody else can do it."""
        if await self._alive():
            return
        await tool(self.machine, self.layout, self.facts, "reap", {"root": self.layout.root, "grace": 5})
        config = f"{self.folder}/supervisord.conf"
        await self.machine.put(
            [
                File(self.socket.rpartition("/")[0], None, 0o700),
                File(self.folder, None, 0o700),
                File(f"{self.folder}/programs", None, 0o700),
                File(config, render.daemon(self.folder, self.socket, self.layout.ns).encode(), 0o600),
            ]
        )
        argv = [sys.executable, "-I", "-m", "supervisor.supervisord", "-c", config]
        made = await self.machine.run(argv, env=self._environment(), timeout=_START_TIMEOUT)
        if made.code != 0:
            raise Rejected("supervisord", made.err.strip() or made.out.strip(), f"see {self.folder}/supervisord.log")
        await self._until_alive()

    def _environment(self) -> dict[str, str]:
        """Nothing of the caller's: it may hold a passphrase, and every program would inherit it."""
        facts = self.facts
        known = {"PATH": facts.path, "HOME": facts.home, "USER": facts.user, "LOGNAME": facts.user, "LANG": "C.UTF-8"}
        return known | {"ANYTIER_ROOT": self.layout.root}

    async def _until_alive(self) -> None:
        for _ in range(int(_START_TIMEOUT / 0.05)):
            if await self._alive():
                return
            await asyncio.sleep(0.05)
        raise Unreachable("supervisord", "does not answer", f"see {self.folder}/supervisord.log")

    async def _until_gone(self) -> None:
        """Longest grace of any program, and a bit."""
        for _ in range(6000):
            if not await self._alive():
                return
            await asyncio.sleep(0.1)

    async def _alive(self) -> bool:
        try:
            await self._call("getPID", timeout=5)
        except Unreachable:
            return False
        return True

    # programs

    async def _start_all(self, units: Sequence[Unit]) -> None:
        async with self._lock:
            await self._ensure()
            texts = {self._program(unit.name): render.program(unit).encode() for unit in units}
            known = await self.machine.read(list(texts))
            await self.machine.put([File(path, data, 0o600) for path, data in texts.items() if known.get(path) != data])
            infos = {info["name"]: info for info in await self._call("getAllProcessInfo")}
            changed = {
                u.name
                for u in units
                if u.name in infos and known.get(self._program(u.name)) != texts[self._program(u.name)]
            }
            for name in changed:
                await self._quiet("stopProcess", name, True, ignore=(_NOT_RUNNING,), timeout=600)
                await self._remove_group(name)
            if changed or any(unit.name not in infos for unit in units):
                await self._call("reloadConfig")
            for unit in units:
                if unit.name not in infos or unit.name in changed:
                    await self._quiet("addProcessGroup", unit.name, ignore=(_ALREADY_ADDED,))
                await self._quiet("startProcess", unit.name, False, ignore=(_ALREADY_STARTED,))

    async def _remove_group(self, name: str) -> None:
        """A program that was told to start at this very moment is still there for an instant."""
        for _ in range(50):
            try:
                return await self._quiet("removeProcessGroup", name, ignore=(_BAD_NAME,))
            except Rejected:
                await self._quiet("stopProcess", name, True, ignore=(_BAD_NAME, _NOT_RUNNING), timeout=600)
                await asyncio.sleep(0.1)
        raise Rejected(name, "supervisord does not let go of it", f"see {self.folder}/supervisord.log")

    async def _reap(self, name: str) -> None:
        """supervisord lets go when the process it started has ended; what that one started goes as well."""
        asked = {"root": self.layout.root, "instance": name, "grace": 0}
        await tool(self.machine, self.layout, self.facts, "reap", asked)

    def _program(self, name: str) -> str:
        return f"{self.folder}/programs/{name}.conf"

    async def _programs(self) -> list[str]:
        return [name for name in await self.machine.list(f"{self.folder}/programs") if name.endswith(".conf")]

    # XML-RPC

    async def _quiet(self, method: str, *params: str | bool, ignore: Sequence[int], timeout: float = 30) -> None:
        try:
            await self._call(method, *params, timeout=timeout)
        except _Fault as fault:
            if fault.number not in ignore:
                raise

    async def _call(self, method: str, *params: str | bool, timeout: float = 30) -> Any:
        body = xmlrpc.client.dumps(params, f"supervisor.{method}").encode()
        try:
            answer = await http.request(
                lambda: self.machine.open_unix(self.socket),
                "POST",
                "/RPC2",
                host="supervisor",
                headers={"Content-Type": "text/xml"},
                body=body,
                timeout=timeout,
            )
            (value,), _ = xmlrpc.client.loads(answer.body)
        except xmlrpc.client.Fault as fault:
            raise _Fault(method, params, fault) from None
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            raise http.no_answer("supervisord", error, f"see {self.folder}/supervisord.log") from error
        return value


class _Fault(Rejected):
    """supervisord answered: no. `number` is its own code."""

    def __init__(self, method: str, params: Sequence[str | bool], fault: xmlrpc.client.Fault) -> None:
        super().__init__(str(params[0]) if params else "supervisord", f"{method}: {fault.faultString}", "see its log")
        self.number = fault.faultCode


def _state(info: dict[str, Any]) -> State:
    running = info["statename"] in ("RUNNING", "STARTING", "STOPPING") and info["pid"] != 0
    ended = info["statename"] in ("EXITED", "FATAL", "BACKOFF", "STOPPED")
    code = info["exitstatus"] if ended and info["stop"] else None
    uptime = float(info["now"] - info["start"]) if running else 0.0
    detail = info["spawnerr"] or info["description"]
    return State(running, info["pid"], 0, code, uptime, detail, failed=info["statename"] == "FATAL")
