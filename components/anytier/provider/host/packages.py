"""`anytier:host:Packages`: what an app needs of its machine's distribution, installed there and left there.

On this machine (tier local) nothing is installed: what is missing is told in the preview, with the command.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from anytier.errors import AnytierError, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.packages import Package, missing, package, parse
from anytier.provider.fields import ignored, replaces
from anytier.provider.host.distributions import DISTRIBUTIONS, deb, distribution
from anytier.provider.host.distributions.base import PackageManager
from anytier.provider.host.ids import on
from anytier.provider.host.machines import machine_of
from anytier.provider.host.models import LocalRef, MachineRef
from anytier.provider.host.transport import Machine
from anytier.provider.resource import Context, Resource

Name = Annotated[str, AfterValidator(package)]


class PackagesInputs(Frozen):
    """`wantedBy`: package -> the path in the spec, for errors. `downgrades`: an older version may replace a newer.
    `incarnation`: which installation of the machine it is; another one has none of them."""

    machine: Annotated[MachineRef, Field(discriminator="kind"), replaces] = LocalRef()
    ns: Annotated[str, replaces]
    packages: list[Name] = Field(min_length=1)
    wanted_by: Annotated[dict[str, str], ignored] = Field(default_factory=dict)
    downgrades: Annotated[bool, ignored] = False
    incarnation: str | None = None


class PackagesOutputs(Frozen):
    """`installed`: what was asked for and is there. `added`: every package that anytier brought, dependencies too.
    `disabled`: their units, which else would start with the machine."""

    installed: dict[str, str] = Field(default_factory=dict)
    added: list[str] = Field(default_factory=list)
    disabled: list[str] = Field(default_factory=list)


class PackagesResource(Resource[PackagesInputs, PackagesOutputs]):
    inputs = PackagesInputs
    outputs = PackagesOutputs

    def check(self, inputs: PackagesInputs) -> list[AnytierError]:
        """This machine's database is looked at; another machine is not asked."""
        if not isinstance(inputs.machine, LocalRef):
            return []
        problem = lacking_here(inputs)
        return [problem] if problem else []

    def drifted(self, inputs: PackagesInputs, state: PackagesOutputs) -> list[str]:
        return ["packages"] if missing(inputs.packages, state.installed) else []

    def planned(self, old: PackagesOutputs | None, inputs: PackagesInputs) -> Mapping[str, Any]:
        """Nothing will be added here, so that a repair which cannot be done is an error of the preview, too."""
        if isinstance(inputs.machine, LocalRef) and (problem := lacking_here(inputs)):
            raise problem
        return {}

    async def create(self, ctx: Context, inputs: PackagesInputs) -> tuple[str, PackagesOutputs]:
        id = on(inputs.machine, f"{inputs.ns}/packages")
        return id, await self._bring(ctx, id, inputs, PackagesOutputs())

    async def read(
        self, ctx: Context, id: str, inputs: PackagesInputs | None, state: PackagesOutputs | None
    ) -> tuple[PackagesInputs, PackagesOutputs] | None:
        """Never gone: it is a list, and what of it is there."""
        if inputs is None or state is None:
            raise Rejected(id, "packages are not imported", "let `pulumi up` look at them")
        machine = machine_of(inputs.machine)
        return inputs, await self._seen(machine, await manager_of(machine, inputs), inputs, state)

    async def update(
        self, ctx: Context, id: str, old_inputs: PackagesInputs, state: PackagesOutputs, inputs: PackagesInputs
    ) -> PackagesOutputs:
        return await self._bring(ctx, id, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: PackagesInputs, state: PackagesOutputs) -> None:
        """They are the machine's: others may have come to need them, and their data may lie beside them."""
        asked = {parse(text).name for text in inputs.packages}
        stays = [name for name in state.added if name in asked]
        if stays:
            ctx.info(f"stays installed: {', '.join(stays)}; `apt-get purge {' '.join(stays)}` there removes it")

    async def _bring(self, ctx: Context, id: str, inputs: PackagesInputs, state: PackagesOutputs) -> PackagesOutputs:
        machine = machine_of(inputs.machine)
        manager = await manager_of(machine, inputs)
        seen = await self._seen(machine, manager, inputs, state)
        lacking = missing(inputs.packages, seen.installed)
        if not lacking:
            return seen
        if isinstance(inputs.machine, LocalRef):
            raise lacking_here(inputs) or NotFound("packages", "changed while they were looked at", "run again")
        asked = {item: inputs.wanted_by.get(str(item), "") for item in lacking}
        done = await manager.install(machine, asked, inputs.downgrades, ctx.status)
        known = {"added": _both(seen.added, done.added), "disabled": _both(seen.disabled, done.disabled)}
        now = await self._seen(machine, manager, inputs, seen.model_copy(update=known))
        if done.problem is not None:
            if done.added:
                ctx.made(id, now)
            raise done.problem
        kept = f", {', '.join(done.disabled)} left disabled" if done.disabled else ""
        ctx.status(f"{len(done.added)} packages added{kept}")
        return now

    @staticmethod
    async def _seen(
        machine: Machine, manager: PackageManager, inputs: PackagesInputs, state: PackagesOutputs
    ) -> PackagesOutputs:
        asked = [parse(text).name for text in inputs.packages]
        found = await manager.installed(machine, _both(asked, state.added))
        return PackagesOutputs(
            installed={name: found[name] for name in sorted(asked) if name in found},
            added=[name for name in state.added if name in found],
            disabled=state.disabled,
        )


class _Here:
    """This machine's own database, without a command."""

    async def installed(self, machine: Machine, names: Sequence[str]) -> dict[str, str]:
        return deb.installed_here(names) or {}

    async def install(self, *_: Any) -> Any:
        raise NotImplementedError("nothing is installed on this machine")

    remove = install


async def manager_of(machine: Machine, inputs: PackagesInputs) -> PackageManager:
    if isinstance(inputs.machine, LocalRef):
        return _Here()
    about = await machine.about()
    found = distribution(about["distribution"])
    if found is None:
        what = f"runs {about['pretty'] or 'an unknown system'}"
        raise Rejected(f"packages of {machine.name}", what, f"anytier installs on {', '.join(DISTRIBUTIONS)}")
    return found.packages


def lacking_here(inputs: PackagesInputs) -> AnytierError | None:
    """What this machine lacks, with the command that installs it."""
    asked = {parse(text): inputs.wanted_by.get(text, "") for text in inputs.packages}
    installed = deb.installed_here([item.name for item in asked])
    if installed is None:
        do = "install them by hand, and leave `packages` out by overrides.local"
        return Rejected("packages", f"dpkg does not keep this machine's packages: {deb.list_of(asked, {})}", do)
    lacking: dict[Package, str] = {
        item: path for item, path in asked.items() if not item.takes(installed.get(item.name))
    }
    if not lacking:
        return None
    what = f"not installed on this machine, and tier local installs nothing: {deb.list_of(lacking, installed)}"
    return NotFound("packages", what, f"`{deb.by_hand(lacking, os.geteuid() == 0)}`")


def _both(first: Sequence[str], second: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))
