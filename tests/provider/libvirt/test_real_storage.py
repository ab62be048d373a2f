"""Storage on a real libvirtd: what the in-memory hypervisor does not do."""

from __future__ import annotations

import asyncio
import hashlib
import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from anytier.errors import Conflict, Rejected
from anytier.provider.libvirt import store
from anytier.provider.libvirt.image import Source
from anytier.provider.libvirt.pool import PoolInputs, PoolOutputs, PoolResource
from anytier.provider.libvirt.seed import SeedIsoInputs, SeedIsoResource
from anytier.provider.libvirt.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.render.libvirt import iso
from anytier.render.libvirt.storage import Backing

from .ground import Ground

pytestmark = pytest.mark.e2e

NAME = "anytier-test-pool"
MIB = 2**20
volumes, seeds, pools = VolumeResource(), SeedIsoResource(), PoolResource()


@pytest.fixture
async def pool(real: Ground, tmp_path: Path) -> Path:
    await pools.create(real.context(), PoolInputs(host=real.host, name=NAME, path=str(tmp_path / "pool")))
    return tmp_path / "pool"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A qcow2 of 8 MiB with something in it."""
    raw, made = tmp_path / "image.raw", tmp_path / "image.qcow2"
    raw.write_bytes(b"anytier!" * 2**17 + bytes(7 * MIB))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, made], check=True, timeout=60)
    return made


def source(file: Path) -> Source:
    return Source(file=str(file), sha256=hashlib.sha256(file.read_bytes()).hexdigest())


def info(file: str) -> Any:
    done = subprocess.run(
        ["qemu-img", "info", "-U", "--output=json", file], capture_output=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


async def test_a_pools_folder_is_made_and_goes_only_if_it_is_empty(real: Ground, tmp_path: Path) -> None:
    wanted = PoolInputs(host=real.host, name=NAME, path=str(tmp_path / "a" / "b"), remove_folder=True)
    id, made = await pools.create(real.context(), wanted)
    file = tmp_path / "a" / "b" / "data.raw"
    file.write_bytes(b"data")
    await pools.delete(real.context(), id, wanted, made)
    assert file.read_bytes() == b"data"
    file.unlink()
    id, made = await pools.create(real.context(), wanted)
    assert await pools.read(real.context(), id, wanted, made) == (wanted, made)
    await pools.delete(real.context(), id, wanted, made)
    assert not file.parent.exists()


async def test_a_base_image_an_overlay_of_it_and_more_room(real: Ground, pool: Path, image: Path) -> None:
    base = VolumeInputs(host=real.host, pool=NAME, name="base.qcow2", source=source(image))
    base_id, made = await volumes.create(real.context(), base)
    assert made == VolumeOutputs(path=str(pool / "base.qcow2"), size=8 * MIB, whole=True)
    assert (pool / "base.qcow2").read_bytes()[: image.stat().st_size] == image.read_bytes()
    assert await volumes.read(real.context(), base_id, base, made) == (base, made)
    assert stat.S_IMODE((pool / "base.qcow2").stat().st_mode) == 0o600

    root = VolumeInputs(host=real.host, pool=NAME, name="root.qcow2", size=16 * MIB, backing=Backing(path=made.path))
    id, over = await volumes.create(real.context(), root)
    assert info(over.path)["backing-filename"] == made.path and over.size == 16 * MIB
    assert await volumes.read(real.context(), id, root, over) == (root, over)
    imported = await volumes.read(real.context(), f"{real.host.uri}|{id}", None, None)
    assert imported is not None and imported[0] == root

    with pytest.raises(Conflict, match=r"volume root\.qcow2"):
        await _impatient(volumes.delete(real.context(), base_id, base, made))
    more = root.model_copy(update={"size": 32 * MIB})
    grown = await volumes.update(real.context(), id, root, over, more)
    assert grown.size == info(over.path)["virtual-size"] == 32 * MIB
    assert await volumes.read(real.context(), id, more, grown) == (more, grown)
    with pytest.raises(Rejected, match="cannot shrink"):
        await volumes.update(real.context(), id, more, grown, root)
    await volumes.delete(real.context(), id, more, grown)
    await volumes.delete(real.context(), base_id, base, made)
    assert list(pool.iterdir()) == []


async def test_an_image_gets_the_room_that_is_asked_for(real: Ground, pool: Path, image: Path) -> None:
    wanted = VolumeInputs(host=real.host, pool=NAME, name="root.qcow2", size=64 * MIB, source=source(image))
    _, made = await volumes.create(real.context(), wanted)
    assert info(made.path)["virtual-size"] == made.size == 64 * MIB
    small = wanted.model_copy(update={"name": "b.qcow2", "size": MIB})
    ctx = real.context()
    with pytest.raises(Rejected, match="less than its image"):
        await volumes.create(ctx, small)
    assert ctx.last_made is None and not (pool / "b.qcow2").exists()


async def test_another_format_than_said_is_refused_before_anything_is_made(
    real: Ground, pool: Path, image: Path
) -> None:
    wanted = VolumeInputs(host=real.host, pool=NAME, name="a.raw", format="raw", source=source(image))
    ctx = real.context()
    with pytest.raises(Rejected, match="its image is qcow2"):
        await volumes.create(ctx, wanted)
    assert ctx.last_made is None and list(pool.iterdir()) == []


async def test_a_transfer_that_is_stopped_is_on_record_and_made_whole_by_the_next_run(
    real: Ground, pool: Path, image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = VolumeInputs(host=real.host, pool=NAME, name="a.qcow2", source=source(image))
    ctx = real.context()

    async def stopped(*_: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(store, "fill", stopped)
    with pytest.raises(asyncio.CancelledError):
        await volumes.create(ctx, wanted)
    monkeypatch.undo()
    assert ctx.last_made is not None
    half = ctx.last_made.outputs
    assert isinstance(half, VolumeOutputs) and not half.whole and (pool / "a.qcow2").exists()
    made = await volumes.update(real.context(), ctx.last_made.id, wanted, half, wanted)
    assert made.whole and (pool / "a.qcow2").read_bytes()[: image.stat().st_size] == image.read_bytes()


async def test_many_in_one_pool_at_a_time(real: Ground, pool: Path) -> None:
    wanted = [VolumeInputs(host=real.host, pool=NAME, name=f"v{index}.qcow2", size=MIB) for index in range(30)]
    made = await asyncio.gather(*(volumes.create(real.context(), one) for one in wanted))
    assert len(list(pool.iterdir())) == 30
    done = zip(wanted, made, strict=True)
    await asyncio.gather(*(volumes.delete(real.context(), id, one, out) for one, (id, out) in done))
    assert list(pool.iterdir()) == []


async def test_a_seed_is_private_and_keeps_its_host_key(real: Ground, pool: Path) -> None:
    wanted = SeedIsoInputs(host=real.host, pool=NAME, name="seed.iso", hostname="web-0")
    assert seeds.check(wanted) == []
    id, made = await seeds.create(real.context(), wanted)
    file = Path(made.path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    user = yaml.safe_load(iso.files(file.read_bytes())["user-data"])
    assert user["ssh_keys"] == {"ed25519_private": made.host_private_key, "ed25519_public": made.host_public_key}
    assert await seeds.read(real.context(), id, wanted, made) == (wanted, made)
    assert await seeds.update(real.context(), id, wanted, made, wanted) == made

    more = wanted.model_copy(update={"packages": ["nginx"]})
    after = await seeds.update(real.context(), id, wanted, made, more)
    assert after.host_public_key == made.host_public_key and after.digest != made.digest
    assert yaml.safe_load(iso.files(file.read_bytes())["user-data"])["packages"] == ["nginx"]
    await seeds.delete(real.context(), id, more, after)
    assert not file.exists() and await seeds.read(real.context(), id, more, after) is None


async def test_a_pool_with_volumes_goes_and_the_data_stays(real: Ground, pool: Path) -> None:
    wanted = PoolInputs(host=real.host, name=NAME, path=str(pool))
    found = await pools.read(real.context(), NAME, wanted, None)
    assert found is not None
    await volumes.create(real.context(), VolumeInputs(host=real.host, pool=NAME, name="a.raw", format="raw", size=MIB))
    await pools.delete(real.context(), NAME, *found)
    assert (pool / "a.raw").stat().st_size == MIB
    assert await pools.read(real.context(), NAME, wanted, PoolOutputs(uuid="")) is None


async def _impatient(work: Any) -> None:
    patience = store._PATIENCE
    store._PATIENCE = 0.1
    try:
        await work
    finally:
        store._PATIENCE = patience
