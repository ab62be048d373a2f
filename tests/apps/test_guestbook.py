"""The guestbook as a visitor and as an operator meet it: real processes, real requests."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from .servers import APPS, Server, serving

GUESTBOOK = APPS / "guestbook"
sys.path.insert(0, str(GUESTBOOK / "web"))

import page  # noqa: E402


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Server]:
    with serving("store/server.py", folder=GUESTBOOK, VOLUME_DATA=str(tmp_path / "data")) as server:
        yield server


@pytest.fixture
def web(store: Server) -> Iterator[Server]:
    url = f"http://127.0.0.1:{store.port}"
    with serving("web/server.py", folder=GUESTBOOK, STORE_URL=url, VERSION="7.1") as server:
        yield server


def sign(web: Server, name: str, message: str, **headers: str) -> tuple[int, str]:
    return web.request("POST", "/", urlencode({"name": name, "message": message}), **headers)


def test_a_signed_entry_is_shown_with_who_served_it(web: Server) -> None:
    assert sign(web, "Ada", "line one\nline two")[0] == 303
    status, html = web.request("GET", "/")
    assert status == 200
    assert "Ada" in html and "line one\nline two" in html
    assert f":{web.port}" in html and "7.1" in html


def test_what_visitors_write_is_escaped(web: Server) -> None:
    sign(web, "<b>x</b>", "<script>alert('x')</script> & \"quotes\"")
    html = web.request("GET", "/")[1]
    assert "<script>" not in html and "<b>" not in html
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; &quot;quotes&quot;" in html


@pytest.mark.parametrize(("name", "message"), [("", "hello"), ("Ada", ""), ("x" * 41, "hello"), ("Ada", "x" * 281)])
def test_a_bad_form_is_explained_and_not_lost(web: Server, name: str, message: str) -> None:
    status, html = sign(web, name, message)
    assert status == 422
    assert 'role="alert"' in html
    assert f'value="{name}"' in html and f">{message}</textarea>" in html


def test_a_form_of_another_site_cannot_sign(web: Server, store: Server) -> None:
    assert sign(web, "Eve", "hello", **{"Sec-Fetch-Site": "cross-site"})[0] == 403
    assert store.json("GET", "/entries")["total"] == 0


def test_without_the_store_the_page_says_so_and_the_front_stays_healthy() -> None:
    with serving("web/server.py", folder=GUESTBOOK, STORE_URL="http://127.0.0.1:9") as web:
        status, html = web.request("GET", "/")
        assert status == 503 and "cannot be reached" in html
        assert web.request("GET", "/healthz")[0] == 200
        status, html = sign(web, "Ada", "kept in the form")
        assert status == 503 and "kept in the form" in html


def test_entries_survive_a_restart_of_the_store(tmp_path: Path) -> None:
    entry = json.dumps({"name": "Grace", "message": "a moth"})
    for _ in range(2):
        with serving("store/server.py", folder=GUESTBOOK, VOLUME_DATA=str(tmp_path)) as store:
            store.json("POST", "/entries", entry)
            store.process.kill()
    with serving("store/server.py", folder=GUESTBOOK, VOLUME_DATA=str(tmp_path)) as store:
        found = store.json("GET", "/entries?limit=1")
    assert found["total"] == 2
    assert [each["id"] for each in found["entries"]] == [2]
    assert os.listdir(tmp_path) == ["entries.json"]


@pytest.mark.parametrize("body", ["", "[]", "{", '{"name": "x"}', json.dumps({"name": "x", "message": "y" * 281})])
def test_the_store_refuses_what_is_no_entry(store: Server, body: str) -> None:
    assert store.request("POST", "/entries", body)[0] == 422
    assert store.json("GET", "/entries")["entries"] == []


def test_a_body_that_is_too_large_is_refused_unread(store: Server, web: Server) -> None:
    assert store.request("POST", "/entries", "x" * 9000)[0] == 413
    assert web.request("POST", "/", "x" * 20000)[0] == 413


def test_the_request_in_flight_is_finished_before_the_end(store: Server, web: Server) -> None:
    """The store is stopped for a moment, so that the front's request hangs while the front is told to end."""
    answers: list[int] = []
    os.kill(store.process.pid, 19)  # SIGSTOP
    asking = threading.Thread(target=lambda: answers.append(web.request("GET", "/")[0]))
    asking.start()
    time.sleep(1)
    web.process.terminate()
    time.sleep(0.4)
    assert web.process.poll() is None
    os.kill(store.process.pid, 18)  # SIGCONT
    asking.join()
    assert answers == [200]
    assert web.process.wait(timeout=5) == 0


def test_an_idle_keep_alive_connection_does_not_hold_the_end_up(store: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", store.port)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    start = time.monotonic()
    assert "store: stopped" in store.end()
    assert time.monotonic() - start < 2
    connection.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "just now"), (60, "1 minute ago"), (7300, "2 hours ago"), (90000, "1 day ago")]
)
def test_times_are_said_as_a_person_says_them(seconds: int, text: str) -> None:
    assert page.ago("2026-01-01T00:00:00+00:00", 1767225600 + seconds) == text
