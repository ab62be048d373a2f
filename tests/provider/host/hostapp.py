"""The program that the host tests deploy: it tells what it was given and misbehaves on command."""

from __future__ import annotations

import http.server
import json
import os
import signal
import subprocess
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
        code, body = 200, f"{VERSION} {os.getpid()}"
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
        elif path == "/write":
            Path(query).write_text("kept")
        elif path == "/eat":
            code, body = eat(int(query))
        elif path == "/me":
            body = json.dumps({"uid": os.getuid(), "cwd": os.getcwd(), "argv": sys.argv})
        self.answer(code, body)

    def answer(self, code: int, body: str) -> None:
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


def eat(megabytes: int) -> tuple[int, str]:
    try:
        bytearray(megabytes * 2**20)
        return 200, "eaten"
    except MemoryError:
        return 507, "refused"


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


def finish(server: Server) -> None:
    """A good citizen: on TERM it answers what it has and ends."""
    threading.Thread(target=server.shutdown, daemon=True).start()


def main() -> None:
    print(f"starting {VERSION} {MODE} {os.environ.get('PASSWORD', '')}", flush=True)
    if MODE == "exits":
        sys.exit("cannot go on: MODE=exits")
    if MODE == "parent":
        subprocess.Popen(["sh", "-c", "trap '' TERM; exec sleep 300"], stdout=subprocess.DEVNULL)
    if MODE == "dies":
        threading.Timer(0.4, lambda: os._exit(3)).start()
    port = int(os.environ["PORT"]) + (1 if MODE == "wrong-port" else 0)
    server = Server((os.environ.get("HOST", "127.0.0.1"), port), Handler)
    signal.signal(signal.SIGTERM, lambda number, frame: finish(server))
    server.serve_forever()
    server.server_close()
    print("bye", flush=True)


if __name__ == "__main__":
    main()
