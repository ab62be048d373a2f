"""Addons in a copy of the tests' bundle: the versions that are rendered, and a bundle that stays as it was."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tiers.test_kubeadm import filled

import addon_images as made
import kubernetes_bundle
from anytier.bundle.manifest import Bundle, checksum
from anytier.render.kubernetes import addons
from bootstrap import modules
from bootstrap.paths import Paths
from bootstrap.say import SetupError

ALL = addons.Choice("10.244.0.0/16", metrics=True, ingress="traefik", network_policy="kube-router")
IMAGES = {image for names in addons.images(ALL).values() for image in names}
TRAEFIK = made.module("traefik")
every = pytest.mark.parametrize("name", made.ADDONS)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """With one of the addons' images less."""
    return Bundle.read(filled(tmp_path / "bundle", without=made.reference("traefik")))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(made.ROOT, tmp_path / "cache")


@pytest.fixture(autouse=True)
def _no_debian(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages are Debian's to give; a layer with one file stands for them."""

    def layer(scratch: Path, _packages: tuple[str, ...]) -> Path:
        return made.archive.layer(scratch / "base.tar", {"usr/sbin/xtables-nft-multi": b"iptables"})

    monkeypatch.setattr(kubernetes_bundle, "debian", layer)


def programs(folder: Path) -> dict[str, Path]:
    """One for every addon, each other than the rest."""
    for name in made.ADDONS:
        (folder / name).write_text(f"the program {name}")
    return {name: folder / name for name in made.ADDONS}


@every
def test_an_addon_is_the_one_that_is_rendered(name: str) -> None:
    assert made.reference(name) in IMAGES


@every
def test_a_module_has_every_hash_that_a_build_asks_for(name: str) -> None:
    text, sums = ((made.module(name) / file).read_text() for file in ("go.mod", "go.sum"))
    addon = made.ADDONS[name]
    assert addon.package.startswith(addon.source) and f"tool {addon.package}\n" in text
    assert f"{addon.source} v{made.version(name)} h1:" in sums
    for other, pin in re.findall(r"^\t\S+ => (\S+) (v\S+)$", text, re.MULTILINE):
        assert f"{other} {pin} h1:" in sums


@every
def test_another_source_is_another_program(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, text = made.place(Paths(made.ROOT, tmp_path), name), (made.module(name) / "go.mod").read_text()
    (tmp_path / "tools" / name).mkdir(parents=True)
    (tmp_path / "tools" / name / "go.mod").write_text(f"{text}\n// changed\n")
    monkeypatch.setattr(made, "ROOT", tmp_path)
    assert made.place(Paths(tmp_path, tmp_path), name) != before


def test_a_copy_has_all_of_the_bundle_and_the_images_and_the_bundle_is_as_it_was(
    tmp_path: Path, bundle: Bundle, paths: Paths
) -> None:
    before = {file: checksum(bundle.path / file) for file in (*bundle.files, "bundle.yaml")}
    given = programs(tmp_path)
    found = Bundle.read(made.added(paths, bundle.path, made.ADDONS, given))
    found.complete()
    found.verify()
    assert {*found.references} == {*bundle.references} | {made.reference(name) for name in made.ADDONS}
    assert {**before} == {file: checksum(bundle.path / file) for file in before}
    assert made.added(paths, bundle.path, reversed(made.ADDONS), given) == found.path
    for name, addon in made.ADDONS.items():
        assert addon.place in dict(files_of(found.file(f"images/{name}.tar"), -1))
        mode, size = dict(files_of(found.file(f"images/{name}.tar"), -1))[addon.place]
        assert (mode, size) == (0o755, len(f"the program {name}"))


def test_a_copy_is_named_by_what_was_added(tmp_path: Path, bundle: Bundle, paths: Paths) -> None:
    given = programs(tmp_path)
    one = made.added(paths, bundle.path, ["traefik"], given)
    other = made.added(
        paths, bundle.path, ["traefik"], {**given, "traefik": filled(tmp_path / "other") / "bundle.yaml"}
    )
    assert one.name.startswith("bundle-traefik-") and one != other


def test_an_image_may_stand_on_packages_of_debian(
    tmp_path: Path, bundle: Bundle, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def debian(scratch: Path, packages: tuple[str, ...]) -> Path:
        asked.append(packages)
        return made.archive.layer(scratch / "base.tar", {"usr/sbin/xtables-nft-multi": b"iptables"})

    links = {"usr/sbin/iptables": "xtables-nft-multi"}
    based = made.ADDONS["traefik"]._replace(packages=("iptables",), links=links)
    monkeypatch.setitem(made.ADDONS, "traefik", based)
    monkeypatch.setattr(kubernetes_bundle, "debian", debian)
    found = Bundle.read(made.added(paths, bundle.path, ["traefik"], programs(tmp_path)))
    file = found.file("images/traefik.tar")
    assert asked == [("iptables",)]
    assert "usr/sbin/xtables-nft-multi" in dict(files_of(file, 0))
    assert {"usr/sbin/iptables", based.place} <= {*dict(files_of(file, 1))}


def files_of(image: Path, number: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """(name, (mode, size)) of all in one of its layers, from the bottom up."""
    with tarfile.open(image) as tar:
        (docker,) = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
        with tarfile.open(fileobj=tar.extractfile(docker["Layers"][number])) as layer:
            yield from ((info.name, (stat.S_IMODE(info.mode), info.size)) for info in layer.getmembers())


def test_lego_is_built_without_the_clients_of_name_services(tmp_path: Path) -> None:
    names = tmp_path / "lego" / made.NAMES
    names.mkdir(parents=True)
    (names / "all.go").write_text("package dns // with everybody's")
    (tmp_path / "lego" / "lego.go").write_text("package lego")
    for folder in (names, tmp_path / "lego"):
        folder.chmod(0o555)  # as it is in Go's cache
    (tmp_path / "scratch").mkdir()
    mod = made.replaced(tmp_path / "lego", TRAEFIK, tmp_path / "scratch")
    copy = tmp_path / "scratch" / "lego"
    assert f"replace {made.LEGO} => {copy}" in mod.read_text() and (mod.parent / "go.sum").is_file()
    assert [file.name for file in (copy / made.NAMES).iterdir()] == ["dns.go"] and (copy / "lego.go").is_file()
    assert f"{made.LEGO} v{modules.pinned(TRAEFIK, made.LEGO)} h1:" in (TRAEFIK / "go.sum").read_text()


@every
def test_a_build_is_of_the_addons_own_module_and_says_its_version(
    name: str, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = []

    def run(argv: list[str], do: str, *, env: dict[str, str], cwd: Path) -> str:
        ran.append((argv, cwd))
        Path(argv[argv.index("-o") + 1]).write_text("built")
        return ""

    monkeypatch.setattr(made, "run", run)
    monkeypatch.setattr(made.modules, "toolchain", lambda paths, names: modules.Go("go", {}))
    monkeypatch.setitem(made.ADDONS, name, made.ADDONS[name]._replace(prepare=None))
    assert made.ensure(paths, name).read_text() == "built" and made.ensure(paths, name)
    ((argv, where),) = ran
    assert where == made.module(name) and argv[-1] == made.ADDONS[name].package and "-mod=readonly" in argv
    assert f"-ldflags=-s -w -X {made.ADDONS[name].stamp}{made.version(name)}" in argv


def test_what_is_in_the_way_is_said(
    tmp_path: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> None:
        raise SetupError("no proxy", "get one")

    monkeypatch.setattr(made, "build", fails)
    monkeypatch.setattr(made.kubernetes_bundle, "ensure", lambda paths: tmp_path)
    monkeypatch.setattr(made.Paths, "here", lambda: paths)
    monkeypatch.setattr(sys, "argv", ["addon_images.py", "traefik"])
    assert made.main() == 1
    assert capsys.readouterr().err == "addons   no proxy\n  -> get one\n"


def test_what_is_not_cached_is_not_built_where_that_is_not_wanted(tmp_path: Path) -> None:
    def cached(*names: str) -> int:
        script = [sys.executable, str(made.ROOT / "tools" / "addon_images.py"), "--cached", *names]
        return subprocess.run(script, env={"ANYTIER_CACHE_DIR": str(tmp_path)}, capture_output=True).returncode

    assert cached(*made.ADDONS) == 1
    for name in made.ADDONS:
        target = made.place(Paths(made.ROOT, tmp_path), name)
        target.parent.mkdir(parents=True)
        target.touch()
    assert cached(*made.ADDONS) == 0 and cached("nobody") == 2
