"""Images as files: what Docker and containerd read of them, and that equal parts are equal bytes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from anytier.bundle import archive

NAME = "anytier-test.local/bundle/program:1.2"


def sample(folder: Path) -> archive.Parts:
    folder.mkdir(exist_ok=True)
    program = folder / "program"
    program.write_bytes(b"#!/bin/true\n")
    layer = archive.layer(folder / "a.layer", {"usr/bin/program": program, "etc/x": b"x"}, {"bin/sh": "program"})
    return archive.made([layer], {"Env": ["A=b"], "Entrypoint": ["/usr/bin/program"]}, "amd64")


def content(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        return {item.name: found.read() for item in tar if (found := tar.extractfile(item)) is not None}


def test_every_part_lies_under_its_digest(tmp_path: Path) -> None:
    archive.write(tmp_path / "out.tar", [NAME, "busybox:1"], sample(tmp_path))
    found = content(tmp_path / "out.tar")
    for name, data in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    (docker,) = json.loads(found["manifest.json"])
    assert docker["RepoTags"] == [NAME, "busybox:1"]
    assert {docker["Config"], *docker["Layers"]} < set(found)
    index = json.loads(found["index.json"])["manifests"]
    names = [item["annotations"]["io.containerd.image.name"] for item in index]
    assert names == [NAME, "docker.io/library/busybox:1"]
    assert len({item["digest"] for item in index}) == 1


def test_a_layer_has_folders_programs_and_links(tmp_path: Path) -> None:
    sample(tmp_path)
    with tarfile.open(tmp_path / "a.layer") as tar:
        found = {item.name: item for item in tar}
    assert [name for name, item in found.items() if item.isdir()] == ["bin", "etc", "usr", "usr/bin"]
    assert found["usr/bin/program"].mode == 0o755 and found["bin/sh"].linkname == "program"
    assert all((item.uid, item.gid, item.mtime) == (0, 0, 0) for item in found.values())


def test_the_same_parts_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        archive.write(tmp_path / f"{name}.tar", [NAME], sample(tmp_path / name))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_nothing_half_is_left(tmp_path: Path) -> None:
    parts = sample(tmp_path)
    with pytest.raises(KeyError):
        archive.write(tmp_path / "out.tar", [NAME], archive.Parts(parts.manifest, {}))
    assert not list(tmp_path.glob("*.tar")) and not list(tmp_path.glob(".out*"))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("busybox:1", "docker.io/library/busybox:1"),
        ("rancher/x:2", "docker.io/rancher/x:2"),
        ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
        ("localhost/x:1", "localhost/x:1"),
        ("host:5000/x:1", "host:5000/x:1"),
    ],
)
def test_names_are_as_containerd_has_them(given: str, wanted: str) -> None:
    assert archive.canonical(given) == wanted


@pytest.mark.docker
def test_docker_loads_it(tmp_path: Path) -> None:
    assert shutil.which("docker")
    archive.write(tmp_path / "out.tar", [NAME], sample(tmp_path))
    try:
        subprocess.run(["docker", "load", "--input", str(tmp_path / "out.tar")], check=True, capture_output=True)
        asked = ["docker", "image", "inspect", "--format", "{{json .Config.Entrypoint}}", NAME]
        done = subprocess.run(asked, check=True, capture_output=True, text=True)
        assert json.loads(done.stdout) == ["/usr/bin/program"]
    finally:
        subprocess.run(["docker", "image", "rm", "--force", NAME], check=False, capture_output=True)
