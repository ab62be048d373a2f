"""What `anytier doctor` says of the engine's Kubernetes plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from anytier.clusterobjects import PLUGIN_VERSION
from anytier.doctor.check import Subject
from anytier.doctor.kubernetes import PROGRAM, plugin


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def test_a_plugin_that_is_missing_is_told_with_the_command_that_gets_it(home: Path) -> None:
    (found,) = plugin(Subject(home, "prod"))
    assert found.status == "missing" and found.do == f"pulumi plugin install resource kubernetes {PLUGIN_VERSION}"


def test_the_engines_own_folder_is_where_it_should_be(home: Path) -> None:
    folder = home / "plugins" / f"resource-kubernetes-v{PLUGIN_VERSION}"
    folder.mkdir(parents=True)
    (folder / PROGRAM).touch()
    assert [item.status for item in plugin(Subject(home))] == ["ok"]


def test_one_on_path_is_used_with_a_word_of_doubt(home: Path) -> None:
    (home / "bin").mkdir()
    (home / "bin" / PROGRAM).touch(0o755)
    assert [item.status for item in plugin(Subject(home))] == ["note"]
