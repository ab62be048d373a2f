"""Fixtures of the libvirt resources' tests: libvirt's in-memory hypervisor, afresh for each test."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Iterator

import pytest

from anytier.provider.libvirt import connection
from anytier.provider.libvirt.connection import Hypervisor, There

from .ground import Ground

LIBVIRT = importlib.util.find_spec("libvirt") is not None
WHY_NOT = "libvirt-python is not installed (apt-get install libvirt-dev; tools/setup.py --extra libvirt)"


@pytest.fixture
def closed() -> Iterator[None]:
    """The test driver forgets everything with its last connection."""
    if not LIBVIRT:
        pytest.skip(WHY_NOT)
    yield
    connection.close_all()


@pytest.fixture
async def memory(closed: None) -> AsyncIterator[There]:
    yield await connection.there(Hypervisor(uri="test:///default"))


@pytest.fixture
def ground(memory: There) -> Ground:
    return Ground(memory)
