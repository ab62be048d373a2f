"""The guestbook's web front: pages made on the server, entries from the store. Standard library only, no state.

    GET  /          the page            POST /  sign the book (a form), then back to the page
    GET  /healthz   200 while it serves, 503 while it stops

PORT is the port to listen on, STORE_URL the store's address, VERSION what the page says it is.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, urlsplit

import page

MAX_NAME, MAX_MESSAGE, MAX_BODY = 40, 280, 16384
STYLE = Path(__file__).with_name("style.css").read_bytes()
SECURITY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PLAIN: Mapping[str, str] = {}
EMPTY = page.Draft()
# Small stacks: where a memory limit is held by RLIMIT_DATA, the usual 8 MiB a thread are used up by 14 clients.
STACK = 256 * 1024


class StoreError(Exception):
    """The store did not do what was asked; the text is for the visitor."""


class Store:
    """The store's two calls."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # it is next door, never by a proxy

    def newest(self, limit: int = 50) -> dict[str, Any]:
        return self._call(f"/entries?limit={limit}", None)

    def add(self, name: str, message: str) -> None:
        self._call("/entries", {"name": name, "message": message})

    def _call(self, path: str, entry: dict[str, str] | None) -> dict[str, Any]:
        data = None if entry is None else json.dumps(entry).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"Content-Type": "application/json"})
        try:
            with self._opener.open(request, timeout=5) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except HTTPError as error:
            raise StoreError(f"The store answered {error.code}.") from error
        except (URLError, OSError, ValueError) as error:
            print(f"web: store {self.url}: {error}", file=sys.stderr, flush=True)
            raise StoreError(
                "The store cannot be reached right now. Nothing is lost; try again in a moment."
            ) from error


def problem_with(name: str, message: str) -> str:
    """What is wrong with a form, or nothing."""
    if not name or not message:
        return "Please give a name and a message."
    if len(name) > MAX_NAME:
        return f"A name has at most {MAX_NAME} characters."
    if len(message) > MAX_MESSAGE:
        return f"A message has at most {MAX_MESSAGE} characters; this one has {len(message)}."
    return ""


class Server(ThreadingHTTPServer):
    """Stops accepting on SIGTERM, finishes the requests in flight, and then ends."""

    daemon_threads = True  # idle keep-alive connections must not hold the end up; `drain` waits for real requests
    request_queue_size = 128

    def __init__(self, port: int, store: Store, served_by: Mapping[str, str]) -> None:
        super().__init__(("", port), Handler)
        self.store, self.served_by = store, served_by
        self.stopping = False
        self._in_flight = 0
        self._changed = threading.Condition()

    @contextmanager
    def request(self) -> Iterator[None]:
        with self._changed:
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a visitor who hangs up is no error of ours
            super().handle_error(request, client_address)

    def stop(self, *_: object) -> None:
        self.stopping = True
        threading.Thread(target=self.shutdown).start()  # shutdown() waits for serve_forever(), which this thread runs

    def drain(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0, seconds)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75
    wbufsize = -1  # headers and body leave in one packet
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        with self.server.request():
            match urlsplit(self.path).path:
                case "/":
                    self.show()
                case "/healthz":
                    self.answer(503 if self.server.stopping else 200, b"ok\n", "text/plain")
                case "/style.css":
                    self.answer(200, STYLE, "text/css; charset=utf-8", {"Cache-Control": "max-age=300"})
                case _:
                    self.answer(404, b"not here\n", "text/plain")

    def do_POST(self) -> None:
        with self.server.request():
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > MAX_BODY:
                self.close_connection = True  # the body stays unread
                return self.answer(413, b"too much\n", "text/plain")
            form = parse_qs(self.rfile.read(int(length)).decode(errors="replace"))
            if self.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
                return self.answer(403, b"forms of other sites cannot sign here\n", "text/plain")
            name, message = (form.get(key, [""])[0].replace("\r\n", "\n").strip() for key in ("name", "message"))
            if problem := problem_with(name, message):
                return self.show(422, page.Draft(name, message, problem))
            try:
                self.server.store.add(name, message)
            except StoreError as error:
                return self.show(503, page.Draft(name, message, str(error)))
            self.answer(303, b"", "text/plain", {"Location": "./"})  # so that a reload does not sign again

    def show(self, status: int = 200, draft: page.Draft = EMPTY) -> None:
        start = time.monotonic()
        try:
            book = self.server.store.newest()
        except StoreError as error:
            book, status = None, 503
            draft = draft if draft.problem else page.Draft(draft.name, draft.message, str(error))
        served_by = {**self.server.served_by, "store": f"{(time.monotonic() - start) * 1000:.0f} ms"}
        html = page.render(book, draft, served_by, now=time.time())
        self.answer(status, html.encode(), "text/html; charset=utf-8", {"Cache-Control": "no-store"})

    def answer(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] = PLAIN) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **SECURITY, **headers}.items():
            self.send_header(name, value)
        if self.server.stopping or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()  # an answer that still lies in the buffer is not given

    def log_message(self, format: str, *args: Any) -> None:
        if not self.path.startswith("/healthz"):
            print(f"{time.strftime('%H:%M:%S')} {self.address_string()} {format % args}", flush=True)


def main() -> int:
    port = int(os.environ.get("PORT", "8080"))
    served_by = {"replica": f"{socket.gethostname()}:{port}", "version": os.environ.get("VERSION", "unversioned")}
    threading.stack_size(STACK)
    store = Store(os.environ.get("STORE_URL", "http://127.0.0.1:8081"))
    server = Server(port, store, served_by)
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    print(f"web: listening on port {server.server_port}, store at {store.url}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain(seconds=8)
    print("web: stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
