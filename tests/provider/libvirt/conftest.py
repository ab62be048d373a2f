"""Fixtures of the libvirt resources' tests: libvirt's in-memory hypervisor, wiped for each test."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from anytier.provider.libvirt import connection
from anytier.provider.libvirt.connection import Hypervisor, There

from .daemon import Libvirtd, why_not
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
    """An error that is still held keeps the last test's connection, and all that was made by it."""
    made = await connection.there(Hypervisor(uri="test:///default"))
    await made.call("test", wipe)
    yield made


def wipe(raw: Any) -> None:
    """As a fresh one is: one network, one pool."""
    for machine in raw.listAllDomains(0):
        if machine.isActive():
            machine.destroy()
    for machine in raw.listAllDomains(0):  # without those that were gone when they stopped
        machine.undefine()
    for network in raw.listAllNetworks(0):
        if network.name() != "default":
            if network.isActive():
                network.destroy()
            network.undefine()
    for pool in raw.listAllStoragePools(0):
        if not pool.isActive():
            pool.create(0)
        for volume in pool.listAllVolumes(0):
            volume.delete(0)
        if pool.name() != "default-pool":
            pool.destroy()
            pool.undefine()


@pytest.fixture
def ground(memory: There) -> Ground:
    return Ground(memory)


@pytest.fixture(scope="session")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Libvirtd]:
    """QEMU without acceleration, for all real tests of this run."""
    if reason := why_not():
        pytest.skip(reason)
    with Libvirtd(tmp_path_factory.mktemp("libvirtd")) as daemon:
        yield daemon


@pytest.fixture
async def real(libvirtd: Libvirtd) -> AsyncIterator[Ground]:
    made = Ground(await connection.there(Hypervisor(uri=libvirtd.uri)))
    yield made
    await made.raw(tidy)
    connection.close_all()


def tidy(raw: Any) -> None:
    """All that is there is the tests' own: the daemon is."""
    for machine in raw.listAllDomains(0):
        if machine.isActive():
            machine.destroy()
        machine.undefineFlags(1 | 2 | 4)
    for network in raw.listAllNetworks(0):
        if network.isActive():
            network.destroy()
        network.undefine()
    for pool in raw.listAllStoragePools(0):
        if pool.isActive():
            pool.destroy()
        pool.undefine()
