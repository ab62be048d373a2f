"""apt, from this side: what is sent to the machine, and what its answer means. The work is done there, by aptget.py."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.packages import Package
from anytier.provider.host.distributions import deb
from anytier.provider.host.distributions.base import Installed
from anytier.provider.host.transport import Machine

_LONGEST = 3600.0  # seconds for one installation: a slow mirror, a large package
_PAUSE = 2.0
# A unit of its own: the installation comes to its end though the connection is lost or the run is given up.
_APART = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec"]


@dataclass(frozen=True)
class Apt:
    """`patience`: seconds that another one may hold the locks of dpkg and apt."""

    patience: float = 300.0

    async def installed(self, machine: Machine, names: Sequence[str]) -> dict[str, str]:
        if not names:
            return {}
        done = await machine.run(deb.query(names))
        if done.code not in (0, 1):
            said = (done.err.strip() or "nothing").splitlines()[-1]
            raise Rejected(f"packages of {machine.name}", f"dpkg-query ended with {done.code}: {said}", _MEND)
        return deb.parse_query(done.out)

    async def install(
        self,
        machine: Machine,
        asked: Mapping[Package, str],
        downgrades: bool,
        told: Callable[[str], None],
        hold: Sequence[str] = (),
    ) -> Installed:
        await self._until_free(machine, told)
        told(f"installing {', '.join(map(str, asked))}")
        packages = [[item.name, item.version] for item in asked]
        wanted = {"packages": packages, "downgrades": downgrades, "hold": list(hold)}
        answer = await _ask(machine, "install", wanted, _LONGEST, _APART)
        problem = explain(answer["problem"], asked, machine.name) if answer.get("problem") else None
        return Installed(answer["added"], answer["disabled"], problem)

    async def remove(self, machine: Machine, names: Sequence[str], told: Callable[[str], None]) -> list[str]:
        await self._until_free(machine, told)
        answer = await _ask(machine, "remove", {"packages": list(names)}, _LONGEST, _APART)
        if problem := answer.get("problem"):
            raise explain(problem, {}, machine.name)
        return list(answer.get("needed") or [])

    async def _until_free(self, machine: Machine, told: Callable[[str], None]) -> None:
        """An upgrade that runs by itself, or a person's own, is waited for."""
        deadline = time.monotonic() + self.patience
        while held := await _ask(machine, "holder", {}, 60):
            who = f"{held['name']} (pid {held['pid']})"
            if time.monotonic() > deadline:
                what = f"{who} still holds {held['lock']} after {self.patience:g} s"
                raise Conflict(f"packages of {machine.name}", what, "let it end, or end it, then run again")
            told(f"waiting for {who}, which holds {held['lock']}")
            await asyncio.sleep(min(_PAUSE, self.patience))


APT = Apt()
_MEND = "mend it there, then run again"


async def _ask(machine: Machine, verb: str, asked: object, timeout: float, before: Sequence[str] = ()) -> Any:
    """A verb of aptget.py, which comes over stdin and is written nowhere."""
    program = (resources.files("anytier.provider.host.distributions") / "aptget.py").read_bytes()
    python = (await machine.facts()).python
    argv = [*before, python, "-I", "-S", "-", verb, json.dumps(asked)]
    done = await machine.run(argv, program, timeout=timeout)
    if done.code != 0:
        said = (done.err.strip() or done.out.strip() or "nothing").splitlines()[-1]
        raise Rejected(f"packages of {machine.name}", f"{verb} ended with {done.code}: {said}", _MEND)
    return json.loads(done.out)


def explain(problem: Mapping[str, Any], asked: Mapping[Package, str], machine: str) -> AnytierError:
    """The error that a person reads for what aptget.py found."""
    kind, name = problem["kind"], problem.get("name", "")
    item = next((item for item in asked if item.name == name), Package(name))
    path = asked.get(item) or f"packages of {machine}"
    if kind == "unknown":
        do = "mend the name, or add its source to /etc/apt/sources.list.d there"
        return NotFound(path, f"apt on {machine} knows no package {name}{_said(problem)}", do)
    if kind == "version":
        offered = ", ".join(problem["offered"][:6])
        return NotFound(
            path, f"apt on {machine} has no {item}; it has {offered}{_said(problem)}", "ask for one of these"
        )
    if kind == "downgrade":
        do = "ask for what is there, or set `downgrades: true` among the options of the tier"
        return Conflict(path, f"{item} would replace the newer {problem['here']} on {machine}", do)
    what = f"{problem['command']} ended with {problem['code']}{_said(problem)}"
    return Rejected(f"packages of {machine}", what, _MEND)


def _said(problem: Mapping[str, Any]) -> str:
    lines = str(problem.get("said") or "").splitlines()
    return "; its last lines:\n" + "\n".join(f"  {line}" for line in lines) + "\n" if lines else ""
