"""Traefik in a copy of the tests' bundle: the version that is rendered, and a bundle that stays as it was."""

from __future__ import annotations

import json
import re
import stat
import tarfile
from pathlib import Path

import pytest
from tests.tiers.test_kubeadm import filled

import traefik_image as made
from anytier.bundle.manifest import Bundle, checksum
from anytier.render.kubernetes.addons import traefik
from bootstrap.paths import Paths

FOLDER = made.ROOT / "tools" / made.MODULE


def test_the_module_has_the_version_that_is_rendered_and_every_hash_that_a_build_asks_for() -> None:
    assert made.reference() == traefik.IMAGE
    text, sums = (FOLDER / "go.mod").read_text(), (FOLDER / "go.sum").read_text()
    for module in (made.TRAEFIK, made.LEGO):
        assert f"{module} v{made.pinned(module)} h1:" in sums
    for other, pin in re.findall(r"^\t\S+ => (\S+) (v\S+)$", text, re.MULTILINE):
        assert f"{other} {pin} h1:" in sums


def test_a_copy_has_all_of_the_bundle_and_the_image_and_the_bundle_is_as_it_was(tmp_path: Path) -> None:
    bundle = Bundle.read(filled(tmp_path / "bundle", without=traefik.IMAGE))
    before = {file: checksum(bundle.path / file) for file in (*bundle.files, "bundle.yaml")}
    program = tmp_path / "traefik"
    program.write_text("a program")
    paths = Paths(made.ROOT, tmp_path / "cache")
    found = Bundle.read(made.added(paths, bundle.path, program))
    found.complete()
    found.verify()
    assert {*found.references} - {*bundle.references} == {traefik.IMAGE}
    assert {**before} == {file: checksum(bundle.path / file) for file in before}
    assert made.added(paths, bundle.path, program) == found.path
    with tarfile.open(found.file(made.FILE)) as tar:
        (docker,) = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
        with tarfile.open(fileobj=tar.extractfile(docker["Layers"][0])) as inner:
            info = inner.getmember(made.PLACE)
            assert stat.S_IMODE(info.mode) == 0o755 and info.size == len("a program")


def test_lego_is_built_without_the_clients_of_name_services(tmp_path: Path) -> None:
    names = tmp_path / "lego" / made.NAMES
    names.mkdir(parents=True)
    (names / "all.go").write_text("package dns // with everybody's")
    (tmp_path / "lego" / "lego.go").write_text("package lego")
    for folder in (names, tmp_path / "lego"):
        folder.chmod(0o555)  # as it is in Go's cache
    (tmp_path / "scratch").mkdir()
    mod = made.without_names(tmp_path / "lego", FOLDER, tmp_path / "scratch")
    copy = tmp_path / "scratch" / "lego"
    assert f"replace {made.LEGO} => {copy}" in mod.read_text() and (mod.parent / "go.sum").is_file()
    assert [file.name for file in (copy / made.NAMES).iterdir()] == ["dns.go"] and (copy / "lego.go").is_file()


def test_another_source_is_another_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made.place(Paths(made.ROOT, tmp_path))
    tools = tmp_path / "tools" / made.MODULE
    tools.mkdir(parents=True)
    (tools / "go.mod").write_text(f"{(FOLDER / 'go.mod').read_text()}\n// changed\n")
    monkeypatch.setattr(made, "ROOT", tmp_path)
    assert made.place(Paths(tmp_path, tmp_path)) != before
