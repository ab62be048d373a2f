"""A socket in front of a Docker daemon for which clouds' registries have another name: that of a registry here.

Pods name the cloud's registry, as the tier has it, and their machines have that name's mirror (`cluster.py`); of the
daemon nobody can say where a name leads without its own configuration. So what it is asked is rewritten on the way,
and nothing else: it builds and pushes for real.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import socketserver
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar

DAEMON = "/var/run/docker.sock"
CLOUDS = re.compile(rb"[a-z0-9][a-z0-9.-]*\.(?:amazonaws\.com|pkg\.dev|azurecr\.io)(?![a-z0-9.-])")
_PUSH = re.compile(rb"POST (?:/v[0-9.]+)?/images/(\S+)/push[? ]")
_END = b"\r\n\r\n"
_LONGEST = 1 << 20  # bytes of a request's head
_PIECE = 1 << 16


@dataclass(frozen=True)
class Pushed:
    """`repository` as the tier named it; `user` and `password` as the push was logged in, empty for nobody."""

    repository: str
    user: str
    password: str


class RenamingSocket:
    """Serves at `path` until the block ends. `registry`: HOST:PORT in the place of clouds' names."""

    def __init__(self, path: Path, registry: str, daemon: str = DAEMON) -> None:
        self.path, self.registry, self.daemon = path, registry, daemon
        self.pushed: list[Pushed] = []

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def __enter__(self) -> RenamingSocket:
        ours = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                ours.pass_on(self.request)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads: ClassVar[bool] = True
            # Where none is left a client's asyncio takes "later" for connected, and then is told that it is not.
            request_queue_size = 128

        self.server = Server(str(self.path), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def pass_on(self, client: socket.socket) -> None:
        """One request and its answer: whoever wants more opens another connection."""
        head, rest = head_of(client)
        if not head:
            return
        push = pushed(head)
        if push:
            self.pushed.append(push)
        with socket.socket(socket.AF_UNIX) as there:
            there.connect(self.daemon)
            there.sendall(renamed(head, self.registry) + rest)
            threading.Thread(target=pump, args=(client, there), daemon=True).start()
            pump(there, client)
            for end in (client, there):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)


def head_of(client: socket.socket) -> tuple[bytes, bytes]:
    """(a request's head with its end, what came of the body so far); both empty where nothing is asked."""
    text = b""
    while _END not in text and len(text) < _LONGEST:
        piece = client.recv(_PIECE)
        if not piece:
            return b"", b""
        text += piece
    head, _, rest = text.partition(_END)
    return head + _END, rest


def pump(source: socket.socket, target: socket.socket) -> None:
    """Until the source has no more; the other direction stays open."""
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


# pure


def renamed(head: bytes, registry: str) -> bytes:
    """The head with another registry, of a connection that ends with the answer (unless it becomes another kind)."""
    first, *lines = head.removesuffix(_END).split(b"\r\n")
    if not any(line.lower().startswith(b"upgrade:") for line in lines):
        lines = [*(line for line in lines if not line.lower().startswith(b"connection:")), b"Connection: close"]
    return b"\r\n".join([CLOUDS.sub(registry.encode(), first), *lines]) + _END


def pushed(head: bytes) -> Pushed | None:
    """What is pushed, if anything is."""
    found = _PUSH.match(head)
    if found is None:
        return None
    given = re.search(rb"^x-registry-auth: *(\S*)\r?$", head, re.MULTILINE | re.IGNORECASE)
    login = json.loads(base64.urlsafe_b64decode(given[1] + b"==")) if given else {}
    return Pushed(found[1].decode(), str(login.get("username") or ""), str(login.get("password") or ""))
