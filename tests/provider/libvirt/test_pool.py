from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import Conflict
from anytier.provider.fields import behaviour
from anytier.provider.libvirt import pool as module
from anytier.provider.libvirt.connection import Hypervisor
from anytier.provider.libvirt.pool import PoolInputs, PoolOutputs, PoolResource

from .ground import Ground

resource = PoolResource()
TEST = Hypervisor(uri="test:///default")


def inputs(**fields: Any) -> PoolInputs:
    return PoolInputs(**{"host": TEST, "name": "images", "path": "/srv/images", **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "a/b"}, "name"),
        ({"path": "srv"}, "path"),
        ({"path": "/srv/../etc"}, "path"),
        ({"path": "/a\0"}, "path"),
        ({"host": Hypervisor(uri="vbox:///session")}, "host.uri"),
    ],
)
def test_what_is_refused_at_preview(fields: dict[str, Any], path: str) -> None:
    (error,) = resource.check(inputs(**fields))
    assert error.path == path and error.do


def test_another_folder_is_another_pool_and_the_old_one_goes_first() -> None:
    how = behaviour(PoolInputs, ("path",))
    assert how.replaces and how.delete_first


async def test_made_read_and_removed(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    assert await resource.read(ground.context(), id, inputs(), made) == (inputs(), made)
    assert (await resource.read(ground.context(), "test:///default|images", None, None)) == (inputs(), made)
    assert await resource.create(ground.context(), inputs()) == (id, made)
    await resource.delete(ground.context(), id, inputs(), made)
    assert await resource.read(ground.context(), id, inputs(), made) is None
    await resource.delete(ground.context(), id, inputs(), made)


async def test_one_of_somebody_else_is_left_alone(ground: Ground) -> None:
    await resource.create(ground.context("urn:other"), inputs())
    with pytest.raises(Conflict):
        await resource.create(ground.context(), inputs())
    await resource.delete(ground.context(), "images", inputs(), PoolOutputs(uuid="mine"))
    assert await module.find(ground.there, "images") is not None and ground.sink.warnings


async def test_drift_is_seen_and_repaired(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(lambda raw: raw.storagePoolLookupByName("images").destroy())
    seen = await resource.read(ground.context(), id, inputs(), made)
    assert seen is not None and resource.drifted(*seen) == ["name"]
    assert await resource.update(ground.context(), id, seen[0], seen[1], inputs(autostart=False)) == made
    assert await resource.read(ground.context(), id, inputs(), made) == (inputs(autostart=False), made)
