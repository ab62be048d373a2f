"""Installs packages with apt-get on a machine, and says who holds its locks. Standard library only, Python 3.8+.

`VERB` and a JSON object in argv; what came of it as JSON on stdout. Nothing of anytier may be imported here.

    holder                                   answers {}, or name, pid and lock of who holds one
    install  packages [[name, version or null]], downgrades, hold [name]
                                             answers added, disabled and, where it did not end well, problem
    remove   packages [name]                 purges those that are there; answers removed, and problem or needed: what
                                             else would go, so that nothing went

Nothing that a package brings is started, and what it enabled for the next boot is disabled: an app's own command says
what runs. Units of packages that were there before are left as they are.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import json
import os
import re
import signal
import struct
import subprocess
import sys
from typing import Any, Iterator, Sequence  # noqa: UP035 - Python 3.8

LOCKS = (
    "/var/lib/dpkg/lock-frontend",
    "/var/lib/dpkg/lock",
    "/var/lib/apt/lists/lock",
    "/var/cache/apt/archives/lock",
)
OURS = "/run/lock/anytier-packages"  # two runs at once would take away each other's policy
POLICY, KEPT = "/usr/sbin/policy-rc.d", "/usr/sbin/policy-rc.d.kept-by-anytier"
RULE = b"#!/bin/sh\n# of anytier: nothing is started while it installs packages; this file goes right after\nexit 101\n"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "APT_LISTCHANGES_FRONTEND": "none",
    "NEEDRESTART_SUSPEND": "1",  # Ubuntu would restart services that have nothing to do with this
}
PATIENCE = ["--option=Acquire::Retries=3", "--option=DPkg::Lock::Timeout=60"]
OPTIONS = [
    *PATIENCE,
    "--yes",
    "--no-install-recommends",
    "--no-remove",  # an app does not take away what the machine has
    "--option=Dpkg::Use-Pty=0",
    "--option=Dpkg::Options::=--force-confdef",
    "--option=Dpkg::Options::=--force-confold",
]
TAIL = 12
UNIT = re.compile(r"(?:/usr)?/lib/systemd/system/([^/]+\.(?:service|socket|timer|path))")
SCRIPT = re.compile(r"/etc/init\.d/([^/]+)")


def main(argv: list[str]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` is reached
    verbs = {"holder": holder, "install": install, "remove": remove}
    json.dump(verbs[argv[1]](json.loads(argv[2])), sys.stdout)


def holder(asked: dict[str, Any]) -> dict[str, Any]:
    """Who holds a lock of dpkg's or apt's, if anybody does."""
    for path in asked.get("locks") or LOCKS:
        pid = held_by(path)
        if pid is not None:
            return {"pid": pid, "name": name_of(pid), "lock": path}
    return {}


def held_by(path: str) -> int | None:
    """None: nobody; 0: somebody out of sight. A 32-bit machine is not asked: apt itself waits a minute there."""
    if sys.maxsize < 2**32:
        return None
    with contextlib.suppress(OSError):
        with open(path, "rb") as stream:
            wish = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack("hhqqi", fcntl.fcntl(stream, fcntl.F_GETLK, wish))
            return None if kind == fcntl.F_UNLCK else max(0, pid)
    return None


def name_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return "a process"


def install(asked: dict[str, Any]) -> dict[str, Any]:
    """`hold`: packages that only this changes; they are held afterwards as far as they are there."""
    with exclusive(), no_starts():
        before = here()
        with held(asked.get("hold") or []):
            problem = bring(asked["packages"], asked["downgrades"])
        added = sorted(set(here()) - set(before))
        disabled, trouble = disable(added)
    problem = problem or trouble
    return {"added": added, "disabled": disabled, **({"problem": problem} if problem else {})}


@contextlib.contextmanager
def held(names: list[str]) -> Iterator[None]:
    if there := present(names):
        run("apt-mark", "unhold", *there)
    try:
        yield
    finally:
        if there := present(names):
            run("apt-mark", "hold", *there)


def present(names: list[str]) -> list[str]:
    known = here() if names else {}
    return [name for name in names if name in known]


def remove(asked: dict[str, Any]) -> dict[str, Any]:
    """With their configuration. Nothing goes where something else has come to need one of them."""
    with exclusive(), no_starts():
        known = run("dpkg-query", "--show", "--showformat=${Package}\t${db:Status-Status}\n").stdout
        states = dict(line.split("\t") for line in known.splitlines() if line.count("\t") == 1)
        there = [name for name in asked["packages"] if states.get(name, "not-installed") != "not-installed"]
        if not there:
            return {"removed": []}
        # What is held is not counted among what would go, and apt then finds no way at all.
        said = run("apt-get", "--simulate", "purge", "--ignore-hold", *there).stdout
        going = {line.split()[1] for line in said.splitlines() if line.startswith(("Remv ", "Purg "))}
        if going - set(there):
            return {"removed": [], "needed": sorted(going - set(there))}
        command = ["apt-get", "purge", *PATIENCE, "--yes", "--allow-change-held-packages", "--option=Dpkg::Use-Pty=0"]
        done = run(*command, *there)
    return {"removed": there} if done.returncode == 0 else {"removed": [], "problem": failed("apt-get purge", done)}


def bring(packages: list[Any], downgrades: bool) -> dict[str, Any] | None:
    """The lists of what there is are fetched only where they are missing, or proved old."""
    problem = attempt(packages, downgrades)
    if problem is None or problem["kind"] == "downgrade":
        return problem
    said = update()
    problem = attempt(packages, downgrades)
    unmet = problem is not None and problem["kind"] in ("unknown", "version")
    return {**problem, "said": said} if problem is not None and unmet else problem


def attempt(packages: list[Any], downgrades: bool) -> dict[str, Any] | None:
    words, problem = choose(packages, downgrades)
    if problem is not None:
        return problem
    done = run("apt-get", "install", *OPTIONS, *(["--allow-downgrades"] if downgrades else []), *words)
    return None if done.returncode == 0 else failed("apt-get install", done)


def update() -> str:
    """What it complained of: it ends with 0 though a source did not answer."""
    lines = run("apt-get", "update", *PATIENCE).stdout.splitlines()
    return "\n".join([line for line in lines if line[:2] in ("E:", "W:")][-TAIL:])


def failed(command: str, done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    return {"kind": "failed", "command": command, "code": done.returncode, "said": "\n".join(lines[-TAIL:])}


def choose(packages: list[Any], downgrades: bool) -> tuple[list[str], dict[str, Any] | None]:
    """What apt-get is told: a version that is asked for by its beginning is the newest of these."""
    offered = versions(run("apt-cache", "madison", *(name for name, _ in packages)).stdout)
    installed = here()
    words = []
    for name, version in packages:
        fitting = [each for each in offered.get(name, []) if fits(each, version)]
        if not offered.get(name):
            return [], {"kind": "unknown", "name": name}
        if not fitting:
            return [], {"kind": "version", "name": name, "offered": offered[name]}
        now = None if version is None or downgrades else installed.get(name)
        if now is not None and older(fitting[0], now):
            return [], {"kind": "downgrade", "name": name, "here": now}
        words.append(name if version is None else f"{name}={fitting[0]}")
    return words, None


def older(version: str, other: str) -> bool:
    return run("dpkg", "--compare-versions", version, "lt", other).returncode == 0


def fits(version: str, wanted: str | None) -> bool:
    if wanted is None:
        return True
    return version.startswith(wanted[:-1]) if wanted.endswith("*") else version == wanted


def versions(madison: str) -> dict[str, list[str]]:
    """Package -> its versions, newest first: ` nginx | 1.22.1-9 | http://deb.debian.org/debian bookworm/main ...`."""
    found: dict[str, list[str]] = {}
    for line in madison.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) == 3 and columns[0] and not columns[2].endswith("Sources"):
            known = found.setdefault(columns[0], [])
            if columns[1] not in known:
                known.append(columns[1])
    return found


def here() -> dict[str, str]:
    """Every package that is installed, and its version."""
    told = run("dpkg-query", "--show", "--showformat=${Package}\t${db:Status-Status}\t${Version}\n").stdout
    lines = (line.split("\t") for line in told.splitlines())
    return {line[0]: line[2] for line in lines if len(line) == 3 and line[1] == "installed"}


def disable(packages: Sequence[str]) -> tuple[list[str], dict[str, Any] | None]:
    """What these have enabled for the next boot."""
    if not packages or not os.path.isdir("/run/systemd/system"):
        return [], None
    units, scripts = units_of(run("dpkg-query", "--listfiles", *packages).stdout)
    found = set()
    if units:
        listed = run("systemctl", "list-unit-files", "--no-legend", "--plain", "--state=enabled", *sorted(units))
        found = {line.split()[0] for line in listed.stdout.splitlines() if line.strip()}
    found |= {f"{name}.service" for name in scripts if f"{name}.service" not in units and at_boot(name)}
    if not found:
        return [], None
    done = run("systemctl", "disable", "--quiet", *sorted(found))
    if done.returncode == 0:
        return sorted(found), None
    return [], failed("systemctl disable", done)


def units_of(listing: str) -> tuple[set[str], set[str]]:
    """(units, init scripts) among the files of packages. A template by itself is nothing that runs."""
    lines = listing.splitlines()
    units = {match[1] for match in map(UNIT.fullmatch, lines) if match and not re.search(r"@\.[a-z]+$", match[1])}
    return units, {match[1] for match in map(SCRIPT.fullmatch, lines) if match}


def at_boot(script: str) -> bool:
    return bool(glob.glob(f"/etc/rc[2-5].d/S[0-9][0-9]{glob.escape(script)}"))


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    with open(OURS, "w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def no_starts() -> Iterator[None]:
    """dpkg's scripts ask this policy before they start anything; 101 is no. One of somebody else's comes back after."""
    if os.path.lexists(POLICY) and not ours(POLICY):
        os.replace(POLICY, KEPT)
    with open(POLICY + ".new", "wb") as stream:
        stream.write(RULE)
    os.chmod(POLICY + ".new", 0o755)
    os.replace(POLICY + ".new", POLICY)
    try:
        yield
    finally:
        if os.path.lexists(KEPT):
            os.replace(KEPT, POLICY)
        else:
            os.unlink(POLICY)


def ours(path: str) -> bool:
    """One that a machine which lost its power in the middle has kept."""
    try:
        with open(path, "rb") as stream:
            return stream.read(len(RULE) + 1) == RULE
    except OSError:
        return False


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    main(sys.argv)
