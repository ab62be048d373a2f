"""Base images: by URL or file, never without their digest, never one that leads to another file."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from anytier.errors import NotFound, Rejected, Unreachable
from anytier.provider.libvirt import image
from anytier.provider.libvirt.image import Source, inspect, ready

BODY = b"an image" * 4096
DIGEST = hashlib.sha256(BODY).hexdigest()


def qcow2(size: int, backing: int = 0, features: int = 0) -> bytes:
    return (
        b"QFI\xfb"
        + struct.pack(">IQIIQ", 3, backing, 0, 16, size)
        + bytes(40)
        + struct.pack(">Q", features)
        + bytes(64)
    )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "base.img").write_bytes(BODY)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www"))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/base.img"
        server.shutdown()
        thread.join()


async def test_fetched_once_and_kept_by_its_digest(url: str, tmp_path: Path) -> None:
    found = await ready(Source(url=url, sha256=DIGEST), "a", print)
    assert found.path.read_bytes() == BODY and (found.format, found.size) == ("raw", len(BODY))
    (tmp_path / "www" / "base.img").unlink()
    assert await ready(Source(url=url, sha256=DIGEST.upper()), "a", print) == found
    assert [file.name for file in image.cache_folder().iterdir()] == [DIGEST]


async def test_another_digest_is_refused_and_nothing_is_kept(url: str) -> None:
    with pytest.raises(Rejected, match=DIGEST):
        await ready(Source(url=url, sha256="0" * 64), "a", print)
    assert list(image.cache_folder().iterdir()) == []


async def test_a_url_without_an_image(url: str, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="404"):
        await ready(Source(url=f"{url}.none", sha256=DIGEST), "a", print)
    with pytest.raises(Unreachable):
        await ready(Source(url="http://127.0.0.1:1/a", sha256=DIGEST), "a", print)


async def test_a_files_digest_is_checked_too(tmp_path: Path) -> None:
    file = tmp_path / "base.img"
    with pytest.raises(NotFound):
        await ready(Source(file=str(file), sha256=DIGEST), "a", print)
    file.write_bytes(BODY)
    assert (await ready(Source(file=str(file), sha256=DIGEST), "a", print)).path == file
    file.write_bytes(BODY + b"!")
    with pytest.raises(Rejected, match="sha256"):
        await ready(Source(file=str(file), sha256=DIGEST), "a", print)


def test_qcow2_is_known_by_its_head(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(qcow2(2**30))
    found = inspect(file, "volume a")
    assert (found.format, found.size, found.length) == ("qcow2", 2**30, len(qcow2(0)))


@pytest.mark.parametrize("body", [qcow2(2**30, backing=104), qcow2(2**30, features=4), b"QFI\xfb" + bytes(20)])
def test_an_image_that_leads_elsewhere_or_is_cut_off_is_refused(tmp_path: Path, body: bytes) -> None:
    file = tmp_path / "a"
    file.write_bytes(body)
    with pytest.raises(Rejected):
        inspect(file, "volume a")
