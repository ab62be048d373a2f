"""What is installed is what pyproject.toml asks for, every file of it known by hash, from whatever index pip uses."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bootstrap.packages import pins

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ["local", "docker", "libvirt", "kubernetes", "kubeadm", "gke", "dev"]


def lock(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text()


def wanted(extra: str) -> list[Requirement]:
    """What pyproject.toml asks for with this extra, extras of its own resolved."""
    found: list[Requirement] = [Requirement(text) for text in PROJECT["dependencies"]]
    for text in PROJECT["optional-dependencies"][extra]:
        item = Requirement(text)
        found += [one for other in item.extras for one in wanted(other)] if item.name == "anytier" else [item]
    return found


@pytest.mark.parametrize("name", [*LOCKS, "go"])
def test_every_line_is_a_pin_with_hashes(name: str) -> None:
    blocks = re.split(r"\n(?=\S)", lock(name).strip())
    for block in blocks:
        head, *hashes = [line.strip().rstrip("\\").strip() for line in block.splitlines()]
        assert re.fullmatch(r"[a-z0-9._-]+==[^\s;]+( ; .+)?", head), head
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), head


@pytest.mark.parametrize("name", [*LOCKS, "go"])
def test_no_index_is_named(name: str) -> None:
    assert not re.search(r"https?:|--index|--extra-index|--find-links|--trusted", lock(name))


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_meets_what_pyproject_asks_for(name: str) -> None:
    have = {canonicalize_name(key): value for key, value in pins(lock(name)).items()}
    stale = [
        str(item) for item in wanted(name) if not item.specifier.contains(have.get(canonicalize_name(item.name), "0"))
    ]
    assert stale == [], "run: make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_is_whole(name: str) -> None:
    """Set-up installs without resolving, so what a package needs must be in the lock too."""
    have = {canonicalize_name(key) for key in pins(lock(name))}
    for package in sorted(have):
        try:
            needs = [Requirement(text) for text in requires(package) or ()]
        except PackageNotFoundError:
            continue  # for another platform: its line has a marker
        for need in needs:
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                assert canonicalize_name(need.name) in have, f"{package} needs {need}: run make lock"


@pytest.mark.parametrize("name", LOCKS)
def test_pip_itself_is_locked_and_is_a_quick_one(name: str) -> None:
    """The language host asks `pip list` in every run."""
    assert int(pins(lock(name))["pip"].partition(".")[0]) >= 26


def test_a_package_has_one_version_in_all_locks() -> None:
    """A tier's lock is installed on top of another's in one virtual environment."""
    everything = pins(lock("dev"))
    for name in ("local", "docker", "libvirt", "kubernetes", "kubeadm"):
        found = pins(lock(name))
        found.pop("libvirt-python", None)  # needs a C library, so it is in its own lock only
        assert found == {key: everything.get(key) for key in found}


@pytest.mark.parametrize("name", ["local", "docker", "libvirt", "kubernetes", "kubeadm"])
def test_a_tier_without_a_cloud_brings_no_cloud_sdk(name: str) -> None:
    sdks = {"pulumi-aws", "pulumi-gcp", "pulumi-azure-native", "pulumi-kubernetes", "boto3", "pytest", "mypy"}
    allowed = {"pulumi-kubernetes"} if name.startswith("kube") else set[str]()
    assert sdks & set(pins(lock(name))) == allowed
