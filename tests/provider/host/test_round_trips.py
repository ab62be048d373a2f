"""What a look at a machine costs: connections and round trips, counted on a real one that is reached by SSH only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest

from anytier.provider.host import place
from anytier.provider.host.machine import MachineInputs, MachineResource
from anytier.provider.host.machines import close_all, machine_of
from anytier.provider.host.proxy import ProxyOutputs, ProxyResource
from anytier.provider.host.volume import VolumeOutputs, VolumeResource
from anytier.provider.host.workload import WorkloadResource

from .rounds import Rounds
from .ssh_box import SshBox, ssh_box
from .test_on_ssh import Shop

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
MOST = 3  # who we are there; what lies there; what that says


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshBox]:
    with ssh_box(tmp_path_factory.mktemp("box")) as made:
        yield made


@pytest.fixture
async def shop(box: SshBox, tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(box, tmp_path)
    await made.up()
    await close_all()
    yield made
    await made.down()
    await close_all()


async def test_calls_one_after_the_other_are_as_many_round_trips_and_together_they_are_one(
    box: SshBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The counter itself."""
    rounds = Rounds(monkeypatch)
    machine = machine_of(box.ref())
    await machine.list("/etc")
    await machine.run(["sleep", "0.5"])
    assert (rounds.trips, rounds.connections) == (2, 1)
    await asyncio.gather(machine.run(["sleep", "0.5"]), *(machine.list("/etc") for _ in range(20)))
    assert (rounds.trips, rounds.connections, len(rounds.asked)) == (3, 1, 23)
    await close_all()


async def test_a_refresh_is_one_connection_and_three_round_trips(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """All resources of a machine at once, as the engine asks."""
    id, state = shop_id(shop), None
    monkeypatch.setattr(place, "_places", WeakKeyDictionary())  # as a plugin that has just started
    rounds = Rounds(monkeypatch)
    given = MachineInputs(machine=shop.box.ref(host_key=None), host_key=shop.box.host_key)
    found = await asyncio.gather(
        MachineResource().read(shop.context(), "", given, None),
        VolumeResource().read(shop.context(), "", shop.volume(), VolumeOutputs(path="")),
        ProxyResource().read(shop.context(), f"{id}/proxy", shop.proxy(), ProxyOutputs(running=True)),
        WorkloadResource().read(shop.context(), f"{id}/web", shop.inputs(), state),
    )
    assert all(found) and found[3] is not None and found[3][1].ready == 2
    assert found[2] is not None and found[2][1].running and found[2][1].pid
    assert (rounds.trips, rounds.connections) == (MOST, 1), rounds.asked


def shop_id(shop: Shop) -> str:
    return f"deploy@127.0.0.1:{shop.box.port}|{shop.base['root']}|{shop.base['ns']}"
