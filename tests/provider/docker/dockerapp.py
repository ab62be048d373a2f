"""The program that the Docker tests deploy: it tells what it was given and misbehaves on command."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse
from pathlib import Path

MODE = os.environ.get("MODE", "good")
VERSION = os.environ.get("VERSION", "1")
healthy = MODE != "unhealthy"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        global healthy
        code, body = 200, f"{VERSION} {socket.gethostname()} {STARTED}"
        path, _, query = urllib.parse.unquote(self.path).partition("?")
        if path == "/healthz":
            code = 200 if healthy else 503
        elif path == "/sick":
            healthy = False
        elif path == "/slow":
            time.sleep(float(query or 1))
        elif path == "/env":
            body = json.dumps(dict(os.environ))
        elif path == "/read":
            body = Path(query).read_text()
        elif path == "/stat":
            found = os.stat(query)
            body = json.dumps({"mode": oct(found.st_mode & 0o7777), "uid": found.st_uid, "gid": found.st_gid})
        elif path == "/write":
            Path(query).write_text("kept")
        elif path == "/eat":
            body = eat(int(query))
        elif path == "/me":
            body = json.dumps({"uid": os.getuid(), "cwd": os.getcwd(), "argv": sys.argv[1:]})
        self.answer(code, body)

    def answer(self, code: int, body: str) -> None:
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def eat(megabytes: int) -> str:
    held = bytearray(megabytes * 2**20)
    for page in range(0, len(held), 4096):
        held[page] = 1
    return "eaten"


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


def main() -> None:
    print(f"starting {VERSION} {MODE} {os.environ.get('PASSWORD', '')}", flush=True)
    if MODE == "exits":
        sys.exit("cannot go on: MODE=exits")
    if MODE == "dies":
        threading.Timer(0.7, lambda: os._exit(3)).start()
    if MODE == "hungry":
        eat(512)
    port = 8081 if MODE == "wrong-port" else 8080
    server = Server(("0.0.0.0", port), Handler)
    signal.signal(signal.SIGTERM, lambda number, frame: threading.Thread(target=server.shutdown, daemon=True).start())
    server.serve_forever()
    server.server_close()
    print("bye", flush=True)


STARTED = time.time()
if __name__ == "__main__":
    main()
