"""What tier `docker` needs: the packages that talk to the daemon, and the daemon; or the machine that gets one, or the
hypervisor that makes that machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from anytier.doctor import libvirt
from anytier.doctor.check import Finding, Subject, missing, note, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError, leaves

if TYPE_CHECKING:
    from anytier.tiers.docker import DockerArgs
    from anytier.tiers.vms import LibvirtArgs

_MACHINE = "machine"  # what `_host` begins with where the daemon is on one, and all of it where that is to be made
PATIENCE = 10.0  # seconds: whoever asks a doctor is waiting


def packages(subject: Subject) -> Iterator[Finding]:
    wanted, do = {"aiodocker": "aiodocker"}, install(subject, "docker")
    if _host(subject).startswith(("ssh://", _MACHINE)):
        wanted["asyncssh"] = "asyncssh"
    if _host(subject) == _MACHINE:
        wanted |= libvirt.MAKING
        do = f"{libvirt.HEADERS}, then {install(subject, 'docker,libvirt')}"
    yield installed(wanted, do)


def daemon(subject: Subject) -> Iterator[Finding]:
    """Asked once for its version; an address that cannot be used is told before."""
    from anytier.tiers.docker import DockerArgs, endpoint_of, refuse_two_ways

    args = subject.settings.tier_args if subject.settings else None
    if not isinstance(args, DockerArgs):
        return
    try:
        refuse_two_ways(args)
        if args.libvirt is not None:
            yield from _on_hypervisor(subject, args.libvirt)
            return
        if args.machine is not None:
            yield from asyncio.run(_on_machine(args))
            return
        endpoint = endpoint_of(args)
        found = asyncio.run(facts(endpoint))
    except AnytierError as error:
        yield of_error("daemon", error)
    except TimeoutError:
        yield missing("daemon", f"{_host(subject)} does not answer", "is it running? is the way to it open?")
    except ImportError:
        return  # told by `packages`
    else:
        system, version = found.get("OperatingSystem") or "", found.get("ServerVersion") or ""
        yield ok("daemon", f"Docker {version} at {endpoint['host']} ({system})")


def _on_hypervisor(subject: Subject, args: LibvirtArgs) -> Iterator[Finding]:
    """The machine that would be made, and what is to make it."""
    from anytier.tiers.docker import vm_of

    assert subject.settings is not None
    try:
        vm = vm_of(args, subject.stack or "")
    except (AnytierError, ExceptionGroup) as error:
        yield from (of_error("machine", item) for item in leaves(error) if isinstance(item, AnytierError))
        return
    made = replace(subject, settings=replace(subject.settings, tier_args=vm))
    yield from (*libvirt.config(made), *libvirt.hypervisor(made), *libvirt.acceleration(made))


async def _on_machine(args: DockerArgs) -> list[Finding]:
    """The machine, its host key where nobody knows it yet, and whether it has Docker already."""
    from anytier.provider.host.dial import learn, path_of, with_keys
    from anytier.provider.host.distributions import unfit
    from anytier.provider.host.dockerengine import version_of
    from anytier.provider.host.ssh import SshMachine
    from anytier.provider.host.sshref import SshRef
    from anytier.tiers.baremetal import ref_props

    ref = SshRef.model_validate(ref_props(args.machine))
    keys = await learn(ref)
    there = SshMachine(with_keys(ref, keys))
    try:
        about = await there.about()
        if problem := unfit(path_of(ref), about):
            raise problem
        version = await version_of(there)
    finally:
        await there.close()
    found = [ok("machine", f"{about['pretty']} at {ref}: {about['cores']} cores, {about['memory'] / 2**30:.1f} GiB")]
    if args.machine.host_key is None:
        do = "the first deploy keeps it; give it as hostKey to pin it"
        found.append(note("host key", f"{ref} shows {keys.machine}", do))
    if version:
        return [*found, ok("daemon", f"Docker {version} on {ref}")]
    return [*found, note("daemon", f"no Docker answers on {ref} yet", "the first deploy installs or starts it")]


async def facts(endpoint: Mapping[str, str]) -> Mapping[str, Any]:
    from anytier.provider.docker.client import Endpoint, open_daemon

    async with asyncio.timeout(PATIENCE):
        found = await open_daemon(Endpoint.model_validate(endpoint))
    try:
        return dict(found.facts)
    finally:
        await found.docker.close()


def _host(subject: Subject) -> str:
    import os

    from anytier.tiers.docker import DockerArgs

    args = subject.settings.tier_args if subject.settings else None
    if isinstance(args, DockerArgs) and args.machine is not None:
        return f"{_MACHINE} {args.machine.address}"
    if isinstance(args, DockerArgs) and args.libvirt is not None:
        return _MACHINE
    given = args.host if isinstance(args, DockerArgs) else None
    return given or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
