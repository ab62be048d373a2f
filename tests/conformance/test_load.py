"""The load generator must see every loss, and must never talk to another machine or run without end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from anytier.conformance import load
from anytier.conformance.load import BadAnswer, Load, Shape, Target, parse_head, until

SHAPE = Shape(kept=2, fresh=1, slow=1, pause=0.01, slow_ms=50)


@contextmanager
def server(answer: Callable[[Any], None]) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, format: str, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
        yield httpd.server_port
        httpd.shutdown()


def well(handler: Any, status: int = 200, version: str = "v1", close: bool = False) -> None:
    body = json.dumps({"version": version, "instance": "one"}).encode()
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(body)))
    if close:
        handler.send_header("Connection", "close")
    handler.end_headers()
    handler.wfile.write(body)


def test_a_good_server_loses_nothing_and_all_kinds_of_client_are_counted() -> None:
    with server(well) as port, Load(port, SHAPE) as running:
        time.sleep(0.5)
    outcome = running.outcome
    assert outcome.lost == []
    assert set(outcome.sent) == {"keep-alive", "new connection", "slow"}
    assert outcome.versions == {"v1": outcome.total} == outcome.versions
    assert outcome.slowest > 0


def test_a_server_that_says_close_loses_nothing() -> None:
    with server(lambda handler: well(handler, close=True)) as port, Load(port, SHAPE) as running:
        time.sleep(0.3)
    assert running.outcome.lost == []


@pytest.mark.parametrize("status", [404, 500, 502, 503])
def test_every_other_status_is_a_loss(status: int) -> None:
    with server(lambda handler: well(handler, status=status)) as port, Load(port, SHAPE) as running:
        time.sleep(0.2)
    assert len(running.outcome.lost) == running.outcome.total > 0
    assert f"HTTP {status}" in running.outcome.losses()


def test_a_connection_that_is_dropped_without_an_answer_is_a_loss() -> None:
    count = iter(range(10_000))

    def sometimes(handler: Any) -> None:
        if next(count) % 3 == 2:
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            well(handler)

    with server(sometimes) as port, Load(port, SHAPE) as running:
        time.sleep(0.4)
    assert running.outcome.lost
    assert len(running.outcome.lost) < running.outcome.total


def test_a_connection_that_was_closed_while_idle_is_no_loss() -> None:
    """Closed with the answer, but not announced: nothing was under way, and whoever looks before sending sees it."""

    def hangs_up(handler: Any) -> None:
        well(handler)
        handler.close_connection = True

    shape = Shape(kept=2, fresh=0, slow=0, pause=0.05)
    with server(hangs_up) as port, Load(port, shape) as running:
        time.sleep(0.5)
    assert running.outcome.lost == [] and running.outcome.total > 4


def test_a_port_where_nobody_listens_is_a_loss_and_not_hammered() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    with Load(port, SHAPE) as running:
        time.sleep(0.35)
    assert 0 < len(running.outcome.lost) == running.outcome.total < 40


@pytest.mark.parametrize("host", ["192.168.1.1", "10.0.0.1", "8.8.8.8", "0.0.0.0", "localhost", "lb.example"])
def test_only_this_machine_is_loaded(host: str) -> None:
    with pytest.raises(ValueError, match="this machine only"):
        Target(host, 80)


def test_a_guest_on_a_network_inside_this_machine_may_be_loaded_and_nobody_else() -> None:
    assert Target("10.213.0.10", 80, "10.213.0.0/24").host == "10.213.0.10"
    for host, network in (("10.214.0.10", "10.213.0.0/24"), ("8.8.8.8", "8.8.8.0/24"), ("8.8.8.8", "0.0.0.0/0")):
        with pytest.raises(ValueError, match="this machine only"):
            Target(host, 80, network)


def test_it_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "MOST", 20)
    with server(well) as port, Load(port, SHAPE) as running:
        assert until(lambda: not running._thread.is_alive(), 3)
    assert running.outcome.total < 40


def test_the_head_of_an_answer_is_parsed() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nCONNECTION: close\r\nX:a:b\r\n\r\n"
    assert parse_head(head) == (200, {"content-length": "5", "connection": "close", "x": "a:b"})
    for bad in (b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1\r\n\r\n"):
        with pytest.raises((BadAnswer, ValueError)):
            parse_head(bad)


def test_until_gives_up() -> None:
    assert until(lambda: True, 0)
    assert not until(lambda: False, 0.05, every=0.01)
