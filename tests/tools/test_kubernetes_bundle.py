"""What the test bundle is made from: pins that agree, names that lead somewhere, and the folder that comes out."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

import kubernetes_bundle as made
from anytier.bundle.manifest import Bundle
from anytier.tiers.kubeadmargs import MINORS
from bootstrap import modules
from bootstrap.paths import Paths

NEWEST = made.MODULES[made.NEWEST]
LISTED = [
    "registry.k8s.io/kube-apiserver:v1.34.2",
    "registry.k8s.io/kube-controller-manager:v1.34.2",
    "registry.k8s.io/kube-scheduler:v1.34.2",
    "registry.k8s.io/kube-proxy:v1.34.2",
    "registry.k8s.io/coredns/coredns:v1.12.1",
    "registry.k8s.io/pause:3.10.1",
    "registry.k8s.io/etcd:3.6.5-0",
]


def module(name: str) -> str:
    return (made.ROOT / "tools" / name / "go.mod").read_text()


@pytest.mark.parametrize("minor", made.MODULES)
def test_the_module_pins_all_of_kubernetes_to_one_version(minor: str) -> None:
    said = made.version(minor)
    staged = re.findall(r"^replace (k8s\.io/\S+) => \1 v0\.(\S+)$", module(made.MODULES[minor]), re.MULTILINE)
    assert len(staged) > 20 and {pin for _, pin in staged} == {said.removeprefix("1.")}
    assert said.startswith(f"{minor}.")


def test_there_is_a_module_for_each_minor_that_a_stack_may_ask_for() -> None:
    assert {f"{major}.{minor}" for major, minor in MINORS} == set(made.MODULES)


def test_every_program_is_a_tool_of_the_module_so_that_its_sums_are_kept() -> None:
    text = module(made.MODULES[made.NEWEST])
    wanted = [f"k8s.io/kubernetes/cmd/{name}" for name in made.COMMANDS]
    for package in wanted + [name for name in made.OTHERS if not name.startswith("./")]:
        assert f"\t{package}\n" in text
    for name in made.MODULES.values():
        assert all(f"\t{package}\n" in module(name) for package in wanted)
    assert f"\t{made.FLANNEL}\n" in text
    for package in (name for name in made.OTHERS if name.startswith("./") and name != "./flanneld"):
        assert (made.ROOT / "tools" / NEWEST / package / "main.go").is_file()


def test_images_that_kubeadm_does_not_name_have_their_modules_versions() -> None:
    for reference in made.MORE:
        name, _, tag = reference.rpartition("/")[2].partition(":")
        assert re.search(rf"/{name} {re.escape(tag)}\b", module(NEWEST)), reference


def test_another_source_is_another_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = made.folder(Paths(made.ROOT, tmp_path))
    tools = tmp_path / "tools" / NEWEST
    tools.mkdir(parents=True)
    (tools / "go.mod").write_text(f"{module(NEWEST)}\n// changed\n")
    monkeypatch.setattr(made, "ROOT", tmp_path)
    assert made.folder(Paths(made.ROOT, tmp_path)) != before


def test_a_bundle_is_whole_and_its_images_run_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = {}
    for name in (*made.COMMANDS, *made.OTHERS.values(), made.DNS):
        programs[name] = tmp_path / "programs" / name
        programs[name].parent.mkdir(exist_ok=True)
        programs[name].write_text(name)
        programs[name].chmod(0o755)
    base = tmp_path / "base.tar"
    with tarfile.open(base, "w"):
        pass
    monkeypatch.setattr(made, "listed", lambda kubeadm, said: LISTED)
    monkeypatch.setattr(made, "debian", lambda scratch: base)
    monkeypatch.setattr(made.shutil, "which", lambda name: str(programs["pause"]))
    (tmp_path / "out").mkdir()
    made.assemble(tmp_path / "out", "1.34.2", programs)
    bundle = Bundle.read(tmp_path / "out")
    bundle.complete()
    bundle.verify()
    assert bundle.version == "v1.34.2" and "cni/flannel" in bundle.files
    assert set(LISTED) | set(made.MORE) | {made.BUSYBOX, made.CADDY} == set(bundle.references)
    assert stat.S_IMODE(bundle.file("bin/kubelet").stat().st_mode) == 0o755
    with tarfile.open(bundle.file("images/etcd.tar")) as tar:
        (docker,) = json.load(tar.extractfile("manifest.json") or pytest.fail("no manifest"))
        layer = tar.extractfile(docker["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as inner:
            assert (inner.extractfile("usr/local/bin/etcd") or pytest.fail("no etcd")).read() == b"server"


@pytest.mark.e2e
def test_flannels_source_is_found_where_no_module_is_cached_yet(tmp_path: Path) -> None:
    """As on a fresh machine. (Go makes what it caches read-only, which pytest's own cleaning cannot take away.)"""
    go = modules.toolchain(Paths.here())
    fresh = modules.Go(go.program, {**os.environ, **go.env, "GOMODCACHE": str(tmp_path / "modules")})
    try:
        made.flannel(fresh, tmp_path)
        assert made.FLANNEL_IN_C not in (tmp_path / "main.go").read_text()
        assert "package main" in (tmp_path / "main.go").read_text()
    finally:
        subprocess.run([go.program, "clean", "-modcache"], env=fresh.env, check=True)
