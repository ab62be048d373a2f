"""Which engine a clone uses: real programs on a PATH, a cache that is made once, an engine that somebody replaced."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bootstrap import engine, modules
from bootstrap.paths import Paths
from bootstrap.pins import ENGINE
from bootstrap.say import SetupError


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "clone", tmp_path / "cache")
    made.notes.mkdir(parents=True)
    return made


def program(file: Path, says: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\n{says}\n")
    file.chmod(0o755)
    return file


def pulumi(folder: Path, version: str, *, host: bool = True) -> Path:
    if host:
        program(folder / engine.HOST, "exit 0")
    return program(folder / "pulumi", f"echo v{version}")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH besides the system's own tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    return folder


@pytest.mark.parametrize("version", [ENGINE, "3.999.0"])
def test_a_good_engine_on_path_is_taken(paths: Paths, path: Path, version: str) -> None:
    pulumi(path, version)
    assert engine.on_path(paths) == path


@pytest.mark.parametrize("version", ["3.100.0", "2.25.0", "4.0.0"])
def test_an_engine_of_another_version_is_left_alone(
    paths: Paths, path: Path, version: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(path, version)
    assert engine.on_path(paths) is None
    assert f"is {version}; anytier needs {ENGINE}" in capsys.readouterr().out


def test_a_broken_engine_is_called_broken(paths: Paths, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program(path / "pulumi", "exit 3")
    assert engine.on_path(paths) is None
    assert "is broken" in capsys.readouterr().out


def test_an_engine_without_its_python_host_is_not_enough(
    paths: Paths, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pulumi(path, ENGINE, host=False)
    assert engine.on_path(paths) is None
    assert f"has no {engine.HOST}" in capsys.readouterr().out


def test_a_link_on_path_leads_to_the_folder_of_the_host(paths: Paths, path: Path, tmp_path: Path) -> None:
    real = pulumi(tmp_path / "opt" / "pulumi", ENGINE)
    (path / "pulumi").symlink_to(real)
    assert engine.on_path(paths) == real.parent


def test_our_own_launcher_does_not_count(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi(paths.venv / "bin", ENGINE)
    monkeypatch.setenv("PATH", os.pathsep.join([str(paths.venv / "bin"), "/usr/bin", "/bin"]))
    assert engine.on_path(paths) is None


def test_what_was_found_is_remembered_until_somebody_replaces_it(paths: Paths, path: Path) -> None:
    file = pulumi(path, ENGINE)
    first = engine.ensure(paths)
    assert (first.source, first.folder) == ("path", str(path))
    assert engine.remembered(paths) == first
    program(file, "echo v3.100.0  # another one, of another size")
    assert engine.remembered(paths) is None


def test_a_note_that_cannot_be_read_is_no_note(paths: Paths) -> None:
    for text in ("", "{", "[]", json.dumps({"folder": "/nowhere"})):
        engine.note(paths).write_text(text)
        assert engine.remembered(paths) is None


def build(version: str = ENGINE) -> engine.release.Maker:
    def make(stage: Path) -> bool:
        pulumi(stage, version)
        return True

    return make


def test_a_made_engine_is_in_the_cache_for_the_next_clone(paths: Paths, tmp_path: Path) -> None:
    assert engine._made(paths, "modules", build()) == paths.engine

    def never(stage: Path) -> bool:
        raise AssertionError("made twice")

    assert engine._made(Paths(tmp_path / "another clone", paths.cache), "modules", never) == paths.engine


def test_half_an_engine_never_gets_into_the_cache(paths: Paths) -> None:
    def breaks(stage: Path) -> bool:
        pulumi(stage, ENGINE)
        raise SetupError("the disk is full", "make room")

    with pytest.raises(SetupError, match="the disk is full"):
        engine._made(paths, "modules", breaks)
    assert not paths.engine.exists()
    assert [file.name for file in paths.tools.iterdir()] == [".lock"]


def test_an_engine_of_another_version_than_pinned_is_refused(paths: Paths) -> None:
    with pytest.raises(SetupError, match=r"says it is 3\.1\.0"):
        engine._made(paths, "release", build("3.1.0"))
    assert not paths.engine.exists()


def test_a_way_that_is_closed_leads_to_none(paths: Paths) -> None:
    assert engine._made(paths, "release", lambda stage: False) is None
    assert not paths.engine.exists()


def test_go_on_path_is_used_only_if_it_is_new_enough(paths: Paths, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pulumi", "language-python"):
        (paths.root / "tools" / module).mkdir(parents=True)
        (paths.root / "tools" / module / "go.mod").write_text("module x\n\ngo 1.25.3\n")
    asked: list[str] = []

    def packaged(_: Paths) -> modules.Go:
        asked.append("PyPI")
        return modules.Go("/from/pypi/go", {})

    monkeypatch.setattr(modules, "packaged", packaged)
    assert modules.toolchain(paths).program == "/from/pypi/go"
    program(path / "go", "echo go1.24.9")
    assert modules.toolchain(paths).program == "/from/pypi/go"
    program(path / "go", "echo go1.26.0")
    assert modules.toolchain(paths).program == str(path / "go")
    assert asked == ["PyPI", "PyPI"]


def test_the_users_own_go_settings_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOTOOLCHAIN", "auto")
    monkeypatch.setenv("GOWORK", "/somewhere/go.work")
    made = modules.environment()
    assert (made["GOTOOLCHAIN"], made["GOWORK"], made["CGO_ENABLED"]) == ("local", "off", "0")
