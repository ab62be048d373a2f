"""Messages are those of real daemons (20.10 to 28), word for word."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest

from anytier.errors import AnytierError, Conflict, Denied, NoSpace, NotFound, Rejected, Unreachable
from anytier.provider.docker.errors import of_answer, of_failure, of_message, of_registry

HUB = "https://registry-1.docker.io/v2/"


@pytest.mark.parametrize(
    ("status", "message", "kind", "what"),
    [
        (400, "invalid reference format: repository name must be lowercase", Rejected, "lowercase"),
        (401, "unauthorized", Denied, "unauthorized"),
        (403, "authorization denied by plugin x", Denied, "plugin x"),
        (404, "No such container: x", NotFound, "No such container: x"),
        (409, 'Conflict. The container name "/x" is already in use by container "1".', Conflict, "already in use"),
        (500, "write /var/lib/docker/tmp/1: no space left on device", NoSpace, "disk is full"),
        (500, "open /x: disk quota exceeded", NoSpace, "disk is full"),
        (
            500,
            (
                "driver failed programming external connectivity on endpoint x (1): Bind for 0.0.0.0:8080 failed: port "
                "is already allocated"
            ),
            Conflict,
            "port 8080 is taken",
        ),
        (
            500,
            (
                "driver failed programming external connectivity on endpoint x (1): Error starting userland proxy: "
                "listen tcp4 127.0.0.1:80: bind: address already in use"
            ),
            Conflict,
            "port 80 is taken",
        ),
        (
            500,
            "Ports are not available: exposing port TCP 0.0.0.0:5000 -> 0.0.0.0:0: listen tcp 0.0.0.0:5000: bind",
            Conflict,
            "port 5000 is taken",
        ),
        (500, 'exec: "docker-init": executable file not found in $PATH', NotFound, "no docker-init"),
        (
            500,
            'could not select device driver "" with capabilities: [[gpu]]',
            Rejected,
            "the Docker host has no such GPUs",
        ),
        (500, "context deadline exceeded", Unreachable, "deadline"),
        (500, "something else", Rejected, "something else"),
    ],
)
def test_an_answer(status: int, message: str, kind: type[AnytierError], what: str) -> None:
    error = of_answer("container x", status, f"Error response from daemon: {message}\n")
    assert type(error) is kind
    assert error.path == "container x"
    assert what in error.what
    assert error.do
    assert "Error response" not in str(error)


@pytest.mark.parametrize(
    ("status", "message", "kind", "what"),
    [
        (404, "manifest for python:9 not found: manifest unknown: manifest unknown", NotFound, "no such image"),
        (
            404,
            ("pull access denied for nobody, repository does not exist or may require 'docker login': denied: "
            "requested access to the resource is denied"),
            NotFound,
            "no such image",
        ),
        (500, "manifest unknown", NotFound, "no such image"),
        (500, f'Get "{HUB}": dial tcp: lookup registry-1.docker.io: no such host', Unreachable, "no such host"),
        (500, 'Get "http://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused', Unreachable,
         "its registry 127.0.0.1:5000 cannot be reached (dial tcp"),
        (500, (f'Get "{HUB}": net/http: request canceled while waiting for connection (Client.Timeout exceeded while '
         "awaiting headers)"), Unreachable, "Client.Timeout"),
        (500, f'Get "{HUB}": context deadline exceeded', Unreachable, "registry-1.docker.io cannot be reached"),
        (500, 'Get "https://10.0.0.1:5000/v2/": x509: certificate signed by unknown authority', Unreachable, "x509"),
        (500, 'Get "https://10.0.0.1:5000/v2/": http: server gave HTTP response to HTTPS client', Unreachable, "HTTP"),
        (500, "toomanyrequests: You have reached your pull rate limit.", Unreachable, "no more pulls"),
        (500, 'Head "http://127.0.0.1:5000/v2/x/manifests/1": no basic auth credentials', Denied, "refuses"),
        (500, 'Get "https://ghcr.io/v2/": denied: denied', Denied, "refuses"),
        (401, "unauthorized: authentication required", Denied, "refuses"),
        (500, "write /var/lib/docker/tmp/GetImageBlob1: no space left on device", NoSpace, "disk is full"),
        (400, "invalid reference format", Rejected, "invalid reference"),
    ],
)  # fmt: skip
def test_a_registry(status: int, message: str, kind: type[AnytierError], what: str) -> None:
    error = of_registry("image x:1", status, message)
    assert type(error) is kind
    assert what in error.what
    assert error.do


def test_a_progress_message_may_tell_of_an_error() -> None:
    assert of_message("x", {"status": "Downloading"}) is None
    assert of_message("x", {"stream": "error"}) is None
    text = "no space left on device"
    for message in ({"error": text}, {"errorDetail": {"message": text}}, {"errorDetail": {"code": 1}, "error": text}):
        assert isinstance(of_message("x", message), NoSpace)
    silent = of_message("x", {"errorDetail": {}})
    assert silent is not None
    assert silent.what


class Wrapped(Exception):
    """As a library wraps a system's error."""

    def __init__(self, os_error: OSError) -> None:
        super().__init__("wrapped")
        self.os_error = os_error


LOCAL, SSH, TCP = "unix:///var/run/docker.sock", "ssh://box", "tcp://box:2376"


@pytest.mark.parametrize(
    ("host", "error", "kind", "what", "do"),
    [
        (LOCAL, FileNotFoundError(errno.ENOENT, "x"), Unreachable, "nothing listens there", "systemctl start docker"),
        (LOCAL, ConnectionRefusedError(errno.ECONNREFUSED, "x"), Unreachable, "not running", "systemctl"),
        (LOCAL, PermissionError(errno.EACCES, "x"), Denied, "this user may not", "usermod -aG docker"),
        (LOCAL, PermissionError(errno.EPERM, "x"), Denied, "this user may not", "rootless"),
        (LOCAL, ConnectionResetError(errno.ECONNRESET, "gone"), Unreachable, "no answer", "systemctl"),
        (TCP, TimeoutError(), Unreachable, "no answer in time", "caCert"),
        (TCP, OSError(errno.EHOSTUNREACH, "No route to host"), Unreachable, "No route to host", "caCert"),
        (TCP, socket.gaierror(-2, "Name or service not known"), Unreachable, "name is not known", "caCert"),
        (SSH, socket.gaierror(-2, "Name or service not known"), Unreachable, "not known", "docker -H ssh://box"),
        (TCP, ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong"), Unreachable, "TLS failed", "speak TLS"),
        (LOCAL, RuntimeError(), Unreachable, "no answer (RuntimeError)", "systemctl"),
    ],
)
def test_a_daemon_that_did_not_answer(
    host: str, error: Exception, kind: type[AnytierError], what: str, do: str
) -> None:
    chained = RuntimeError("outermost")
    chained.__cause__ = error
    wrappings = [error, chained, *([Wrapped(error)] if isinstance(error, OSError) else [])]
    if isinstance(error, RuntimeError):
        wrappings = [error]
    for wrapping in wrappings:
        found = of_failure(host, wrapping)
        assert type(found) is kind
        assert found.path == f"docker {host}"
        assert what in found.what
        assert do in found.do
        assert "\n" not in str(found)


def test_a_circle_of_causes_ends() -> None:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert isinstance(of_failure(LOCAL, one), Unreachable)
