"""Fixtures of the Docker resources' tests: a daemon of the test's own event loop, names that nobody else has."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from anytier.provider.docker.client import Daemon, Endpoint, close_all, daemon

from .ground import Ground
from .registry import Registry
from .sshd import Sshd
from .tls import TlsRelay


@pytest.fixture
async def there() -> AsyncIterator[Daemon]:
    """The local daemon, as resources get it."""
    yield await daemon(Endpoint())
    await close_all()


@pytest.fixture
async def ground(there: Daemon) -> AsyncIterator[Ground]:
    made = Ground(there, f"anytier-test-{secrets.token_hex(4)}")
    yield made
    await made.wipe()


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    with Sshd(tmp_path) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield server


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[TlsRelay]:
    with TlsRelay(tmp_path) as relay:
        yield relay


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker config"))
    with Registry(tmp_path) as server:
        yield server
