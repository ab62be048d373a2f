"""What tier `docker` needs: the packages that talk to the daemon, and the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

from anytier.doctor.check import Finding, Subject, missing, of_error, ok
from anytier.doctor.machine import install, installed
from anytier.errors import AnytierError

PATIENCE = 10.0  # seconds: whoever asks a doctor is waiting


def packages(subject: Subject) -> Iterator[Finding]:
    wanted = {"aiodocker": "aiodocker"}
    if _host(subject).startswith("ssh://"):
        wanted["asyncssh"] = "asyncssh"
    yield installed(wanted, install(subject, "docker"))


def daemon(subject: Subject) -> Iterator[Finding]:
    """Asked once for its version; an address that cannot be used is told before."""
    from anytier.tiers.docker import DockerArgs, endpoint_of

    args = subject.settings.tier_args if subject.settings else None
    if not isinstance(args, DockerArgs):
        return
    try:
        endpoint = endpoint_of(args)
        facts = asyncio.run(_facts(endpoint))
    except AnytierError as error:
        yield of_error("daemon", error)
    except TimeoutError:
        yield missing("daemon", f"{_host(subject)} does not answer", "is it running? is the way to it open?")
    except ImportError:
        return  # told by `packages`
    else:
        system, version = facts.get("OperatingSystem") or "", facts.get("ServerVersion") or ""
        yield ok("daemon", f"Docker {version} at {endpoint['host']} ({system})")


async def _facts(endpoint: Mapping[str, str]) -> Mapping[str, Any]:
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
    given = args.host if isinstance(args, DockerArgs) else None
    return given or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
