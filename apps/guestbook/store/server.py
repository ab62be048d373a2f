"""The guestbook's store: entries as JSON over HTTP, kept in one file on a volume. Standard library only.

    GET  /entries[?limit=50]   {"entries": [newest first], "total": n}
    POST /entries              {"name", "message"} -> 201 and the entry
    GET  /healthz              200 while it serves, 503 while it stops

PORT is the port to listen on; VOLUME_DATA (on a host) or /data (in a container) is the folder to keep the file in.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

MAX_NAME, MAX_MESSAGE, MAX_BODY, MAX_ENTRIES = 40, 280, 8192, 10_000
# Small stacks: where a memory limit is held by RLIMIT_DATA, the usual 8 MiB a thread are used up by 14 clients.
STACK = 256 * 1024


class Book:
    """The entries, oldest first. What `add` has returned is on disk and survives a power cut."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "entries.json"
        self._lock = threading.Lock()
        self._entries: list[dict[str, Any]] = json.loads(self.file.read_text()) if self.file.exists() else []

    def add(self, name: str, message: str) -> dict[str, Any]:
        with self._lock:
            last = self._entries[-1]["id"] if self._entries else 0
            at = datetime.now(UTC).isoformat(timespec="seconds")
            entry = {"id": last + 1, "name": name, "message": message, "at": at}
            entries = [*self._entries, entry][-MAX_ENTRIES:]
            write_atomically(self.file, json.dumps(entries, ensure_ascii=False))
            self._entries = entries  # only now: an entry that could not be kept is not shown either
            return entry

    def newest(self, limit: int) -> dict[str, Any]:
        entries = self._entries
        return {"entries": entries[::-1][:limit], "total": len(entries)}


def write_atomically(file: Path, text: str) -> None:
    """The file holds the old text or the new one, never a part: write aside, sync, rename, sync the folder."""
    handle, aside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(aside, file)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def checked(body: bytes) -> tuple[str, str]:
    """Name and message of a new entry; ValueError says what is wrong with it."""
    entry = json.loads(body)
    fields = entry if isinstance(entry, dict) else {}
    name, message = (str(fields.get(key, "")).strip() for key in ("name", "message"))
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"name: 1 to {MAX_NAME} characters")
    if not 1 <= len(message) <= MAX_MESSAGE:
        raise ValueError(f"message: 1 to {MAX_MESSAGE} characters")
    return name, message


class Server(ThreadingHTTPServer):
    """Stops accepting on SIGTERM, finishes the requests in flight, and then ends."""

    daemon_threads = True  # idle keep-alive connections must not hold the end up; `drain` waits for real requests
    request_queue_size = 128

    def __init__(self, port: int, book: Book) -> None:
        super().__init__(("", port), Handler)
        self.book = book
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
            url = urlsplit(self.path)
            if url.path == "/healthz":
                return self.answer(503 if self.server.stopping else 200, {"stopping": self.server.stopping})
            if url.path != "/entries":
                return self.answer(404, {"error": "there is /entries and /healthz"})
            limit = parse_qs(url.query).get("limit", ["50"])[0]
            if not limit.isdigit():
                return self.answer(400, {"error": "limit: a number"})
            self.answer(200, self.server.book.newest(min(int(limit), 500)))

    def do_POST(self) -> None:
        with self.server.request():
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > MAX_BODY:
                self.close_connection = True  # the body stays unread
                return self.answer(413, {"error": f"a body of at most {MAX_BODY} bytes, with its Content-Length"})
            body = self.rfile.read(int(length))
            if urlsplit(self.path).path != "/entries":
                return self.answer(404, {"error": "there is /entries"})
            try:
                name, message = checked(body)
            except ValueError as error:
                return self.answer(422, {"error": str(error)})
            try:
                self.answer(201, self.server.book.add(name, message))
            except OSError as error:
                self.answer(507, {"error": f"the entry could not be kept: {error.strerror}"})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        if self.server.stopping or self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()  # an answer that still lies in the buffer is not given

    def log_message(self, format: str, *args: Any) -> None:
        if not self.path.startswith("/healthz"):
            print(f"{time.strftime('%H:%M:%S')} {self.address_string()} {format % args}", flush=True)


def main() -> int:
    folder = Path(os.environ.get("VOLUME_DATA", "/data"))
    threading.stack_size(STACK)
    server = Server(int(os.environ.get("PORT", "8081")), Book(folder))
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    print(f"store: listening on port {server.server_port}, entries in {folder}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain(seconds=8)
    print("store: stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
