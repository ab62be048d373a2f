"""A real API server on 127.0.0.1, with an etcd of its own and nothing behind it: what it takes Kubernetes takes.

The programs are those of clusters under test (tests/provider/kubernetes/controlplane.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bootstrap.paths import Paths

PATIENCE = 180.0
TOKEN = "anytier-test"


def programs() -> dict[str, tuple[Path, Path]]:
    """Version, such as `1.34.2` -> etcd and the API server: of the folder that ANYTIER_KUBERNETES_BIN names (`etcd`, a
    folder for each version), else what a bundle was made of (tools/kubernetes_bundle.py) and those that were built for
    this (tools/api_servers.py)."""
    if given := os.environ.get("ANYTIER_KUBERNETES_BIN"):
        found = {path.parent.name: (Path(given, "etcd"), path) for path in Path(given).glob("*/kube-apiserver")}
    else:
        cache = Paths.here().cache
        made = sorted(cache.glob("kubernetes-programs-*/kube-apiserver"))
        more = sorted(cache.glob("kube-apiserver-*/kube-apiserver"))
        # an older minor has no etcd of its own
        etcd = max(cache.glob("kubernetes-programs-*/server"), default=cache / "none")
        found = {path.parent.name.split("-")[2]: (etcd, path) for path in (*made, *more)}
    return {version: pair for version, pair in sorted(found.items()) if all(file.is_file() for file in pair)}


@dataclass
class Refused(Exception):
    status: int
    message: str

    def __str__(self) -> str:
        return f"{self.status}: {self.message}"


@dataclass
class Server:
    """`warnings` is what the API server had to say beside its answers."""

    url: str
    trust: ssl.SSLContext
    warnings: list[str] = field(default_factory=list)
    known: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.trust) as answer:
                self.warnings += answer.headers.get_all("Warning") or []
                text = answer.read().decode()
                return json.loads(text) if text.startswith("{") else text
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            with contextlib.suppress(ValueError):
                text = json.loads(text)["message"]
            raise Refused(error.code, text) from None

    def apply(self, item: dict[str, Any], dry: bool = True) -> Any:
        """Server-side apply, unknown fields forbidden. `Refused` with the server's own words."""
        version, metadata = item["apiVersion"], item["metadata"]
        group = f"/apis/{version}" if "/" in version else f"/api/{version}"
        if (version, item["kind"]) not in self.known:
            self.known |= {(version, each["kind"]): each for each in self._listed(group)}
        resource = self.known[version, item["kind"]]
        inside = f"/namespaces/{metadata['namespace']}" if resource["namespaced"] else ""
        query = "fieldManager=anytier-test&force=true&fieldValidation=Strict" + ("&dryRun=All" if dry else "")
        path = f"{group}{inside}/{resource['name']}/{metadata['name']}?{query}"
        return self.ask("PATCH", path, item, "application/apply-patch+yaml")

    def _listed(self, group: str) -> list[dict[str, Any]]:
        return [each for each in self.ask("GET", group)["resources"] if "/" not in each["name"]]


@contextlib.contextmanager
def running(version: str, folder: Path) -> Iterator[Server]:
    """AssertionError with the last of its log where it does not come up."""
    store, peer, api = (_free() for _ in range(3))
    key = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "sa.key").write_bytes(key.private_bytes(*form))
    (folder / "tokens.csv").write_text(f'{TOKEN},tester,1,"system:masters"\n')
    etcd = [
        str(programs()[version][0]),
        f"--data-dir={folder}/etcd",
        f"--listen-client-urls=http://127.0.0.1:{store}",
        f"--advertise-client-urls=http://127.0.0.1:{store}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
    ]
    server = [
        str(programs()[version][1]),
        f"--etcd-servers=http://127.0.0.1:{store}",
        "--bind-address=127.0.0.1",
        f"--secure-port={api}",
        f"--cert-dir={folder}/certs",
        f"--token-auth-file={folder}/tokens.csv",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder}/sa.key",
        f"--service-account-signing-key-file={folder}/sa.key",
    ]
    with _process(etcd, folder / "etcd.log"), _process(server, folder / "api.log") as api_server:
        found = _ready(f"https://127.0.0.1:{api}", folder, api_server)
        yield found


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextlib.contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out, cwd=log.parent) as process:
        try:
            yield process
        finally:
            process.kill()


def _ready(url: str, folder: Path, process: subprocess.Popen[bytes]) -> Server:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError, Refused):
            found = Server(url, ssl.create_default_context(cafile=str(folder / "certs" / "apiserver.crt")))
            found.ask("GET", "/readyz?verbose")
            return found
        time.sleep(0.3)
    raise AssertionError((folder / "api.log").read_text(errors="replace")[-3000:])
