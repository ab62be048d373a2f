"""A small registry on 127.0.0.1 whose images are given as data, and which can misbehave."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LOGIN = base64.b64encode(b"me:secret").decode()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Fake:
    """`auth`: "", "basic" or "bearer". `asked` are the requests, with their Authorization."""

    def __init__(self, auth: str = "") -> None:
        self.auth, self.asked = auth, list[tuple[str, str]]()
        self.documents: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}
        self.broken: dict[str, Any] = {}  # path's end -> status, or bytes to send instead

    def __enter__(self) -> Fake:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.answer(self)

            do_HEAD = do_POST = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.server.shutdown()
        self.server.server_close()

    def image(self, tag: str, architecture: str = "amd64", content: str = "x") -> str:
        """Its digest; of one layer with one file."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as out:
            info = tarfile.TarInfo("file")
            info.size, info.uid, info.gid = len(content), os.getuid(), os.getgid()
            out.addfile(info, io.BytesIO(content.encode()))
        plain = packed.getvalue()
        layer = gzip.compress(plain, mtime=0)
        said = {"architecture": architecture, "config": {"Cmd": ["run"]}, "rootfs": {"diff_ids": [digest(plain)]}}
        config = json.dumps(said).encode()
        self.blobs |= {digest(layer): layer, digest(config): config}
        parts = [{"digest": digest(item), "size": len(item)} for item in (config, layer)]
        return self.document(
            tag, MANIFEST, {"schemaVersion": 2, "mediaType": MANIFEST, "config": parts[0], "layers": parts[1:]}
        )

    def index(self, tag: str, images: dict[str, str]) -> str:
        """Architecture -> digest."""
        items = [
            {"digest": found, "size": 1, "platform": {"os": "linux", "architecture": architecture}}
            for architecture, found in images.items()
        ]
        return self.document(tag, INDEX, {"schemaVersion": 2, "mediaType": INDEX, "manifests": items})

    def document(self, tag: str, kind: str, content: Any) -> str:
        data = json.dumps(content).encode()
        self.documents[tag] = self.documents[digest(data)] = (kind, data)
        return digest(data)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        path, said = request.path, request.headers.get("Authorization", "")
        self.asked.append((path, said))
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        for end, trouble in self.broken.items():
            if path.endswith(end):
                self.trouble(request, trouble)
                return
        if path.startswith("/token"):
            known = said == f"Basic {LOGIN}" or "refresh_token=identity" in body
            self.send(request, 200 if known else 401, json.dumps({"token": "t0ken"}).encode())
        elif path.startswith("/elsewhere/"):
            self.send(request, 200, self.blobs[path.rpartition("/")[2]])
        elif not self.lets_in(said):
            realm = f'Bearer realm="http://{self.name}/token",service="here",scope="repository:a/b:pull"'
            self.send(request, 401, b"", {"WWW-Authenticate": realm if self.auth == "bearer" else 'Basic realm="x"'})
        elif "/manifests/" in path:
            kind, data = self.documents.get(path.rpartition("/")[2], ("", b""))
            headers = {"Content-Type": kind, "Docker-Content-Digest": digest(data)}
            self.send(request, 200 if kind else 404, data, headers)
        else:
            name = path.rpartition("/")[2]
            self.send(request, 307, b"", {"Location": f"http://{self.name}/elsewhere/{name}"})

    def lets_in(self, said: str) -> bool:
        return said == {"": said, "basic": f"Basic {LOGIN}", "bearer": "Bearer t0ken"}[self.auth]

    def trouble(self, request: BaseHTTPRequestHandler, what: Any) -> None:
        if isinstance(what, int):
            self.send(request, what, b"")
        elif isinstance(what, str):
            self.send(request, 307, b"", {"Location": what})
        else:
            self.send(request, 200, what)

    def send(self, request: BaseHTTPRequestHandler, status: int, data: bytes, headers: Any = ()) -> None:
        request.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **dict(headers)}.items():
            request.send_header(key, value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(data)
