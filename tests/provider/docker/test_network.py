from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from anytier.errors import Conflict, Unreachable
from anytier.provider.docker import network as module
from anytier.provider.docker.client import Endpoint
from anytier.provider.docker.network import NetworkInputs, NetworkOutputs, NetworkResource
from anytier.provider.docker.patience import patiently

from .ground import Ground, impatient

resource = NetworkResource()


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "../../etc", "é", "a" * 129, "host", "bridge", "none", "a\n"])
def test_names_that_are_refused(name: str) -> None:
    (error,) = resource.check(NetworkInputs(name=name))
    assert error.path == "name"
    assert error.do


def test_names_that_are_fine() -> None:
    for name in ("a", "anytier-docker-app", "A_b.c", "9"):
        assert resource.check(NetworkInputs(name=name)) == []


@pytest.mark.docker
async def test_containers_know_each_other_by_name(ground: Ground) -> None:
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    assert id == ground.ns
    image = await ground.base()
    await ground.container(image, "sleep", "100", name="one", NetworkMode=ground.ns)
    two = await ground.container(image, "sleep", "100", name="two", NetworkMode=ground.ns)
    found = await ground.there.run(two, ["/bin/busybox", "nslookup", f"{ground.ns}-one"])
    assert found.code == 0, found.out
    assert made.network_id


@pytest.mark.docker
async def test_made_once_whoever_asks(ground: Ground) -> None:
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    assert await resource.create(ground.context(), inputs) == (id, made)
    assert await resource.update(ground.context(), id, inputs, made, inputs) == made
    assert len(await ground.there.get("networks", filters={"name": [ground.ns]})) == 1
    await resource.delete(ground.context(), id, inputs, made)
    assert await resource.read(ground.context(), id, inputs, made) is None
    await resource.delete(ground.context(), id, inputs, made)


@pytest.mark.docker
async def test_one_whose_name_or_id_begins_alike_is_another_one(ground: Ground) -> None:
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    assert await module.find(ground.there, made.network_id[:12]) is None
    ground.docker("network", "create", f"{ground.ns}-longer")
    await resource.delete(ground.context(), id, inputs, made)
    assert await module.find(ground.there, f"{ground.ns}-longer") is not None


@pytest.mark.docker
async def test_one_of_somebody_else_is_left_alone(ground: Ground) -> None:
    ground.docker("network", "create", ground.ns)
    ctx, inputs = ground.context(), NetworkInputs(name=ground.ns)
    with pytest.raises(Conflict, match="is there already and is not ours") as caught:
        await resource.create(ctx, inputs)
    assert f"docker network rm {ground.ns}" in caught.value.do
    assert "pulumi import" in caught.value.do
    assert ctx.last_made is None
    await resource.delete(ground.context(), ground.ns, inputs, NetworkOutputs())
    assert await module.find(ground.there, ground.ns) is not None
    assert "made by somebody else" in ground.sink.warnings[0]


@pytest.mark.docker
async def test_drift_and_repair(ground: Ground) -> None:
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    ground.docker("network", "rm", ground.ns)
    assert await resource.read(ground.context(), id, inputs, made) is None
    again = (await resource.create(ground.context(), inputs))[1]
    assert again.network_id != made.network_id


@pytest.mark.docker
async def test_an_imported_one_is_ours_from_then_on(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    ground.docker("network", "create", ground.ns)
    found = await resource.read(ground.context(), ground.ns, None, None)
    assert found is not None
    inputs, state = found
    assert inputs == NetworkInputs(name=ground.ns)
    assert await resource.update(ground.context(), ground.ns, inputs, state, inputs) == state
    await resource.delete(ground.context(), ground.ns, inputs, state)
    assert await module.find(ground.there, ground.ns) is None
    assert await resource.read(ground.context(), ground.ns, None, None) is None


@pytest.mark.docker
async def test_delete_waits_for_endpoints_that_are_going(ground: Ground) -> None:
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    container = await ground.container(await ground.base(), "sleep", "100", NetworkMode=ground.ns)

    async def leave() -> None:
        await asyncio.sleep(1)
        await ground.there.delete(f"containers/{container}", force=True)

    await asyncio.gather(leave(), resource.delete(ground.context(), id, inputs, made))
    assert await module.find(ground.there, ground.ns) is None


@pytest.mark.docker
async def test_delete_names_who_still_uses_it(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "patiently", impatient)
    inputs = NetworkInputs(name=ground.ns)
    id, made = await resource.create(ground.context(), inputs)
    await ground.container(await ground.base(), "sleep", "100", NetworkMode=ground.ns)
    with pytest.raises(Conflict) as caught:
        await resource.delete(ground.context(), id, inputs, made)
    assert caught.value.what == f"is still used by {ground.ns}-c"
    assert f"docker network disconnect -f {ground.ns}" in caught.value.do
    assert await resource.read(ground.context(), id, inputs, made) == (inputs, made)


async def test_a_daemon_that_is_away_is_an_error_and_not_a_deletion(tmp_path: Path) -> None:
    inputs = NetworkInputs(name="a", endpoint=Endpoint(host=f"unix://{tmp_path}/none.sock"))
    ctx = Ground.without_daemon()
    state = NetworkOutputs(network_id="x")
    for work in (resource.read(ctx, "a", inputs, state), resource.delete(ctx, "a", inputs, state)):
        with pytest.raises(Unreachable):
            await work
    with pytest.raises(Unreachable):
        await resource.create(ctx, inputs)
    assert ctx.last_made is None


async def test_patience_ends_with_the_last_error() -> None:
    tries = []

    async def attempt() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise Conflict("x", f"try {len(tries)}")
        return "done"

    assert await patiently(attempt, Conflict) == "done"
    tries.clear()
    with pytest.raises(Conflict, match="try 1"):
        await patiently(attempt, Conflict, patience=0)
    with pytest.raises(Conflict):
        await patiently(attempt, Unreachable)
