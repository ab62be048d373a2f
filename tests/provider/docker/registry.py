"""A real registry (Debian's docker-registry) on 127.0.0.1, which daemons talk to without TLS; with a login or not.

On another address of this machine it may have a certificate."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from .sshd import free_port

USER, PASSWORD = "puller", "c4nary-pull-w0rd"
_BCRYPT = (
    "$2b$04$Zm9vYmFyYmF6cXV4cXV1e.ZpnsNO8FxvsVWFtN36pUwqzfCaYtxk6"  # of the password: the registry takes no other form
)


class Registry:
    """Serves until the block ends. `host`: another address of this machine. Two of one folder have the same images."""

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder / "registry"
        self.host, self.port = host, free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.certificate: tuple[str, str] | None = None  # files of a certificate and its key
        self.trusted: ssl.SSLContext | None = None  # who knows that certificate

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Registry:
        self.folder.mkdir(exist_ok=True)
        self.start()
        return self

    def start(self, *, login: bool = False) -> None:
        program = shutil.which("docker-registry")
        if program is None:
            pytest.fail("no registry on this machine (apt-get install docker-registry)", pytrace=False)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.name},
        }
        if self.certificate:
            config["http"]["tls"] = dict(zip(("certificate", "key"), self.certificate, strict=True))
        if login:
            (self.folder / "htpasswd").write_text(f"{USER}:{_BCRYPT}\n")
            config["auth"] = {"htpasswd": {"realm": "anytier-test", "path": str(self.folder / "htpasswd")}}
        file = self.folder / f"config-{self.port}.yml"
        file.write_text(json.dumps(config))  # JSON is YAML
        with (self.folder / "log").open("ab") as log:
            command = [program, "serve", str(file)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env={"PATH": os.environ["PATH"]})
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            try:
                scheme = "https" if self.certificate else "http"
                urllib.request.urlopen(f"{scheme}://{self.name}/v2/", timeout=2, context=self.trusted).close()
                return
            except urllib.error.HTTPError:
                return  # it wants a login
            except OSError:
                time.sleep(0.05)
        raise AssertionError(f"the registry does not answer: {(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def restart(self, *, login: bool = False) -> None:
        self.stop()
        self.start(login=login)

    def push(self, image: str, repository: str, tag: str = "latest") -> str:
        """An image of the daemon under a name here, which the daemon then forgets; the whole repository's name."""
        name = f"{self.name}/{repository}"
        for args in (["tag", image, f"{name}:{tag}"], ["push", "-q", f"{name}:{tag}"], ["rmi", f"{name}:{tag}"]):
            subprocess.run(["docker", *args], check=True, capture_output=True, timeout=60)
        return name

    def digest(self, repository: str, tag: str = "latest") -> str:
        kinds = "application/vnd.docker.distribution.manifest.v2+json,application/vnd.oci.image.manifest.v1+json"
        request = urllib.request.Request(
            f"http://{self.name}/v2/{repository}/manifests/{tag}", headers={"Accept": kinds}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return f"sha256:{hashlib.sha256(answer.read()).hexdigest()}"

    def log_in(self, password: str = PASSWORD) -> None:
        """As `docker login` leaves it."""
        folder = Path(os.environ["DOCKER_CONFIG"])
        folder.mkdir(exist_ok=True)
        auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
        (folder / "config.json").write_text(json.dumps({"auths": {self.name: {"auth": auth}}}))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
