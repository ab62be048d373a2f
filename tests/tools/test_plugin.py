"""The Kubernetes plugin: where the engine looks for it, made once, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import plugin
from bootstrap.engine import Engine
from bootstrap.paths import Paths
from bootstrap.say import SetupError

ENGINE = Engine("/nowhere", "3.259.0", "modules", [0, 0])


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(plugin, "downloaded", lambda engine: False)
    made = Paths(tmp_path / "clone", tmp_path / "cache")
    made.notes.mkdir(parents=True)
    return made


def build(paths: Paths, stage: Path) -> None:
    (stage / plugin.NAME).write_text("a program")
    (stage / plugin.NAME).chmod(0o755)


def never(paths: Paths, stage: Path) -> None:
    raise AssertionError("made twice")


def breaks(paths: Paths, stage: Path) -> None:
    build(paths, stage)
    raise SetupError("the disk is full", "make room")


def test_it_is_put_where_the_engine_looks_and_made_once_for_all_clones(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin.ensure(paths, ENGINE, "kubeadm", build)
    assert (plugin.home() / plugin.NAME).read_text() == "a program"
    assert plugin.home().name == f"resource-kubernetes-v{plugin.KUBERNETES_PLUGIN}"
    capsys.readouterr()
    plugin.ensure(paths, ENGINE, "kubeadm", never)
    assert capsys.readouterr().out == ""
    (plugin.home() / plugin.NAME).unlink()
    plugin.ensure(Paths(paths.root.parent / "another", paths.cache), ENGINE, "kubernetes", never)
    assert (plugin.home() / plugin.NAME).is_file()


@pytest.mark.parametrize("extra", ["local", "docker", "libvirt", "baremetal", "dev"])
def test_a_stack_without_a_cluster_never_gets_it(paths: Paths, extra: str) -> None:
    plugin.ensure(paths, ENGINE, extra, never)
    assert not plugin.home().exists()


def test_half_a_plugin_is_none_and_the_launcher_comes_again(paths: Paths) -> None:
    (paths.notes / "ready-kubeadm").touch()
    with pytest.raises(SetupError, match="disk is full"):
        plugin.ensure(paths, ENGINE, "kubeadm", breaks)
    assert not plugin.home().exists() and not plugin.cached(paths).exists()
    assert not (paths.notes / "ready-kubeadm").exists()
    plugin.ensure(paths, ENGINE, "kubeadm", build)
    assert (plugin.home() / plugin.NAME).is_file()


def test_a_download_is_tried_first(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def downloaded(engine: Engine) -> bool:
        assert engine is ENGINE
        plugin.home().mkdir(parents=True)
        (plugin.home() / plugin.NAME).touch()
        return True

    monkeypatch.setattr(plugin, "downloaded", downloaded)
    plugin.ensure(paths, ENGINE, "kubeadm", never)


def test_a_server_that_cannot_be_reached_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plugin, "within", lambda *given, **more: None)
    assert plugin.downloaded(ENGINE) is False
    assert capsys.readouterr().out.count("\n") == 1
