"""A bundle from a mirror and a registry of this machine: filled, gone on with, and refused where something is wrong."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.cli.console import anytier
from tests.provider.oci.fake import Fake

from anytier.bundle import archive, fetch, software
from anytier.bundle.manifest import FILE, Bundle, checksum
from anytier.cli.bundle import puller
from anytier.errors import AnytierError, NotFound, Rejected, Unreachable, UsageError

LISTED = ["registry.k8s.io/kube-apiserver:v1.34.2", "registry.k8s.io/coredns/coredns:v1.12.1"]
KUBEADM = "#!/bin/sh\n" + "".join(f"echo {item}\n" for item in LISTED)


class Mirror:
    """Serves files by path, with ranges. `breaks`: a path's end -> after how many bytes its next answer ends."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: dict[str, int] = {}
        self.asked: list[tuple[str, str]] = []

    def __enter__(self) -> Mirror:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        span = request.headers.get("Range", "")
        self.asked.append((request.path, span))
        data = self.files.get(request.path)
        begin = int(span.removeprefix("bytes=").rstrip("-") or 0)
        request.send_response(404 if data is None else 206 if span else 200)
        data = (data or b"")[begin:]
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        ends = next((self.breaks.pop(end) for end in list(self.breaks) if request.path.endswith(end)), len(data))
        request.wfile.write(data[:ends])


def packed(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in ("./", *names, "../escape"):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if name == "./" else tarfile.REGTYPE
            info.size = 0 if name == "./" else len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return out.getvalue()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as made:
        for item in software.downloads("1.34.2", "amd64", made.url):
            path = item.url.removeprefix(made.url)
            archive = [f"./{name}" for name in item.takes]
            made.files[path] = KUBEADM.encode() if path.endswith("kubeadm") else b"x" * 1000
            made.files[path] = made.files[path] if "" in item.takes else packed(*archive)
            said = hashlib.sha256(made.files[path]).hexdigest()
            made.files[f"{path}.sha256"] = f"{said}  {item.name}\n".encode()
        yield made


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with Fake() as made:
        for reference in (*LISTED, *software.IMAGES):
            tag = reference.rpartition(":")[2]
            made.index(tag, {"amd64": made.image(f"{tag}-amd64"), "arm64": made.image(f"{tag}-arm64", "arm64")})
        yield made


def fill(folder: Path, mirror: Mirror, registry: Fake, **more: Any) -> Bundle:
    given = {"mirror": mirror.url, "registry": registry.name, **more}
    return fetch.fill(folder, "1.34.2", "amd64", puller("amd64"), lambda *said: None, **given)


def test_a_bundle_is_filled_and_whole(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    made = fill(tmp_path / "b", mirror, registry)
    made.complete()
    made.verify()
    assert set(made.references) == {*LISTED, *software.IMAGES}
    assert set(made.below("cni")) == {"bridge", "host-local", "loopback", "portmap", "flannel"}
    assert all(os.access(made.file(path), os.X_OK) for path in made.files if not path.startswith("images/"))
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["bin", FILE, "cni", "images"]
    assert not (tmp_path / "escape").exists()


def test_what_is_there_is_not_fetched_again(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    before = fill(tmp_path / "b", mirror, registry)
    mirror.asked.clear()
    registry.asked.clear()
    again = fill(tmp_path / "b", mirror, registry)
    assert again.digest == before.digest
    assert not registry.asked
    assert all(path.endswith((".sha256", ".tgz")) for path, _ in mirror.asked)


def test_a_download_that_broke_off_goes_on(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    mirror.breaks["/kubelet"] = 400
    with pytest.raises(Unreachable):
        fill(tmp_path / "b", mirror, registry)
    assert not (tmp_path / "b" / FILE).exists()
    mirror.asked.clear()
    fill(tmp_path / "b", mirror, registry).verify()
    assert ("bytes=400-" in [span for path, span in mirror.asked if path.endswith("/kubelet")]) is True


def test_a_wrong_checksum_is_refused_and_forgotten(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    path = next(name for name in mirror.files if name.endswith("/kubelet"))
    mirror.files[path] = b"y" * 1000
    with pytest.raises(Rejected, match="published checksum"):
        fill(tmp_path / "b", mirror, registry)
    assert not list((tmp_path / "b" / fetch.PARTS).glob("kubelet-*"))
    assert not (tmp_path / "b" / "bin" / "kubelet").exists()


def test_a_spoilt_file_is_fetched_again(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    made = fill(tmp_path / "b", mirror, registry)
    made.file("bin/kubelet").write_bytes(b"spoilt")
    assert checksum(fill(tmp_path / "b", mirror, registry).file("bin/kubelet")) == made.files["bin/kubelet"]


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda files, path: files.pop(path), NotFound, "is not there"),
        (lambda files, path: files.update({f"{path}.sha256": b"<html>"}), Rejected, "no SHA-256"),
        (lambda files, path: files.pop(f"{path}.sha256"), NotFound, r"\.sha256: is not there"),
    ],
)
def test_a_mirror_that_lacks_something_is_told(
    tmp_path: Path, mirror: Mirror, registry: Fake, spoil: Any, error: type[AnytierError], said: str
) -> None:
    spoil(mirror.files, next(name for name in mirror.files if name.endswith(".tgz")))
    with pytest.raises(error, match=said):
        fill(tmp_path / "b", mirror, registry)


def test_nothing_that_answers_is_told_with_what_to_do(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    gone = mirror.url
    mirror.server.server_close()
    with pytest.raises(Unreachable, match="--mirror"):
        fetch.fill(tmp_path / "b", "1.34.2", "amd64", puller("amd64"), lambda *said: None, mirror=gone)


def test_a_whole_bundle_stays_one_where_nothing_can_be_had(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    before, gone = fill(tmp_path / "b", mirror, registry), mirror.url
    mirror.server.server_close()
    with pytest.raises(Unreachable):
        fetch.fill(tmp_path / "b", "1.34.2", "amd64", puller("amd64"), lambda *said: None, mirror=gone)
    left = Bundle.read(tmp_path / "b")
    left.verify()
    assert left.digest == before.digest


def test_an_archive_without_what_is_wanted_is_refused(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    path = next(name for name in mirror.files if "flannel" in name and name.endswith(".tgz"))
    for data, said in ((packed("other"), "has no flannel-amd64"), (b"no archive", "no archive that can be read")):
        mirror.files[path] = data
        mirror.files[f"{path}.sha256"] = hashlib.sha256(data).hexdigest().encode()
        with pytest.raises(Rejected, match=said):
            fill(tmp_path / "b", mirror, registry)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"version": "1.34"}, "--kubernetes"),
        ({"version": "../1.34.2"}, "--kubernetes"),
        ({"arch": "x86"}, "--arch"),
        ({"mirror": "http://mirror.example.org"}, "--mirror"),
        ({"mirror": "file:///etc"}, "--mirror"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_asked_for(change: dict[str, str], path: str) -> None:
    with pytest.raises(UsageError) as error:
        fetch.check(**{"version": "1.34.2", "arch": "amd64", "mirror": "", **change})
    assert error.value.path == path


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not empty and no bundle"):
        fetch.begin(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_kubeadm_that_cannot_run_here_is_told(tmp_path: Path) -> None:
    (tmp_path / "kubeadm").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "kubeadm").chmod(0o755)
    with pytest.raises(Rejected, match="which images"):
        fetch.listed(tmp_path / "kubeadm", "1.34.2")


def test_every_image_that_is_rendered_is_in_it() -> None:
    from anytier.render.kubernetes import addons
    from anytier.render.kubernetes.target import CADDY_IMAGE

    every = addons.Choice("10.244.0.0/16", metrics=True, ingress="traefik", network_policy="kube-router")
    rendered = {archive.canonical(item) for found in addons.images(every).values() for item in found}
    assert rendered | {archive.canonical(CADDY_IMAGE)} == set(software.IMAGES)


def test_an_address_below_a_mirror_keeps_its_host() -> None:
    found = software.downloads("1.34.2", "arm64", "https://m.example/files/")
    assert found[0].url == "https://m.example/files/dl.k8s.io/release/v1.34.2/bin/linux/arm64/kubeadm"
    assert software.downloads("1.34.2", "arm64")[0].sums == (
        "https://dl.k8s.io/release/v1.34.2/bin/linux/arm64/kubeadm.sha256"
    )


def test_the_command_fills_verifies_and_finds_what_is_spoilt(tmp_path: Path, mirror: Mirror, registry: Fake) -> None:
    folder = tmp_path / "b"
    done = anytier("bundle", "build", "-o", str(folder), "--mirror", mirror.url, "--registry", registry.name)
    assert done.code == 0, done.err
    assert f"{folder}: Kubernetes v1.34.2 for amd64" in done.out
    assert anytier("bundle", "verify", str(folder)).code == 0
    (folder / "bin/kubelet").write_text("spoilt")
    (folder / "cni/bridge").unlink()
    done = anytier("bundle", "verify", str(folder))
    assert done.code == 1 and "lacks cni/bridge" in done.err
    (folder / "cni/bridge").write_text("spoilt")
    done = anytier("bundle", "verify", str(folder))
    assert done.code == 1 and done.err.count("error: ") == 2 and "bin/kubelet" in done.err
    assert anytier("bundle", "build", "-o", str(folder), "--kubernetes", "new").code == 2


def test_build_and_verify_name_their_folder_each_in_its_own_way(tmp_path: Path) -> None:
    assert anytier("bundle", "build", str(tmp_path)).code == 2
    assert anytier("bundle", "verify", "-o", str(tmp_path)).code == 2
    assert anytier("bundle", "verify", str(tmp_path / "none")).code == 1
