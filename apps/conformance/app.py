"""An app made to be tested: it reports what a place gave it, and misbehaves on command. Standard library only.

    app.py serve            HTTP on PORT (8080)
    app.py echo             TCP lines on PORT (9090), each answered by itself; the line `report` by the report
    app.py mark NAME        one line with the time appended to NAME on the volume (jobs, init containers, hooks), then 0
    app.py tick NAME        the same every 0.2 s until stopped (a sidecar)
    app.py probe KIND       exit code 0 if the `serve` in this container, or on PORT, says that KIND is well
    app.py fail [TEXT]      prints TEXT and exits with 3

    GET  /                  {"version", "instance", "pid"}: small, for load
    GET  /report            everything below, as one object
    GET  /health/KIND       live, ready or startup: 200 or 503
    GET  /slow?ms=N         answers after N milliseconds, at most a minute
    GET  /seen              method, path, query and headers as they arrived
    GET  /peer/NAME?send=X  connects to the address in CONF_PEER_NAME, sends a line, gives back the answer
    GET  /volume[/NAME]     what lies on the volume        PUT /volume/NAME   writes a file, synced
    POST /fail-health?kind=KIND&seconds=N      that probe fails for N seconds
    POST /alloc?mb=N        touches N MiB and frees it     POST /burn?seconds=N   computes; says how much CPU it got
    POST /crash             ends at once, without clean-up, with exit code 9

CONF_BEHAVIOUR makes a bad release: `exit`, `never-healthy`, `die-after=SECONDS`, `wrong-port`, `oom`, `needs=VARIABLE`.
CONF_GRPC_PORT=PORT: `serve` answers gRPC's health protocol there, too, for the services live, ready and startup.
CONF_START_DELAY=SECONDS keeps startup and liveness failing for so long. CONF_FILES and CONF_SECRETS name, separated by
commas, the files and the variables to report; a secret's value never leaves the process, only its SHA-256 does.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urlsplit

STARTED = time.time()
MIB = 1024 * 1024
KINDS = ("live", "ready", "startup")
MOST_MEMORY = 512  # MiB: on a place that holds no limit, `oom` must not take the machine down
# A place may hold memory by RLIMIT_DATA, where the usual 8 MiB a thread would be used up by ten clients.
STACK = 256 * 1024


# --- what the place gave -------------------------------------------------------------------------------------------


def report() -> dict[str, Any]:
    return {
        "version": os.environ.get("CONF_VERSION", ""),
        "instance": instance(),
        "argv": sys.argv[1:],
        "env": {name: value for name, value in os.environ.items() if name.startswith("CONF_")},
        "secrets": {name: sha256(os.environ[name].encode()) for name in listed("CONF_SECRETS") if name in os.environ},
        "files": {path: file_facts(located(path)) for path in listed("CONF_FILES")},
        "volume": names_in(volume()),
        "limits": limits(),
        "cwd": os.getcwd(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "hostname": socket.gethostname(),
        "pid": os.getpid(),
        "started": STARTED,
        "readyAt": Health.ready_at,
        "rootWritable": os.access("/", os.W_OK) and writable(Path("/")),
        "capabilities": status_line("CapEff"),
        "noNewPrivileges": status_line("NoNewPrivs"),
    }


def instance() -> str:
    return f"{socket.gethostname()}:{http_port()}"


def http_port() -> int:
    return int(os.environ.get("PORT", "8080"))


def listed(variable: str) -> list[str]:
    return [item for item in os.environ.get(variable, "").split(",") if item]


def located(path: str) -> Path:
    """Where a file of the spec is: on hosts that cannot bind it at its path, under the folder ANYTIER_FILES."""
    under = Path(os.environ.get("ANYTIER_FILES", "/nowhere")) / path.lstrip("/")
    return under if under.exists() else Path(path)


def file_facts(path: Path) -> dict[str, Any]:
    try:
        content, facts = path.read_bytes(), path.stat()
    except OSError as error:
        return {"error": error.strerror}
    return {"sha256": sha256(content), "mode": f"{facts.st_mode & 0o7777:04o}", "size": len(content), "at": str(path)}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def volume() -> Path:
    return Path(os.environ.get("VOLUME_DATA", "/data"))


def names_in(folder: Path) -> list[str] | None:
    """None also where it is another workload's, and none of ours."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError:
        return None


def limits() -> dict[str, Any]:
    """The limits that this process can see: its control group's, of either version, and its own rlimits."""
    files = {
        "memory": ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory.max"),
        "cpuQuota": ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu.max"),
        "pids": ("/sys/fs/cgroup/pids/pids.max", "/sys/fs/cgroup/pids.max"),
    }
    seen: dict[str, Any] = {name: first_text(paths) for name, paths in files.items()}
    return seen | {"data": resource.getrlimit(resource.RLIMIT_DATA)[0]}


def first_text(paths: tuple[str, ...]) -> str | None:
    return next((Path(path).read_text().strip() for path in paths if Path(path).is_file()), None)


def writable(folder: Path) -> bool:
    probe = folder / f".conformance-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def status_line(key: str) -> str:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key + ":")), "")


# --- health ---------------------------------------------------------------------------------------------------------


class Health:
    """What the probes are told."""

    failing_until: ClassVar[dict[str, float]] = {}
    ready_at: float | None = None
    stopping = False

    @classmethod
    def well(cls, kind: str) -> bool:
        if time.monotonic() < cls.failing_until.get(kind, 0):
            return False
        if kind in ("live", "startup") and time.time() - STARTED < float(os.environ.get("CONF_START_DELAY", "0")):
            return False
        if kind == "ready":
            if cls.stopping or behaviour() == "never-healthy":
                return False
            cls.ready_at = cls.ready_at or time.time()
        return True


def behaviour() -> str:
    return os.environ.get("CONF_BEHAVIOUR", "")


def misbehave() -> int:
    """Do what CONF_BEHAVIOUR asks for at the start; the answer is by how much the port is wrong."""
    kind, _, argument = behaviour().partition("=")
    if kind == "exit":
        end(3, "told to exit at once")
    if kind == "needs" and not os.environ.get(argument):
        end(4, f"the variable {argument} is not set")
    if kind == "oom":
        say(f"allocating up to {MOST_MEMORY} MiB")
        allocate(MOST_MEMORY)
        end(5, f"{MOST_MEMORY} MiB were granted: no memory limit is in force")
    if kind == "die-after":
        later(float(argument), lambda: end(6, f"died after {argument} s, as told"))
    return 1 if kind == "wrong-port" else 0


def allocate(mib: int) -> None:
    held = []
    for _ in range(mib):
        block = bytearray(MIB)
        block[::4096] = b"x" * (MIB // 4096)  # touched, so that it is really had
        held.append(block)


def later(seconds: float, do: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, do)
    timer.daemon = True
    timer.start()


def say(text: str) -> None:
    print(f"conformance: {text}", flush=True)


def end(code: int, text: str) -> None:
    say(text)
    os._exit(code)


# --- HTTP -----------------------------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    """Stops accepting on its stop signal, finishes the requests in flight, and then ends."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int) -> None:
        super().__init__(("", port), Handler)
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

    def drain(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0, seconds)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120
    wbufsize = -1  # headers and body leave in one packet
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        with self.server.request():
            self.route()
            self.wfile.flush()  # an answer that still lies in the buffer is not given

    do_POST = do_PUT = do_GET

    def route(self) -> None:
        url = urlsplit(self.path)
        query = dict(parse_qsl(url.query))
        parts = url.path.strip("/").split("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        match self.command, parts:
            case "GET", [""]:
                self.answer(
                    200, {"version": os.environ.get("CONF_VERSION", ""), "instance": instance(), "pid": os.getpid()}
                )
            case "GET", ["report"]:
                self.answer(200, report())
            case "GET", ["health", kind] if kind in KINDS:
                well = Health.well(kind)
                self.answer(200 if well else 503, {kind: well})
            case "GET", ["slow"]:
                time.sleep(min(int(query.get("ms", "1000")), 60_000) / 1000)
                self.answer(200, {"version": os.environ.get("CONF_VERSION", ""), "instance": instance()})
            case "GET", ["seen"]:
                seen = {"method": self.command, "path": url.path, "query": url.query, "headers": dict(self.headers)}
                self.answer(200, seen)
            case "GET", ["peer", name]:
                self.answer(200, {"answer": ask_peer(name, query.get("send", "hello"))})
            case "GET", ["volume"]:
                self.answer(200, {"files": sorted(path.name for path in volume().iterdir())})
            case "GET", ["volume", name] if (volume() / name).is_file():
                self.answer(200, {"content": (volume() / name).read_text()})
            case "PUT", ["volume", name]:
                write_synced(volume() / name, body)
                self.answer(200, {"written": len(body)})
            case "POST", ["fail-health"] if query.get("kind") in KINDS:
                Health.failing_until[query["kind"]] = time.monotonic() + float(query.get("seconds", "10"))
                self.answer(200, {"failing": query["kind"], "instance": instance(), "pid": os.getpid()})
            case "POST", ["alloc"]:
                self.answer(*try_alloc(int(query.get("mb", "1"))))
            case "POST", ["burn"]:
                self.answer(200, burn(min(float(query.get("seconds", "1")), 10)))
            case "POST", ["crash"]:
                end(9, "told to crash")
            case _:
                self.answer(404, {"error": f"nothing at {self.command} {url.path}"})

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if Health.stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        if not self.path.startswith("/health/") and self.path != "/":
            say(f"{self.address_string()} {format % args}")


def try_alloc(mib: int) -> tuple[int, dict[str, Any]]:
    try:
        allocate(mib)
    except MemoryError:
        return 507, {"allocated": False}
    return 200, {"allocated": True}


def burn(seconds: float) -> dict[str, Any]:
    """How much of one core this process gets, measured by using it."""
    wall, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - wall < seconds:
        sum(range(1000))
    took = time.monotonic() - wall
    return {"seconds": took, "cores": (time.process_time() - cpu) / took}


def write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def ask_peer(name: str, line: str) -> str:
    host, _, port = os.environ[f"CONF_PEER_{name.upper()}"].rpartition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(line.encode() + b"\n")
        return connection.makefile().readline().rstrip("\n")


# --- gRPC -----------------------------------------------------------------------------------------------------------


class Grpc(socketserver.StreamRequestHandler):
    """As much of HTTP/2 as grpc.health.v1.Health/Check takes: one small message each way, whatever the headers say."""

    DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
    ACK, END_STREAM, END_HEADERS = 1, 1, 4
    OPENING = b"\x88" + b"\x0f\x10\x10application/grpc"  # :status 200, content-type
    CLOSING = b"\x00\x0bgrpc-status\x010"
    timeout = 120

    def handle(self) -> None:
        self.rfile.read(24)  # the client's preface
        self.send(self.SETTINGS, 0, 0)
        asked: dict[int, bytes] = {}
        while len(head := self.rfile.read(9)) == 9:
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            payload = self.rfile.read(int.from_bytes(head[:3], "big"))
            if kind in (self.SETTINGS, self.PING) and not flags & self.ACK:
                self.send(kind, self.ACK, 0, payload if kind == self.PING else b"")
            elif kind == self.DATA:
                asked[stream] = asked.get(stream, b"") + payload
                if flags & self.END_STREAM:
                    self.answer(stream, asked.pop(stream))
            elif kind == self.GOAWAY:
                return

    def answer(self, stream: int, message: bytes) -> None:
        """`message`: five bytes of prefix, then field 1, the service's name."""
        kind = message[7:].decode() or "ready"
        serving = 1 if kind in KINDS and Health.well(kind) else 2
        self.send(self.HEADERS, self.END_HEADERS, stream, self.OPENING)
        self.send(self.DATA, 0, stream, b"\x00\x00\x00\x00\x02\x08" + bytes([serving]))
        self.send(self.HEADERS, self.END_HEADERS | self.END_STREAM, stream, self.CLOSING)

    def send(self, kind: int, flags: int, stream: int, payload: bytes = b"") -> None:
        self.wfile.write(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)


def answer_grpc(port: int) -> None:
    server = EchoServer(("", port), Grpc)
    threading.Thread(target=server.serve_forever, daemon=True).start()


# --- the modes ------------------------------------------------------------------------------------------------------


def serve() -> int:
    threading.stack_size(STACK)
    server = Server(http_port() + misbehave())
    if port := os.environ.get("CONF_GRPC_PORT"):
        answer_grpc(int(port))

    def stop(number: int, _: object) -> None:
        Health.stopping = True
        note(f"stopped-by-{signal.Signals(number).name}")
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, stop)
    say(f"version {os.environ.get('CONF_VERSION', '?')} listens on port {server.server_port}")
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    server.drain(seconds=30)
    say("stopped")
    return 0


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            self.wfile.write(json.dumps(report()).encode() + b"\n" if line.strip() == b"report" else line)


class EchoServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def echo() -> int:
    threading.stack_size(STACK)
    port = int(os.environ.get("PORT", "9090"))
    with EchoServer(("", port), Echo) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        Health.ready_at = time.time()
        say(f"echo listens on port {port}")
        server.serve_forever(poll_interval=0.1)
    return 0


def mark(name: str) -> int:
    with (volume() / name).open("a") as out:
        out.write(
            json.dumps({"at": time.time(), "version": os.environ.get("CONF_VERSION", ""), "pid": os.getpid()}) + "\n"
        )
    say(f"marked {name}")
    return 0


def note(name: str) -> None:
    """`mark` where there is a volume to write to."""
    if volume().is_dir() and os.access(volume(), os.W_OK):
        mark(name)


def tick(name: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        mark(name)
        time.sleep(0.2)


def probe(kind: str) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(f"http://127.0.0.1:{http_port()}/health/{kind}", timeout=3).close()
    except HTTPError as error:
        print(f"{kind}: HTTP {error.code}")
        return 1
    except (URLError, OSError) as error:
        print(f"{kind}: {error}")
        return 1
    return 0


def main(argv: list[str]) -> int:
    match argv:
        case [] | ["serve", *_]:
            return serve()
        case ["echo"]:
            return echo()
        case ["mark", name]:
            misbehave()
            return mark(name)
        case ["tick", name]:
            return tick(name)
        case ["probe", kind] if kind in KINDS:
            return probe(kind)
        case ["fail", *text]:
            say(" ".join(text))
            return 3
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
