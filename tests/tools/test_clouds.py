"""The SDKs of clouds: pinned with their hashes by the locks of their tiers, got once, and never half."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.standins.installed import needs_sdks

import clouds
from bootstrap.paths import Paths
from bootstrap.say import SetupError


@pytest.mark.parametrize(("extra", "name"), clouds.SDKS.items())
def test_each_is_pinned_by_version_and_hash(extra: str, name: str) -> None:
    found = clouds.pin(extra, name)
    assert found.startswith(f"{name}==") and "--hash=sha256:" in found and found.endswith("\n")
    assert all(line.startswith("    --hash=") for line in found.splitlines()[1:])


def test_what_is_there_is_not_got_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def run(argv: list[str], do: str) -> str:
        asked.append(argv)
        Path(argv[argv.index("--target") + 1]).mkdir()
        return ""

    monkeypatch.setattr(clouds, "run", run)
    paths = Paths(clouds.ROOT, tmp_path)
    made = clouds.ensure(paths)
    assert clouds.ensure(paths) == made and made.is_dir() and len(asked) == 1
    assert "--require-hashes" in asked[0]


def test_who_only_asks_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("sys.argv", ["clouds.py", "--cached"])
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path))
    assert clouds.main() == 1 and capsys.readouterr().out == ""
    there = clouds.place(Paths(clouds.ROOT, tmp_path))
    there.mkdir()
    assert clouds.main() == 0 and capsys.readouterr().out == f"{there}\n"


def test_what_could_not_be_got_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(argv: list[str], do: str) -> str:
        raise SetupError("no index", do)

    monkeypatch.setattr(clouds, "run", run)
    with pytest.raises(SetupError):
        clouds.ensure(Paths(clouds.ROOT, tmp_path))
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@needs_sdks
def test_what_is_used_is_compiled_also_where_no_bytecode_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one SDK that stands for all: the whole would be copied."""
    found = Path(os.environ["ANYTIER_CLOUDS"])
    for package in found.iterdir():
        copied = package.name.startswith("pulumi_gcp")
        if copied:
            shutil.copytree(package, tmp_path / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (tmp_path / package.name).symlink_to(package)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(clouds, "SDKS", {"gke": "pulumi-gcp"})
    clouds.compile_used(tmp_path)
    compiled = {file.parent.parent.name for file in (tmp_path / "pulumi_gcp").rglob("*.pyc")}
    assert {"container", "compute"} <= compiled and len(compiled) < 30
