"""The stand-in for the apps' base image: made only where nothing can be pulled, and labelled."""

from __future__ import annotations

import importlib.util
import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "base_image.py"


class Daemon(BaseHTTPRequestHandler):
    """Refuses what dockerd refuses: an import without a body, a pull without a tag."""

    images: set[str] = set()  # noqa: RUF012
    registry: bool = False
    imported: dict[str, Any] = {}  # noqa: RUF012
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/images/").removesuffix("/json")
        self.answer(200 if name in self.images else 404, b"{}")

    def do_POST(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "fromImage" in query:
            assert query["tag"][0].endswith("-slim")
            line = {"status": "done"} if self.registry else {"error": "dial tcp: no such host"}
            return self.answer(200, json.dumps({"status": "pulling"}).encode() + b"\r\n" + json.dumps(line).encode())
        assert query["fromSrc"] == ["-"] and body
        type(self).imported = {"repo": query["repo"], "tag": query["tag"], "changes": query["changes"], "body": body}
        self.answer(200, b'{"status":"sha256:0"}')

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None: ...

    def address_string(self) -> str:
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    spec = importlib.util.spec_from_file_location("base_image", TOOL)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    Daemon.images, Daemon.registry, Daemon.imported = set(), False, {}
    with Server(str(tmp_path / "docker.sock"), Daemon) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'docker.sock'}")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.delenv("ANYTIER_CACHE_DIR", raising=False)
        module.cache_dir().mkdir(parents=True)
        for name in ("python-3-11-slim-1", "debian-bookworm-slim-1"):
            (module.cache_dir() / f"base-{name}.tar").write_bytes(b"a tarball")
        yield module
        server.shutdown()


def test_an_image_that_is_there_is_left_alone(tool: Any) -> None:
    Daemon.images = {tool.IMAGE}
    assert "already" in tool.ensure()
    assert Daemon.imported == {}


def test_a_registry_that_answers_is_used(tool: Any) -> None:
    Daemon.registry = True
    assert tool.ensure().endswith("pulled")
    assert Daemon.imported == {}


def test_without_a_registry_a_labelled_stand_in_is_imported_from_the_cache(tool: Any) -> None:
    said = tool.ensure()
    assert "no such host" in said and "stand-in" in said
    assert Daemon.imported["repo"] == ["python"] and Daemon.imported["tag"] == ["3.11-slim"]
    assert Daemon.imported["body"] == b"a tarball"
    assert "LABEL dev.anytier.stand-in=true" in Daemon.imported["changes"]


@pytest.mark.parametrize(
    ("config", "needed"),
    [
        ("  anytier:app: apps/guestbook/app.yaml\n  anytier:tier: docker # here\n", True),
        ('  "anytier:app": "./apps/guestbook/app.yaml"\n  anytier:tier: docker\n', True),
        ("  anytier:app: apps/guestbook/app.yaml\n  anytier:tier: local\n", False),
        ("  anytier:app: my/app.yaml\n  anytier:tier: docker\n", False),
        ("  anytier:app: apps/a.yaml\n  anytier:tier: docker\n  anytier:docker: {host: ssh://other}\n", False),
    ],
)
def test_only_an_example_app_on_this_daemon_gets_one_by_itself(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, needed: bool
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.mine.yaml").write_text(f"config:\n{config}")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["base_image.py", "--stack", "mine"])
    assert tool.main() == 0
    assert bool(Daemon.imported) is needed


def test_the_images_that_the_stacks_app_is_built_from_are_the_ones(
    tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.mine.yaml").write_text(
        "config:\n  anytier:app: apps/shop/app.yaml\n  anytier:tier: docker\n"
    )
    for name in ("web", "api"):
        (tmp_path / "apps" / "shop" / name).mkdir(parents=True)
        (tmp_path / "apps" / "shop" / name / "Dockerfile").write_text("ARG BASE_IMAGE=debian:bookworm-slim\nFROM x\n")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    assert tool.needed_by("mine") == ["debian:bookworm-slim"]
    monkeypatch.setattr("sys.argv", ["base_image.py", "--stack", "mine"])
    assert tool.main() == 0
    assert (Daemon.imported["repo"], Daemon.imported["tag"]) == (["debian"], ["bookworm-slim"])


def test_no_daemon_is_one_clear_line(
    tool: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setattr("sys.argv", ["base_image.py"])
    assert tool.main() == 1
    assert "no Docker daemon at /nowhere.sock" in capsys.readouterr().err


def test_without_mmdebstrap_it_says_what_to_install(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="apt-get install mmdebstrap"):
        tool.make_tarball(tmp_path / "x.tar", tool.RECIPES[tool.IMAGE])
