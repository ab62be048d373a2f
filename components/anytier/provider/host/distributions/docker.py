"""Docker as a distribution brings it: which packages, how they come, and how they go again.

apt runs as a unit of the machine's systemd: an SSH connection that drops, or a run that is cancelled, does not end it
in the middle, and the next run waits for its lock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Sequence

from anytier.errors import AnytierError, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.host.transport import Machine

# Of Debian and Ubuntu, the distributions that a machine may have. The second is what pulls from registries trust.
WANTED = ("docker.io", "ca-certificates")
# What is Docker's own of all that comes with it. Only this is ever removed.
OWN = frozenset({"docker.io", "docker-cli", "containerd", "runc"})
_APPARMOR = "/sys/module/apparmor/parameters/enabled"
_LONGEST = 900.0  # seconds for one apt
_LOCK = 300  # seconds that apt waits for another one
_ENVIRONMENT = ("DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_MODE=l", "LC_ALL=C")
_UNREACHABLE = ("failed to fetch", "could not resolve", "temporary failure resolving", "unable to connect")
_FULL = ("no space left on device", "enough free space")
_UNKNOWN = ("unable to locate package", "has no installation candidate")


async def install(machine: Machine) -> list[str]:
    """Every package that came, sorted. apt's lists are fetched only where those that are there do not do."""
    wanted = [*WANTED, *(["apparmor"] if await _confined(machine) else [])]
    before = await _installed(machine)
    command = ["install", "--yes", "--no-install-recommends", *wanted]
    if await _apt(machine, command) is not None:
        problem = await _apt(machine, ["update"]) or await _apt(machine, command)
        if problem is not None:
            raise why(machine.name, problem)
    return sorted(await _installed(machine) - before)


async def remove(machine: Machine, packages: Iterable[str]) -> str:
    """Docker's own among the packages. Empty, or why they stay: something else has come to need them."""
    wanted = sorted(OWN & set(packages) & await _installed(machine))
    if not wanted:
        return ""
    said = await machine.run(["apt-get", "--simulate", "remove", *wanted], timeout=_LONGEST, env={"LC_ALL": "C"})
    others = sorted(removed(said.out) - set(wanted))
    if others:
        return f"{', '.join(others)} would go with it"
    problem = await _apt(machine, ["remove", "--yes", *wanted])
    if problem is not None:
        raise why(machine.name, problem)
    return ""


def removed(said: str) -> set[str]:
    """The packages that a simulated apt would remove."""
    return {line.split()[1] for line in said.splitlines() if line.startswith(("Remv ", "Purg ")) and len(line) > 5}


def why(name: str, said: Sequence[str]) -> AnytierError:
    """What apt's last lines mean to a person."""
    path, do = f"docker on {name}", "`apt-get install docker.io` must work there; then run again"
    errors = [line.strip().removeprefix("E: ") for line in said if line.startswith("E:")] or list(said)[-1:]
    text, low = "; ".join(errors[:2]) or "it said nothing", " ".join(said).lower()
    if any(word in low for word in _FULL):
        return NoSpace(path, f"no room to install it ({text})", "free some space on that machine, then run again")
    if any(word in low for word in _UNREACHABLE):
        return Unreachable(path, f"apt does not reach its archive ({text})", do)
    if any(word in low for word in _UNKNOWN):
        return NotFound(path, f"its apt knows no docker.io ({text})", "add its distribution's archive to apt's sources")
    return Rejected(path, f"apt could not install it ({text})", do)


async def _confined(machine: Machine) -> bool:
    """Where the kernel confines by AppArmor, Docker starts no container without its parser."""
    return (await machine.read([_APPARMOR])).get(_APPARMOR, b"").strip() == b"Y"


async def _installed(machine: Machine) -> set[str]:
    said = await machine.run(["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\n"])
    found = (line.split(" ", 1) for line in said.out.splitlines() if " " in line)
    return {package for status, package in found if status == "installed"}


async def _apt(machine: Machine, arguments: Sequence[str]) -> list[str] | None:
    """None, or its last lines. What an apt left that was killed is finished first."""
    unit = f"anytier-apt-{secrets.token_hex(4)}"
    lock = f"DPkg::Lock::Timeout={_LOCK}"
    given = [item for pair in _ENVIRONMENT for item in ("--setenv", pair)]
    command = ["systemd-run", "--quiet", "--wait", "--collect", f"--unit={unit}", *given]
    script = 'apt-get -q -o "$0" "$@" || { dpkg --configure -a && exec apt-get -q -o "$0" "$@"; }'
    done = await machine.run([*command, "/bin/sh", "-c", script, lock, *arguments], timeout=_LONGEST + _LOCK)
    if done.code == 0:
        return None
    await asyncio.sleep(0.2)  # its last words are on the way to the journal
    journal = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=30", f"--unit={unit}"]
    said = await machine.run(journal)
    return [line for line in (said.out + done.err).splitlines() if line.strip()]
