"""The process manager where systemd runs: system units for root, the user's own units otherwise.

Units are files made by render.systemd and enabled, so that a reboot brings them back; logs are the journal's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anytier.errors import AnytierError, Denied, Rejected, Unreachable
from anytier.provider.host.layout import Layout
from anytier.provider.host.manager import State, Together
from anytier.provider.host.transport import Facts, File, Machine, Result
from anytier.provider.waiting import both
from anytier.render import systemd as render
from anytier.render.unit import Scope, Unit

_STOPS = 3  # tries
_KILLED = ("2", "3")  # CLD_KILLED, CLD_DUMPED: the status is a signal
_SHOWN = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "NRestarts",
    "ExecMainStatus",
    "ExecMainCode",
    "ExecMainStartTimestampMonotonic",
    "Result",
)


class Systemd:
    """`Manager` over systemctl and journalctl."""

    def __init__(self, machine: Machine, layout: Layout, facts: Facts, scope: Scope) -> None:
        self.machine, self.layout, self.facts, self.scope = machine, layout, facts, scope
        self.folder = "/etc/systemd/system" if scope == "system" else f"{facts.home}/.config/systemd/user"
        self._starts: Together[Unit] = Together(self._start_all)
        self._stops: Together[str] = Together(self._stop_all)

    # Manager

    async def start(self, unit: Unit) -> None:
        await self._starts(unit)

    async def stop(self, name: str) -> None:
        await self._stops(name)

    async def restart(self, name: str) -> None:
        await self._systemctl("restart", f"{name}.service")

    async def states(self, revive: bool = False) -> dict[str, State]:
        del revive  # systemd is process 1, or a child of it: it does not die alone
        names = await self._names()
        if not names:
            return {}
        show = self._systemctl("show", f"--property={','.join(_SHOWN)}", "--", *names)
        shown, uptime = await both(show, self.machine.read(["/proc/uptime"]))
        found = [_properties(block) for block in shown.out.split("\n\n") if block.strip()]
        now = float(uptime["/proc/uptime"].split()[0])
        loaded = [item for item in found if item.get("LoadState") == "loaded"]
        return {item["Id"].removesuffix(".service"): _state(item, now) for item in loaded}

    async def log(self, name: str, log: str, lines: int) -> str:
        found = await self.machine.run(self.log_argv(name, log, lines, False), env=self._environment())
        return found.out

    def log_argv(self, name: str, log: str, lines: int, follow: bool) -> list[str]:
        # By identifier, not by unit: what systemd itself says about a unit is not the app's log.
        user = ["--user"] if self.scope == "user" else []
        followed = ["--follow"] if follow else []
        return ["journalctl", *user, "--quiet", "--output=cat", f"--lines={lines}", *followed, f"--identifier={name}"]

    async def close(self) -> None:
        """Nothing: systemd is not ours."""

    # units

    async def _start_all(self, units: Sequence[Unit]) -> None:
        texts = {self._file(unit.name): render.render(unit, self.scope).encode() for unit in units}
        known = await self.machine.read(list(texts))
        changed = [path for path, data in texts.items() if known.get(path) != data]
        await self.machine.put([File(path, texts[path], 0o644) for path in changed])
        if any(path in known for path in changed):
            await self._systemctl("daemon-reload")
        lasting = [f"{unit.name}.service" for unit in units if unit.restart]
        once = [f"{unit.name}.service" for unit in units if not unit.restart]
        if lasting:
            await self._started(await self._try("enable", "--quiet", "--now", "--", *lasting), lasting)
        if once:
            await self._started(await self._try("start", "--", *once), once)

    async def _started(self, result: Result, names: Sequence[str]) -> None:
        """A program that cannot start is the rollout's to judge; a unit that systemd refuses is an error."""
        if result.code == 0:
            return
        shown = await self._systemctl("show", "--property=Id,LoadState,LoadError", "--", *names)
        for item in (_properties(block) for block in shown.out.split("\n\n") if block.strip()):
            if item.get("LoadState") != "loaded":
                raise Rejected(item.get("Id", "unit"), result.err.strip().splitlines()[0], "look at the unit file")

    async def _stop_all(self, names: Sequence[str]) -> None:
        files = {name: self._file(name) for name in names}
        there = await self.machine.read(list(files.values()))
        known = [f"{name}.service" for name, path in files.items() if path in there]
        if not known:
            return
        await self._stopped(known)
        await self._try("disable", "--quiet", "--no-reload", "--", *known)
        await self.machine.remove(list(files.values()))
        await self._systemctl("daemon-reload")
        await self._try("reset-failed", "--", *known)

    async def _stopped(self, names: Sequence[str]) -> None:
        """Stopped, whatever else is asked of them: a restart in between, since a probe failed, cancels it."""
        for left in range(_STOPS - 1, -1, -1):
            result = await self._try("stop", "--", *names, timeout=900)
            if result.code == 0:
                return
            if not left:
                raise _refused(["stop"], result)

    async def _names(self) -> list[str]:
        prefix = self.layout.ns + "-"
        names = await self.machine.list(self.folder)
        return [name for name in names if name.startswith(prefix) and name.endswith(".service")]

    def _file(self, name: str) -> str:
        return f"{self.folder}/{name}.service"

    # systemctl

    def _environment(self) -> Mapping[str, str]:
        known = {"PATH": self.facts.path, "LANG": "C.UTF-8", "HOME": self.facts.home}
        if self.scope == "user" and self.facts.runtime_dir:
            known["XDG_RUNTIME_DIR"] = self.facts.runtime_dir
        return known

    async def _try(self, *argv: str, timeout: float = 120) -> Result:
        user = ["--user"] if self.scope == "user" else []
        return await self.machine.run(
            ["systemctl", "--no-ask-password", *user, *argv], env=self._environment(), timeout=timeout
        )

    async def _systemctl(self, *argv: str, timeout: float = 120) -> Result:
        result = await self._try(*argv, timeout=timeout)
        if result.code != 0:
            raise _refused(argv, result)
        return result


def _refused(argv: Sequence[str], result: Result) -> AnytierError:
    """systemctl's exit codes are LSB's: 4 is "not allowed"; 1 covers the rest, a bus that is away among them."""
    said = (result.err.strip() or f"exit {result.code}").splitlines()[0]
    if result.code == 4:
        return Denied(f"systemctl {argv[0]}", said, "run as root, or set anytier:local supervisor to systemd-user")
    if "bus" in said.lower():
        return Unreachable(
            f"systemctl {argv[0]}", said, "log in through systemd (loginctl enable-linger), then run again"
        )
    return Rejected(f"systemctl {argv[0]}", said, "see systemctl status")


def _properties(block: str) -> dict[str, str]:
    return dict(line.partition("=")[::2] for line in block.splitlines())


def _state(item: Mapping[str, str], now: float) -> State:
    active = item["ActiveState"] in ("active", "reloading", "deactivating")
    ended = item.get("ExecMainCode", "0") != "0"
    killed = item.get("ExecMainCode") in _KILLED
    code = (-1 if killed else 1) * int(item["ExecMainStatus"]) if ended else None
    detail = f"{item['ActiveState']}/{item['SubState']}" + (
        f", {item['Result']}" if item["Result"] != "success" else ""
    )
    running = active and item["MainPID"] != "0"
    began = int(item.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    restarts, failed = int(item.get("NRestarts") or 0), item["ActiveState"] == "failed"
    return State(running, int(item["MainPID"]), restarts, code, max(0.0, now - began), detail, failed)
