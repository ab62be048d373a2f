"""The socket in front of a Docker daemon: a made-up daemon says what it was asked."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standins.daemon import Pushed, RenamingSocket, pushed, renamed

HERE = "127.0.0.1:5000"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
LOGIN = base64.urlsafe_b64encode(json.dumps({"username": "AWS", "password": "tok:en"}).encode()).decode()


def head(first: str, *lines: str) -> bytes:
    return "\r\n".join([first, *lines, "", ""]).encode()


def test_a_clouds_name_is_changed_wherever_the_request_names_it() -> None:
    for first, wanted in (
        (f"POST /v1.41/images/{ECR}/app/push?tag=1 HTTP/1.1", f"POST /v1.41/images/{HERE}/app/push?tag=1 HTTP/1.1"),
        (
            "POST /images/0a/tag?repo=europe-west3-docker.pkg.dev%2Fp%2Fa&tag=1 HTTP/1.1",
            f"POST /images/0a/tag?repo={HERE}%2Fp%2Fa&tag=1 HTTP/1.1",
        ),
        ("DELETE /images/anytier12.azurecr.io/a:1 HTTP/1.1", f"DELETE /images/{HERE}/a:1 HTTP/1.1"),
        ("GET /images/pkg.dev.example.org/a/json HTTP/1.1", "GET /images/pkg.dev.example.org/a/json HTTP/1.1"),
    ):
        assert renamed(head(first, "Host: x"), HERE).split(b"\r\n")[0].decode() == wanted


def test_a_connection_ends_with_its_answer_unless_it_becomes_another() -> None:
    closed = renamed(head("GET / HTTP/1.1", "Host: x", "connection: keep-alive"), HERE)
    assert closed == head("GET / HTTP/1.1", "Host: x", "Connection: close")
    upgraded = head("POST /session HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c")
    assert renamed(upgraded, HERE) == upgraded


def test_who_pushes_what_is_known() -> None:
    found = pushed(head(f"POST /v1.41/images/{ECR}/app/push?tag=1 HTTP/1.1", f"X-Registry-Auth: {LOGIN}"))
    assert found == Pushed(f"{ECR}/app", "AWS", "tok:en")
    assert pushed(head("POST /images/r/a/push HTTP/1.1")) == Pushed("r/a", "", "")
    assert pushed(head("POST /build?t=push HTTP/1.1")) is None


@given(st.from_regex(r"[!-~]{0,60}", fullmatch=True), st.binary(max_size=40))
def test_what_is_no_clouds_name_stays_as_it_is(target: str, body: bytes) -> None:
    if not any(name in target for name in ("amazonaws.com", "pkg.dev", "azurecr.io")):
        whole = head(f"GET /{target} HTTP/1.1", "Connection: close")
        assert renamed(whole, HERE) == whole


@contextmanager
def made_up(path: Path) -> Iterator[list[bytes]]:
    """A daemon that answers each request with its body, once it has all of it, and hangs up."""
    seen: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            lines = list(iter(self.rfile.readline, b"\r\n"))
            length = next((int(line.split()[1]) for line in lines if line.lower().startswith(b"content-length")), 0)
            body = self.rfile.read(length)
            seen.append(lines[0])
            self.wfile.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)

    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield seen
        server.shutdown()


class Client(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=10)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_bodies_come_through_whole(tmp_path: Path, size: int) -> None:
    body = b"x" * size
    with made_up(tmp_path / "real") as seen:
        with RenamingSocket(tmp_path / "front", HERE, str(tmp_path / "real")) as front:
            assert front.host == f"unix://{tmp_path}/front"
            for _ in range(2):
                asked = Client(tmp_path / "front")
                asked.request("POST", f"/v1.41/images/{ECR}/app/push", body, {"X-Registry-Auth": LOGIN})
                assert asked.getresponse().read() == body
                asked.close()
    assert seen == [f"POST /v1.41/images/{HERE}/app/push HTTP/1.1\r\n".encode()] * 2
    assert front.pushed == [Pushed(f"{ECR}/app", "AWS", "tok:en")] * 2
