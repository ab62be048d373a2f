"""`anytier:host:DockerEngine`: a Docker daemon on a machine. One that answers is used as it is; else it is made to.

Docker that is installed and stopped is enabled and started; a machine without it gets the distribution's own package.
What was not installed by us is never removed, and what was goes only once it holds nothing of anybody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.host import http
from anytier.provider.host.distributions import docker
from anytier.provider.host.ids import machine_id, parse_machine
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.transport import Machine, Streams
from anytier.provider.resource import Context, Resource

SOCKET = "/run/docker.sock"
_UNIT = "docker.service"
_PATIENCE = 60.0  # seconds until a daemon that was started answers
_ANSWER = 30.0  # seconds for one answer: a machine may be slow
# What a daemon may hold: the path of its API, and where in the answer.
_HELD = {"containers": "/containers/json?all=1", "volumes": "/volumes", "images": "/images/json"}


class DockerEngineInputs(Frozen):
    """`incarnation`: which installation of the machine it is; another one has no Docker yet."""

    machine: Annotated[SshRef, replaces]
    incarnation: str | None = None


class DockerEngineOutputs(Frozen):
    """`version` is empty where no daemon answers. `installed`: the packages that were not there before us."""

    socket: str = SOCKET
    version: str = ""
    installed: list[str] = Field(default_factory=list)


class DockerEngineResource(Resource[DockerEngineInputs, DockerEngineOutputs]):
    inputs = DockerEngineInputs
    outputs = DockerEngineOutputs

    def planned(self, old: DockerEngineOutputs | None, inputs: DockerEngineInputs) -> Mapping[str, Any]:
        """The socket, so that what uses it is no unknown in a preview."""
        return {"socket": SOCKET}

    def drifted(self, inputs: DockerEngineInputs, state: DockerEngineOutputs) -> list[str]:
        return [] if state.version else ["machine"]

    async def create(self, ctx: Context, inputs: DockerEngineInputs) -> tuple[str, DockerEngineOutputs]:
        id = machine_id(inputs.machine)
        return id, await self._ensure(ctx, id, inputs, [])

    async def read(
        self, ctx: Context, id: str, inputs: DockerEngineInputs | None, state: DockerEngineOutputs | None
    ) -> tuple[DockerEngineInputs, DockerEngineOutputs] | None:
        """A daemon that is away is not gone: `up` brings it back, and what was installed stays on record."""
        found = inputs or DockerEngineInputs(machine=parse_machine(id))
        version = await version_of(machine_of(found.machine))
        return found, (state or DockerEngineOutputs()).model_copy(update={"version": version})

    async def update(
        self,
        ctx: Context,
        id: str,
        old_inputs: DockerEngineInputs,
        state: DockerEngineOutputs,
        inputs: DockerEngineInputs,
    ) -> DockerEngineOutputs:
        return await self._ensure(ctx, id, inputs, state.installed)

    async def delete(self, ctx: Context, id: str, inputs: DockerEngineInputs, state: DockerEngineOutputs) -> None:
        if not state.installed:
            return
        machine = machine_of(inputs.machine)
        held = await holds(machine)
        if held is None:
            ctx.warn(f"Docker stays on {machine.name}: its daemon does not say whether it holds anything")
            return
        if held:
            ctx.info(f"Docker stays on {machine.name}, since it holds {held}")
            return
        ctx.status("removing Docker")
        stays = await docker.remove(machine, state.installed)
        if stays:
            ctx.info(f"Docker stays on {machine.name}: {stays}")

    @staticmethod
    async def _ensure(ctx: Context, id: str, inputs: DockerEngineInputs, installed: list[str]) -> DockerEngineOutputs:
        machine = machine_of(inputs.machine)
        version = await version_of(machine)
        if not version:
            ctx.made(id, DockerEngineOutputs(installed=installed))
            if not await _known(machine):
                ctx.status("installing Docker")
                installed = sorted({*installed, *await docker.install(machine)})
                ctx.made(id, DockerEngineOutputs(installed=installed))
                ctx.info(f"installed on {machine.name}: {', '.join(installed)}")
            ctx.status("starting Docker")
            version = await _start(machine)
        return DockerEngineOutputs(version=version, installed=installed)


async def version_of(machine: Machine) -> str:
    """Empty where no daemon answers. A machine that does not answer is an error."""
    found = await _ask(machine, "/version")
    return str(found.get("Version") or "") if isinstance(found, dict) else ""


async def holds(machine: Machine) -> str | None:
    """What there is on the daemon, as `2 containers, 1 image`; None where it does not say."""
    counts = []
    for kind, path in _HELD.items():
        found = await _ask(machine, path)
        if found is None:
            return None
        items = (found.get("Volumes") or []) if isinstance(found, dict) else found
        if items:
            counts.append(f"{len(items)} {kind if len(items) > 1 else kind[:-1]}")
    return ", ".join(counts)


async def _ask(machine: Machine, path: str) -> Any:
    """The daemon's answer; None without one. The way to the machine has time-outs of its own, which do not count."""
    try:
        streams = await machine.open_unix(SOCKET)
        answer = await http.request(lambda: _opened(streams), "GET", path, host="docker", timeout=_ANSWER)
        return json.loads(answer.body) if answer.status == 200 else None
    except (OSError, EOFError, ValueError):
        return None


async def _opened(streams: Streams) -> Streams:
    return streams


async def _known(machine: Machine) -> bool:
    """Whether systemd has a unit of it, whoever brought it."""
    return (await machine.run(["systemctl", "cat", _UNIT])).code == 0


async def _start(machine: Machine) -> str:
    """The version of the daemon that then answers."""
    done = await machine.run(["systemctl", "enable", "--now", _UNIT], timeout=180)
    end = asyncio.get_running_loop().time() + (_PATIENCE if done.code == 0 else 0)
    while not (version := await version_of(machine)):
        if asyncio.get_running_loop().time() >= end:
            raise await _no_start(machine, done.err)
        await asyncio.sleep(0.3)
    return version


async def _no_start(machine: Machine, said: str) -> Unreachable:
    journal = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=15", f"--unit={_UNIT}"]
    lines = (await machine.run(journal)).out.splitlines()
    what = f"the daemon does not come up ({last_words(lines) or last_words(said.splitlines()) or 'it says nothing'})"
    return Unreachable(f"docker on {machine.name}", what, f"`journalctl -u {_UNIT}` there says more; then run again")


def last_words(lines: list[str]) -> str:
    """The last line that tells a reason, else the last one."""
    spoken = [line.strip() for line in lines if line.strip()]
    telling = [line for line in spoken if "failed to start daemon" in line or "level=fatal" in line]
    return (telling or spoken or [""])[-1][:300]
