from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anytier.errors import Conflict, Rejected
from anytier.provider.fields import behaviour
from anytier.provider.libvirt.connection import Hypervisor
from anytier.provider.libvirt.image import Source
from anytier.provider.libvirt.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.render.libvirt.storage import Backing

from .ground import Ground

resource = VolumeResource()
TEST = Hypervisor(uri="test:///default")
QEMU = Hypervisor()
SOURCE = Source(file="/base.qcow2", sha256="0" * 64)


def inputs(**fields: Any) -> VolumeInputs:
    return VolumeInputs(**{"host": TEST, "pool": "default-pool", "name": "data.qcow2", "size": 2**20, **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": "../a"}, "name"),
        ({"pool": ""}, "pool"),
        ({"size": None}, "size"),
        ({"host": QEMU, "source": Source(sha256="0" * 64)}, "source"),
        ({"host": QEMU, "source": Source(url="ftp://host/a", sha256="0" * 64)}, "source.url"),
        ({"host": QEMU, "source": Source(url="https://u:p@host/a", sha256="0" * 64)}, "source.url"),
        ({"host": QEMU, "source": SOURCE, "backing": Backing(path="/a")}, "backing"),
        ({"backing": Backing(path="a")}, "backing.path"),
        ({"backing": Backing(path="/a"), "adopt": True}, "adopt"),
        ({"backing": Backing(path="/a"), "format": "raw"}, "format"),
        ({"format": "vmdk"}, "format"),
        ({"source": SOURCE}, "host.uri"),
        ({"host": Hypervisor(uri="vmwarews:///session"), "format": "vmdk"}, "host.uri"),
    ],
)
def test_what_is_refused_at_preview(fields: dict[str, Any], path: str) -> None:
    errors = resource.check(inputs(**fields))
    assert errors and errors[0].path == path and errors[0].do


def test_more_room_is_the_same_volume_and_another_image_is_another_one() -> None:
    assert not behaviour(VolumeInputs, ("size",)).replaces
    assert not behaviour(VolumeInputs, ("retain",)).replaces
    assert behaviour(VolumeInputs, ("source", "sha256")).delete_first
    assert behaviour(VolumeInputs, ("source", "url")).ignored and behaviour(VolumeInputs, ("source", "file")).ignored


def test_shrinking_is_refused_before_anything_is_done() -> None:
    with pytest.raises(Rejected, match="cannot shrink"):
        resource.planned(VolumeOutputs(path="/a", size=2**21, whole=True), inputs())


async def test_one_that_was_kept_is_taken_over_where_that_is_asked_for(ground: Ground) -> None:
    kept = inputs(retain=True, adopt=True)
    id, made = await resource.create(ground.context(), kept)
    await resource.delete(ground.context(), id, kept, made)
    with pytest.raises(Conflict, match="not ours"):
        await resource.create(ground.context(), inputs())
    again, found = await resource.create(ground.context(), kept)
    assert (again, found.path, found.size, found.whole) == (id, made.path, made.size, True)
    assert any("taken over" in line for line in ground.sink.lines)
    assert await resource.read(ground.context(), id, kept, found) == (kept, found)
    with pytest.raises(Rejected, match="cannot shrink"):
        await resource.create(ground.context(), kept.model_copy(update={"size": 2**19}))
    with pytest.raises(Conflict, match="not ours"):
        await resource.create(ground.context(), kept.model_copy(update={"format": "raw"}))


async def test_made_read_and_removed(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    assert id == "default-pool/data.qcow2" and made.path.endswith("/data.qcow2") and made.whole
    assert await resource.read(ground.context(), id, inputs(), made) == (inputs(), made)
    imported = await resource.read(ground.context(), f"test:///default|{id}", None, None)
    assert imported == (inputs(), made.model_copy(update={"adopted": True}))
    await resource.delete(ground.context(), id, inputs(), made)
    assert await resource.read(ground.context(), id, inputs(), made) is None
    await resource.delete(ground.context(), id, inputs(), made)


async def test_one_that_is_there_already_is_not_taken(ground: Ground) -> None:
    await resource.create(ground.context(), inputs())
    ctx = ground.context()
    with pytest.raises(Conflict, match="pulumi import"):
        await resource.create(ctx, inputs())
    assert ctx.last_made is None


async def test_what_an_earlier_run_left_half_made_is_made_whole(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    half = made.model_copy(update={"whole": False})
    assert resource.drifted(inputs(), half) == ["name"]
    assert await resource.update(ground.context(), id, inputs(), half, inputs()) == made


async def test_one_that_went_behind_our_back_is_made_again(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(
        lambda raw: raw.storagePoolLookupByName("default-pool").storageVolLookupByName("data.qcow2").delete(0)
    )
    assert await resource.read(ground.context(), id, inputs(), made) is None
    assert await resource.create(ground.context(), inputs()) == (id, made)


async def test_data_that_is_to_stay_stays(ground: Ground) -> None:
    kept = inputs(retain=True)
    id, made = await resource.create(ground.context(), kept)
    await resource.delete(ground.context(), id, kept, made)
    assert await resource.read(ground.context(), id, kept, made) == (kept, made)


async def test_a_volume_that_a_machine_uses_is_not_removed(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anytier.provider.libvirt.store._PATIENCE", 0.1)
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(
        lambda raw: raw.defineXML(
            "<domain type='test'><name>guest</name><memory>65536</memory><os><type>hvm</type></os><devices><disk "
            f"type='file'><source file='{made.path}'/><target dev='vda'/></disk></devices></domain>"
        )
    )
    with pytest.raises(Conflict, match="machine guest"):
        await resource.delete(ground.context(), id, inputs(), made)
    assert await resource.read(ground.context(), id, inputs(), made) is not None


async def test_what_the_driver_cannot_do_is_said_and_nothing_is_lost(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    with pytest.raises(Rejected, match="cannot resize"):
        await resource.update(ground.context(), id, inputs(), made, inputs(size=2**21))
    assert await resource.read(ground.context(), id, inputs(), made) == (inputs(), made)


async def test_a_pool_that_is_off_is_no_answer(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(lambda raw: raw.storagePoolLookupByName("default-pool").destroy())
    with pytest.raises(Rejected, match="is not active"):
        await resource.read(ground.context(), id, inputs(), made)


async def test_many_at_a_time_in_one_pool(ground: Ground) -> None:
    wanted = [inputs(name=f"v{index}.qcow2") for index in range(40)]
    await asyncio.gather(*(resource.create(ground.context(), one) for one in wanted))
    assert await ground.raw(lambda raw: raw.storagePoolLookupByName("default-pool").numOfVolumes()) == 40


async def test_a_pool_that_is_gone_has_no_volumes(ground: Ground) -> None:
    gone = inputs(pool="none")
    assert await resource.read(ground.context(), "none/data.qcow2", gone, VolumeOutputs()) is None
    await resource.delete(ground.context(), "none/data.qcow2", gone, VolumeOutputs())
