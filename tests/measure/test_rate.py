"""Requests per second: counted are whole answers, and one that is lost makes the figure worthless."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from anytier.conformance.check import Failed
from anytier.conformance.load import Target
from anytier.conformance.trial import free_ports
from anytier.measure.rate import Rate, take


@contextmanager
def server(answer: Callable[[Any, int], None]) -> Iterator[tuple[int, list[int]]]:
    asked: list[int] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            with lock:
                asked.append(1)
                number = len(asked)
            answer(self, number)

        def log_message(self, format: str, *args: Any) -> None: ...

    there = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.daemon_threads = True
    thread = threading.Thread(target=there.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield there.server_port, asked
    finally:
        there.shutdown()
        there.server_close()
        thread.join()


def well(handler: Any, number: int, *headers: tuple[str, str]) -> None:
    handler.send_response(200)
    for name, value in (("Content-Length", "2"), *headers):
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(b"{}")
    handler.wfile.flush()


def broken(handler: Any, number: int) -> None:
    if number < 20:
        return well(handler, number)
    handler.send_error(503)
    return None


def closing(handler: Any, number: int) -> None:
    handler.close_connection = True
    well(handler, number, ("Connection", "close"))


@pytest.mark.parametrize("answer", [well, closing])
def test_every_answer_counts_once(answer: Callable[[Any, int], None]) -> None:
    with server(answer) as (port, asked):
        found = take(Target("127.0.0.1", port), 0.3, clients=3)
    # some milliseconds pass before the first and after the last answer, which are in the time
    assert 0.25 * len(asked) / 0.3 < found.per_second <= len(asked) / 0.3
    assert 0 < found.client <= 1.2


def test_one_lost_request_and_there_is_no_figure() -> None:
    with server(broken) as (port, _), pytest.raises(Failed, match="not always answered: BadAnswer: HTTP 503"):
        take(Target("127.0.0.1", port), 5, clients=2)


def test_nobody_there_is_told() -> None:
    with pytest.raises(Failed, match="not always answered"):
        take(Target("127.0.0.1", free_ports(1)[0]), 0.2, clients=2)


def test_the_note_says_when_the_clients_are_the_limit() -> None:
    assert Rate(1000, 0.97).note() == "16 clients, which took 97% of a core: the app may be faster"
    assert Rate(1000, 0.5).note() == "16 clients, which took 50% of a core"
