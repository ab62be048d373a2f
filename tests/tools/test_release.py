"""The official release: from a mirror that is really served, good, tampered with and out of reach."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bootstrap import release
from bootstrap.pins import ENGINE
from bootstrap.say import SetupError

NAME = f"pulumi-v{ENGINE}-linux-x64.tar.gz"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is served and named as the mirror, with an archive and its checksum."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    with tarfile.open(folder / NAME, "w:gz") as tar:
        for name, text in {
            "pulumi/pulumi": "#!/bin/sh\n",
            "pulumi/pulumi-language-python": "#!/bin/sh\n",
            "pulumi/pulumi-language-python-exec": "#!/usr/bin/env python3\n",
            "pulumi/pulumi-language-go": "not needed",
            "../escaped": "x",
            "/etc/absolute": "x",
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(text), 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
        link = tarfile.TarInfo("pulumi/pulumi-resource-pulumi-python")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    sums(folder, hashlib.sha256((folder / NAME).read_bytes()).hexdigest())
    monkeypatch.setattr("bootstrap.release.platform.machine", lambda: "x86_64")
    monkeypatch.setattr("bootstrap.release.sys.platform", "linux")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ANYTIER_PULUMI_RELEASES", f"http://127.0.0.1:{server.server_port}/")
        yield folder
        server.shutdown()


def sums(folder: Path, digest: str) -> None:
    (folder / f"pulumi-{ENGINE}-checksums.txt").write_text(f"{'0' * 64}  another.tar.gz\n{digest}  {NAME}\n")


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    (tmp_path / "stage").mkdir()
    return tmp_path / "stage"


def test_a_checked_archive_is_unpacked_and_only_what_is_needed(mirror: Path, stage: Path) -> None:
    assert release.fetch(stage) is True
    assert sorted(file.name for file in stage.iterdir()) == [
        "pulumi",
        "pulumi-language-python",
        "pulumi-language-python-exec",
    ]
    assert all(file.stat().st_mode & 0o111 and not file.is_symlink() for file in stage.iterdir())
    assert not (stage.parent / "escaped").exists()


def test_an_archive_with_another_checksum_is_refused(mirror: Path, stage: Path) -> None:
    sums(mirror, "0" * 64)
    with pytest.raises(SetupError, match="does not have its published checksum"):
        release.fetch(stage)
    assert not (stage / "pulumi").exists()


def test_without_a_published_checksum_nothing_is_downloaded(
    mirror: Path, stage: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mirror / f"pulumi-{ENGINE}-checksums.txt").write_text("")
    assert release.fetch(stage) is False
    assert list(stage.iterdir()) == []
    assert "cannot be downloaded" in capsys.readouterr().out


def test_out_of_reach_is_found_out_soon(stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that takes the connection and never answers, as a firewall may do."""
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as silent:
        monkeypatch.setenv("ANYTIER_PULUMI_RELEASES", f"http://127.0.0.1:{silent.server_port}")
        start = time.monotonic()
        assert release.fetch(stage) is False
        assert time.monotonic() - start < release.PATIENCE + 1


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("linux", "x86_64", NAME),
        ("linux", "aarch64", NAME.replace("x64", "arm64")),
        ("darwin", "arm64", NAME.replace("linux-x64", "darwin-arm64")),
        ("linux", "riscv64", None),
        ("freebsd14", "amd64", None),
    ],
)
def test_the_archive_is_the_one_for_this_machine(system: str, machine: str, name: str | None) -> None:
    assert release.archive_name(system, machine) == name


def test_a_machine_without_a_release_asks_nobody(mirror: Path, stage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.release.platform.machine", lambda: "riscv64")
    assert release.fetch(stage) is False
