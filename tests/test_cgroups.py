"""What a user's own systemd may limit."""

from __future__ import annotations

from pathlib import Path

from anytier.cgroups import delegated


def test_what_is_handed_over_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "user.slice/user-1000.slice/user@1000.service"
    folder.mkdir(parents=True)
    (folder / "cgroup.controllers").write_text("cpu memory pids\n")
    assert delegated(1000, tmp_path) == {"cpu", "memory", "pids"}


def test_under_the_first_version_nothing_is(tmp_path: Path) -> None:
    assert delegated(1000, tmp_path) == frozenset()
