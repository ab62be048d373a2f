"""Which control groups a user's own systemd may use on this machine. Standard library only; both sides ask it."""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def delegated(uid: int, root: Path = ROOT) -> frozenset[str]:
    """The controllers (`memory`, `cpu`, `pids`) handed to this user's systemd; none under control groups v1."""
    file = root / "user.slice" / f"user-{uid}.slice" / f"user@{uid}.service" / "cgroup.controllers"
    try:
        return frozenset(file.read_text().split())
    except OSError:
        return frozenset()
