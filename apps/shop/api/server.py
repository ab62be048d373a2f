"""The shop's API: JSON over HTTP, the standard library's server, PyMySQL from the distribution's packages.

    GET  /api/products         {"products": [{id, name, what, price in cents, stock}]}
    GET  /api/orders           {"orders": [the last 10, newest first]}
    POST /api/orders           {"product", "quantity"} -> 201 {"order", "left"}; 409 where the stock does not hold it
    GET  /api/about            version, instance and database
    GET  /healthz              200 while it serves, 503 while it stops
    GET  /readyz               the same, and 503 while the database does not answer as this version needs it

PORT is the port to listen on; DB_HOST, DB_PORT and DB_PASSWORD lead to the database.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import store

MAX_BODY, MAX_QUANTITY, SHOWN = 4096, 100, 10
VERSION = os.environ.get("VERSION", "dev")
INSTANCE = os.environ.get("ANYTIER_INSTANCE") or socket.gethostname()
CLOSED = "The shop is closed for a moment."
# Small stacks: where a memory limit is held by RLIMIT_DATA, the usual 8 MiB a thread are used up by 14 clients.
STACK = 256 * 1024


def checked(body: bytes) -> tuple[int, int]:
    """Product and quantity of an order; ValueError says what is wrong with it."""
    wish = json.loads(body)
    fields = wish if isinstance(wish, dict) else {}
    product, quantity = fields.get("product"), fields.get("quantity", 1)
    if type(product) is not int:
        raise ValueError("product: its number")
    if type(quantity) is not int or not 1 <= quantity <= MAX_QUANTITY:
        raise ValueError(f"quantity: 1 to {MAX_QUANTITY}")
    return product, quantity


class Server(ThreadingHTTPServer):
    """On SIGTERM it accepts no more, answers what it has, and ends."""

    daemon_threads = False  # server_close() waits for the requests in flight
    request_queue_size = 128
    stopping = False

    def stop(self, *_: object) -> None:
        self.stopping = True
        threading.Thread(target=self.shutdown).start()  # shutdown() waits for serve_forever(), which this thread runs

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):  # a visitor who hangs up is no error of ours
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 10

    def do_GET(self) -> None:
        if self.path == "/healthz":
            return self.alive()
        if self.path == "/readyz" and self.server.stopping:
            return self.alive()
        found = {"/api/products": products, "/api/orders": orders, "/api/about": about, "/readyz": ready}.get(self.path)
        if found is None:
            return self.answer(404, {"error": "there is no such page"})
        try:
            self.answer(200, found())
        except store.Trouble as error:
            self.failed(error)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY:
            return self.answer(413, {"error": f"a body of at most {MAX_BODY} bytes, with its Content-Length"})
        body = self.rfile.read(int(length))
        if self.path != "/api/orders":
            return self.answer(404, {"error": "there is no such page"})
        try:
            self.answer(201, store.order(*checked(body)))
        except ValueError as error:
            self.answer(422, {"error": str(error)})
        except store.Refused as error:
            self.answer(409, {"error": str(error)})
        except store.Trouble as error:
            self.failed(error)

    def alive(self) -> None:
        self.answer(503 if self.server.stopping else 200, {"stopping": self.server.stopping})

    def failed(self, error: Exception) -> None:
        print(f"api: the database: {error.args[-1]}", file=sys.stderr, flush=True)
        self.answer(503, {"error": CLOSED})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        if not self.path.endswith("z"):
            print(f"{time.strftime('%H:%M:%S')} {format % args}", flush=True)


def products() -> dict[str, Any]:
    return {"products": store.products()}


def orders() -> dict[str, Any]:
    return {"orders": store.orders(SHOWN)}


def about() -> dict[str, Any]:
    return {"version": VERSION, "instance": INSTANCE, "database": store.about()}


def ready() -> dict[str, Any]:
    """What a rollout waits for: the tables are there, and the password is the right one."""
    return {"products": len(store.products())}


def main() -> int:
    threading.stack_size(STACK)
    server = Server(("", int(os.environ.get("PORT", "8081"))), Handler)
    signal.signal(signal.SIGTERM, server.stop)
    signal.signal(signal.SIGINT, server.stop)
    print(f"api: version {VERSION}, listening on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    print("api: stopped", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
