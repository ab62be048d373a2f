from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from anytier.errors import Conflict, Rejected, Unreachable
from anytier.provider.docker import volume as module
from anytier.provider.docker.client import Endpoint
from anytier.provider.docker.volume import VolumeInputs, VolumeOutputs, VolumeResource

from .ground import Ground, impatient

resource = VolumeResource()


def test_names_and_labels_that_are_refused() -> None:
    for name in ("", "-a", "a b", "a/b", "../../etc", "/data", "a" * 129):
        (error,) = resource.check(VolumeInputs(name=name))
        assert error.path == "name"
    (error,) = resource.check(VolumeInputs(name="a", labels={"dev.anytier.role": "volume", "mine": "1"}))
    assert error.path == 'labels["dev.anytier.role"]'


async def write(ground: Ground, volume: str, text: str) -> None:
    """By a container that is gone afterwards."""
    mounts = [{"Type": "volume", "Source": volume, "Target": "/data"}]
    image = f"{ground.ns}/base"
    container = await ground.container(image, "sh", "-c", f"echo {text} >> /data/file", Mounts=mounts)
    await ground.there.post(f"containers/{container}/wait")
    await ground.there.delete(f"containers/{container}", force=True)


async def text_in(ground: Ground, volume: str) -> str:
    mounts = [{"Type": "volume", "Source": volume, "Target": "/data"}]
    container = await ground.container(f"{ground.ns}/base", "cat", "/data/file", Mounts=mounts)
    await ground.there.post(f"containers/{container}/wait")
    text = await ground.there.log(container, 10)
    await ground.there.delete(f"containers/{container}", force=True)
    return text


@pytest.mark.docker
async def test_data_outlives_containers_and_updates(ground: Ground) -> None:
    await ground.base()
    inputs = VolumeInputs(name=ground.ns, labels={"team": "a"})
    id, made = await resource.create(ground.context(), inputs)
    await write(ground, ground.ns, "one")
    assert await resource.create(ground.context(), inputs) == (id, made)
    retained = inputs.model_copy(update={"retain": True})
    assert await resource.update(ground.context(), id, inputs, made, retained) == made
    await write(ground, ground.ns, "two")
    assert await text_in(ground, ground.ns) == "one\ntwo\n"


@pytest.mark.docker
async def test_destroy_takes_the_data_unless_it_is_to_stay(ground: Ground) -> None:
    await ground.base()
    inputs = VolumeInputs(name=ground.ns, retain=True)
    id, made = await resource.create(ground.context(), inputs)
    await write(ground, ground.ns, "kept")
    await resource.delete(ground.context(), id, inputs, made)
    assert await text_in(ground, ground.ns) == "kept\n"

    mortal = VolumeInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), mortal)  # found again, data and all
    assert await text_in(ground, ground.ns) == "kept\n"
    await resource.delete(ground.context(), id, mortal, made)
    assert await module.find(ground.there, ground.ns) is None
    await resource.delete(ground.context(), id, mortal, made)


@pytest.mark.docker
async def test_one_of_somebody_else_is_left_alone(ground: Ground) -> None:
    ground.docker("volume", "create", ground.ns)
    ctx, inputs = ground.context(), VolumeInputs(name=ground.ns)
    with pytest.raises(Conflict, match="is there already and is not ours"):
        await resource.create(ctx, inputs)
    assert ctx.last_made is None
    for state in (VolumeOutputs(), VolumeOutputs(mountpoint="/var/lib/docker/volumes/x/_data")):
        await resource.delete(ground.context(), ground.ns, inputs, state)
        assert await module.find(ground.there, ground.ns) is not None
    assert "made by somebody else" in ground.sink.warnings[0]


@pytest.mark.docker
async def test_drift_and_repair(ground: Ground) -> None:
    inputs = VolumeInputs(name=ground.ns, labels={"team": "a"})
    id, made = await resource.create(ground.context(), inputs)
    assert await resource.read(ground.context(), id, inputs, made) == (inputs, made)
    ground.docker("volume", "rm", ground.ns)
    assert await resource.read(ground.context(), id, inputs, made) is None
    ground.docker("volume", "create", "--label", "dev.anytier.role=volume", "--label", "team=b", ground.ns)
    found = await resource.read(ground.context(), id, inputs, made)
    assert found is not None
    assert found[0].labels == {"team": "b"}


@pytest.mark.docker
async def test_labels_are_for_good_and_data_is_not_risked_for_them(ground: Ground) -> None:
    await ground.base()
    inputs = VolumeInputs(name=ground.ns, labels={"team": "a"})
    id, made = await resource.create(ground.context(), inputs)
    await write(ground, ground.ns, "safe")
    with pytest.raises(Rejected, match="cannot change the labels"):
        await resource.update(ground.context(), id, inputs, made, inputs.model_copy(update={"labels": {"team": "b"}}))
    assert await text_in(ground, ground.ns) == "safe\n"


@pytest.mark.docker
async def test_an_imported_one_is_ours_from_then_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    ground.docker("volume", "create", "--label", "team=a", ground.ns)
    found = await resource.read(ground.context(), ground.ns, None, None)
    assert found is not None
    inputs, state = found
    assert inputs == VolumeInputs(name=ground.ns, labels={"team": "a"})
    assert await resource.read(ground.context(), ground.ns, inputs, state) == found
    retained = inputs.model_copy(update={"retain": True})
    assert await resource.update(ground.context(), ground.ns, inputs, state, retained) == state
    await resource.delete(ground.context(), ground.ns, inputs, state)
    assert await module.find(ground.there, ground.ns) is None


@pytest.mark.docker
async def test_delete_waits_for_containers_that_are_going(ground: Ground) -> None:
    inputs = VolumeInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    mounts = [{"Type": "volume", "Source": ground.ns, "Target": "/data"}]
    container = await ground.container(await ground.base(), "sleep", "100", Mounts=mounts)

    async def leave() -> None:
        await asyncio.sleep(1)
        await ground.there.delete(f"containers/{container}", force=True)

    await asyncio.gather(leave(), resource.delete(ground.context(), id, inputs, made))
    assert await module.find(ground.there, ground.ns) is None


@pytest.mark.docker
async def test_delete_names_who_still_uses_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "patiently", impatient)
    inputs = VolumeInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    mounts = [{"Type": "volume", "Source": ground.ns, "Target": "/data"}]
    await ground.container(await ground.base(), "sleep", "100", Mounts=mounts)
    with pytest.raises(Conflict) as caught:
        await resource.delete(ground.context(), id, inputs, made)
    assert caught.value.what == f"is used by {ground.ns}-c"
    assert await module.find(ground.there, ground.ns) is not None


async def test_a_daemon_that_is_away_is_an_error_and_not_a_deletion(tmp_path: Path) -> None:
    inputs = VolumeInputs(name="a", endpoint=Endpoint(host=f"unix://{tmp_path}/none.sock"))
    ctx = Ground.without_daemon()
    state = VolumeOutputs(mountpoint="x")
    for work in (resource.read(ctx, "a", inputs, state), resource.delete(ctx, "a", inputs, state)):
        with pytest.raises(Unreachable):
            await work
    with pytest.raises(Unreachable):
        await resource.create(ctx, inputs)
    assert ctx.last_made is None
