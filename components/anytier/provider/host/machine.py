"""`anytier:host:Machine`: a machine over SSH as it was found, and the host key that it must show from then on.

Nothing is made there. A key that is not given is learned once, kept in the state, and given to all that acts there. A
preview of a machine that is there already has the facts, too (`glance.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from anytier.errors import AnytierError
from anytier.frozen import Frozen
from anytier.logins import public_key
from anytier.provider.fields import ignored, replaces
from anytier.provider.host.dial import HostKeys, key_file_problem, learn, path_of, with_keys
from anytier.provider.host.distributions import unfit
from anytier.provider.host.firstboot import FirstBoot, up
from anytier.provider.host.glance import glance
from anytier.provider.host.ids import machine_id, parse_machine
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.oci.manifest import platform
from anytier.provider.resource import Context, Resource
from anytier.render.kubeadm import preflight

_FACTS = ("hostname", "distribution", "version", "kernel", "architecture", "systemd", "cores", "memory", "disk")
Key = Annotated[str, AfterValidator(public_key)]


class NodeNeeds(Frozen):
    """What a node of a cluster will need of the machine; `memory` in MiB, both as of `kubeadm:Node`. `architecture` is
    the bundle's (`amd64`), `ignore` the names of what is not minded."""

    role: str
    cores: int | None = None
    memory: int | None = None
    architecture: str | None = None
    ignore: list[str] = Field(default_factory=list)


class MachineInputs(Frozen):
    """`machine` says how it is reached, without host keys: they are given beside it, or learned.

    `firstBoot`: it is a machine that was just started, and is waited for. `node`: it is to become one, and the first
    preview already tells of what the facts show that it lacks; an `up` leaves that to `kubeadm:Node`, which knows more.
    """

    machine: Annotated[SshRef, replaces]
    host_key: Key | None = None
    jump_host_key: Key | None = None
    first_boot: FirstBoot | None = None
    node: Annotated[NodeNeeds | None, ignored] = None


class MachineOutputs(Frozen):
    """The facts are those of the last `up` or refresh that looked. `memory` and `disk` (free on /var) in bytes."""

    host_key: str
    jump_host_key: str | None = None
    hostname: str
    distribution: str
    version: str
    kernel: str
    architecture: str
    systemd: int
    python: str
    cores: int
    memory: int
    disk: int


class MachineResource(Resource[MachineInputs, MachineOutputs]):
    inputs = MachineInputs
    outputs = MachineOutputs

    def check(self, inputs: MachineInputs) -> list[AnytierError]:
        """Files of this machine are looked at; the other one is not asked."""
        logins = [inputs.machine, *([inputs.machine.jump] if inputs.machine.jump else [])]
        return [problem for login in logins if (problem := key_file_problem(login)) is not None]

    def planned(self, old: MachineOutputs | None, inputs: MachineInputs) -> Mapping[str, Any]:
        """The keys, so that what uses them is no unknown in a preview."""
        keys = {
            "hostKey": inputs.host_key or (old.host_key if old else None),
            "jumpHostKey": inputs.jump_host_key or (old.jump_host_key if old else None),
        }
        return {name: key for name, key in keys.items() if key is not None}

    async def foreseen(self, ctx: Context, old: MachineOutputs | None, inputs: MachineInputs) -> Mapping[str, Any]:
        """The facts. None of a machine that is only about to start, or has not said any."""
        if inputs.first_boot is not None:
            return {}
        way = with_keys(inputs.machine, HostKeys(*self._keys(inputs, old)))
        about = await glance(way, ctx.info, ctx.warn)
        if about is None:
            return {}
        facts = facts_of(path_of(inputs.machine), about)
        problem = lacking(str(inputs.machine), inputs.node, about) if inputs.node and old is None else None
        if problem is not None:
            raise problem
        return facts

    async def create(self, ctx: Context, inputs: MachineInputs) -> tuple[str, MachineOutputs]:
        found = await self._awaited(ctx, inputs, inputs.host_key, inputs.jump_host_key)
        if inputs.host_key is None:
            ctx.info(f"learned the host key of {inputs.machine}: {found.host_key}")
        return machine_id(inputs.machine), found

    async def read(
        self, ctx: Context, id: str, inputs: MachineInputs | None, state: MachineOutputs | None
    ) -> tuple[MachineInputs, MachineOutputs] | None:
        """A machine is never gone: it answers, or it is Unreachable."""
        if inputs is None:
            ref = parse_machine(id)
            inputs = MachineInputs(machine=ref.model_copy(update={"host_key": None}))
            return inputs, await self._look(inputs, ref.host_key, None)
        return inputs, await self._look(inputs, *self._keys(inputs, state))

    async def update(
        self, ctx: Context, id: str, old_inputs: MachineInputs, state: MachineOutputs, inputs: MachineInputs
    ) -> MachineOutputs:
        return await self._awaited(ctx, inputs, *self._keys(inputs, state))

    async def delete(self, ctx: Context, id: str, inputs: MachineInputs, state: MachineOutputs) -> None:
        """Nothing was made."""

    @staticmethod
    def _keys(inputs: MachineInputs, state: MachineOutputs | None) -> tuple[str | None, str | None]:
        known = (state.host_key, state.jump_host_key) if state else (None, None)
        return inputs.host_key or known[0], inputs.jump_host_key or known[1]

    async def _awaited(
        self, ctx: Context, inputs: MachineInputs, key: str | None, jump_key: str | None
    ) -> MachineOutputs:
        if inputs.first_boot is None:
            return await self._look(inputs, key, jump_key)
        path = path_of(inputs.machine)
        return await up(path, inputs.first_boot, ctx.status, lambda: self._look(inputs, key, jump_key))

    @staticmethod
    async def _look(inputs: MachineInputs, key: str | None, jump_key: str | None) -> MachineOutputs:
        keys = await learn(with_keys(inputs.machine, HostKeys(key, jump_key)))
        about = await machine_of(with_keys(inputs.machine, keys)).about()
        facts = facts_of(path_of(inputs.machine), about)
        return MachineOutputs.model_validate({"host_key": keys.machine, "jump_host_key": keys.jump, **facts})


def facts_of(path: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the agent's that are outputs. An AnytierError for a machine that does not do."""
    problem = unfit(path, about)
    if problem is not None:
        raise problem
    return {**{name: about[name] for name in _FACTS}, "python": about["python_version"]}


def lacking(machine: str, needs: NodeNeeds, about: Mapping[str, Any]) -> AnytierError | None:
    """Why the machine cannot be the node that is wanted, as far as the agent's facts tell."""
    if needs.architecture is not None:
        wrong = preflight.wrong_processor(machine, platform(about["architecture"]), needs.architecture)
        if wrong is not None:
            return wrong
    cores, memory = preflight.least(needs.role, needs.cores, needs.memory)
    found = preflight.size(about, preflight.Wanted(needs.role, cores, memory))
    return preflight.error(machine, needs.role, found, needs.ignore)
