"""A bundle on disk: what is read, what is refused, and what verification finds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anytier.bundle.manifest import FILE, NEEDED, Bundle, Manifest, inside, write
from anytier.errors import AnytierError, NotFound, Rejected

IMAGE = "images/pause.tar"
REFERENCE = "registry.k8s.io/pause:3.10.1"


def make(folder: Path, **more: Any) -> Bundle:
    """A whole one whose files hold their own names."""
    names = [*NEEDED, IMAGE]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    files = {name: "sha256:" + hashlib.sha256(name.encode()).hexdigest() for name in names}
    given = {"kubernetes": "v1.34.2", "arch": "amd64", "files": files, "images": {IMAGE: [REFERENCE]}, **more}
    write(folder, Manifest(**given))
    return Bundle.read(folder)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert (made.version, made.arch) == ("v1.34.2", "amd64")
    assert made.references == {REFERENCE: IMAGE}
    assert made.below("bin") == {"kubeadm": "bin/kubeadm", "kubelet": "bin/kubelet"}
    assert made.missing() == []
    made.complete()
    made.verify()


def test_equal_bundles_have_equal_digests(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b")
    assert first.digest == second.digest
    assert make(tmp_path / "c", kubernetes="v1.34.3").digest != first.digest


def test_no_folder_no_file_and_no_bundle_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no folder"):
        Bundle.read(tmp_path / "none", "anytier:kubeadm.bundle")
    with pytest.raises(NotFound, match=r"has no bundle\.yaml -> .*anytier bundle build"):
        Bundle.read(tmp_path)
    (tmp_path / FILE).write_text("kind: Recipe\n")
    with pytest.raises(Rejected, match="kind"):
        Bundle.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kubernetes": "1.34"}, "not a version"),
        ({"kubernetes": "v1.34.2; rm"}, "not a version"),
        ({"arch": "AMD64/"}, "not an architecture"),
        ({"files": {"/etc/passwd": "sha256:" + "0" * 64}}, "not a path inside"),
        ({"files": {"bin/../../x": "sha256:" + "0" * 64}}, "not a path inside"),
        ({"files": {"bin/kubeadm": "md5:0"}}, "not sha256"),
        ({"images": {IMAGE: []}}, "at least one reference"),
        ({"images": {IMAGE: ["a b"]}}, "at least one reference"),
        ({"images": {"images/other.tar": ["a"]}}, "no checksum of images/other.tar"),
        ({"apiVersion": "anytier.dev/bundle/v2"}, "apiVersion"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_description_is_refused_with_its_path(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    make(tmp_path)
    found = yaml.safe_load((tmp_path / FILE).read_text())
    (tmp_path / FILE).write_text(yaml.safe_dump({**found, **change}))
    with pytest.raises(Rejected, match=said) as error:
        Bundle.read(tmp_path, "anytier:kubeadm.bundle")
    assert error.value.path == f"anytier:kubeadm.bundle: {tmp_path / FILE}" and error.value.do


def test_what_is_missing_is_told_without_reading_all(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "bin/kubelet").unlink()
    assert made.missing() == ["bin/kubelet"]
    with pytest.raises(Rejected, match="lacks bin/kubelet -> "):
        made.complete("anytier:kubeadm.bundle")
    assert "bin/kubectl" in made.missing(["bin/kubectl"])


def test_verification_finds_everything_at_once(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "bin/kubelet").unlink()
    (tmp_path / "bin/kubeadm").write_text("another")
    (tmp_path / IMAGE).unlink()
    (tmp_path / IMAGE).symlink_to("/etc/hostname")
    found = list(made.faults())
    assert [type(item) for item in found] == [Rejected, NotFound, Rejected]
    assert all(isinstance(item, AnytierError) and item.do for item in found)
    with pytest.raises(ExceptionGroup, match="3 files"):
        made.verify()


def test_verification_says_how_far_it_is(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    make(tmp_path).verify(lambda *said: seen.append(said))
    assert ("bin/kubeadm", len("bin/kubeadm"), len("bin/kubeadm")) in seen


@given(st.text())
def test_no_path_leads_out_of_the_bundle(text: str) -> None:
    if inside(text):
        assert Path("/b", text).resolve().is_relative_to("/b") and not text.startswith(("/", "."))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_the_file_holds_is_refused_in_words(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / FILE).write_bytes(data)
    with pytest.raises(AnytierError) as error:
        Bundle.read(folder)
    assert error.value.do
