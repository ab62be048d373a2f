"""Machines under QEMU without acceleration, most of them without a guest: what libvirt and QEMU themselves do."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import Conflict, Rejected
from anytier.provider.libvirt import domain as module
from anytier.provider.libvirt.connection import there
from anytier.provider.libvirt.domain import DomainInputs, DomainOutputs, DomainResource
from anytier.provider.libvirt.network import NetworkInputs, NetworkResource
from anytier.provider.libvirt.pool import PoolInputs, PoolResource
from anytier.provider.libvirt.power import Wait
from anytier.provider.libvirt.volume import VolumeInputs, VolumeResource
from anytier.render.libvirt import machine as form
from anytier.render.libvirt.domain import Disk, Kernel, Nic
from anytier.render.libvirt.network import Lease, Subnet

from . import guest
from .daemon import Libvirtd
from .ground import Ground

pytestmark = pytest.mark.e2e

NAME = "anytier-test-vm"
resource, networks = DomainResource(), NetworkResource()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(path=_disk(tmp_path / "root.qcow2"))


def _disk(file: Path) -> str:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", file, "64M"], check=True, timeout=60)
    return str(file)


def inputs(ground: Ground, **fields: Any) -> DomainInputs:
    given = {"host": ground.host, "name": NAME, "memory": 128, "accelerator": "tcg", "stop_timeout": 0.5}
    return DomainInputs(**{**given, **fields})


async def running(ground: Ground) -> Any:
    found = await module.find(ground.there, NAME)
    assert found is not None and found.live is not None
    return found.live


async def test_made_read_imported_and_removed(real: Ground, disk: Disk, tmp_path: Path) -> None:
    wanted = inputs(real, disks=[disk], console_log=str(tmp_path / "console.log"), autostart=True, nics=[Nic()])
    id, made = await resource.create(real.context(), wanted)
    assert await resource.read(real.context(), id, wanted, made) == (wanted, made)
    root = await running(real)
    assert root.get("type") == "qemu" and root.find("os/type").get("machine").startswith("pc-q35")
    assert root.find("devices/graphics") is None
    found = await resource.read(real.context(), f"{real.host.uri}|{id}", None, None)
    assert found is not None and found[1] == made
    assert await resource.update(real.context(), id, *found, found[0]) == made
    assert await resource.create(real.context(), wanted) == (id, made)
    await resource.delete(real.context(), id, wanted, made)
    assert await resource.read(real.context(), id, wanted, made) is None
    assert Path(disk.path).exists()


async def test_a_guest_that_does_not_stop_is_switched_off_at_the_deadline(real: Ground, disk: Disk) -> None:
    wanted = inputs(real, disks=[disk], stop_timeout=1.5)
    id, made = await resource.create(real.context(), wanted)
    started = time.monotonic()
    await resource.delete(real.context(), id, wanted, made)
    assert 1.5 <= time.monotonic() - started < 10
    assert any("switching it off" in line for line in real.sink.lines)


async def test_devices_are_plugged_while_it_runs_and_keep_their_place(real: Ground, disk: Disk, tmp_path: Path) -> None:
    wanted = inputs(real, disks=[disk], nics=[Nic()], max_memory=256)
    id, made = await resource.create(real.context(), wanted)
    before = await running(real)
    more = wanted.model_copy(
        update={
            "disks": [Disk(path=_disk(tmp_path / "data.qcow2"), serial="data"), disk],
            "nics": [Nic(model="e1000e", mac="52:54:00:11:22:33"), Nic()],
        }
    )
    assert resource.foretold(wanted, made, more) == []
    after = await resource.update(real.context(), id, wanted, made, more)
    now = await running(real)
    assert now.get("id") == before.get("id"), "it was restarted"
    assert after.targets == ["vdb", "vda"] and after.pending == []
    for one in ({"disk": disk.path}, {"mac": made.macs[0]}):
        old, new = form.device(before, **one), form.device(now, **one)
        assert old is not None and new is not None
        assert old.find("address").attrib == new.find("address").attrib  # type: ignore[union-attr]
    lasting = (await module.find(real.there, NAME)).lasting  # type: ignore[union-attr]
    for one in ({"disk": more.disks[0].path}, {"mac": "52:54:00:11:22:33"}):
        live, kept = form.device(now, **one), form.device(lasting, **one)
        assert live is not None and kept is not None
        assert live.find("address").attrib == kept.find("address").attrib  # type: ignore[union-attr]
    assert await resource.read(real.context(), id, more, after) == (more, after)


async def test_what_needs_a_restart_gets_one(real: Ground, disk: Disk) -> None:
    wanted = inputs(real, disks=[disk])
    id, made = await resource.create(real.context(), wanted)
    before = await running(real)
    more = wanted.model_copy(update={"memory": 192, "vcpus": 2})
    assert "restarts" in resource.foretold(wanted, made, more)[0]
    after = await resource.update(real.context(), id, wanted, made, more)
    now = await running(real)
    assert now.get("id") != before.get("id") and now.findtext("vcpu") == "2"
    assert await resource.read(real.context(), id, more, after) == (more, after)


async def test_a_disk_that_grows_under_a_running_machine(real: Ground, tmp_path: Path) -> None:
    pools, volumes = PoolResource(), VolumeResource()
    await pools.create(
        real.context(), PoolInputs(host=real.host, name="anytier-test-grow", path=str(tmp_path / "pool"))
    )
    volume = VolumeInputs(host=real.host, pool="anytier-test-grow", name="root.qcow2", size=2**26)
    volume_id, root = await volumes.create(real.context(), volume)
    wanted = inputs(real, disks=[Disk(path=root.path)])
    await resource.create(real.context(), wanted)
    more = volume.model_copy(update={"size": 2**27})
    await volumes.update(real.context(), volume_id, volume, root, more)
    size = await real.raw(lambda raw: raw.lookupByName(NAME).blockInfo("vda")[0])
    assert size == 2**27
    assert (await volumes.read(real.context(), volume_id, more, root.model_copy(update={"size": 2**27}))) is not None


async def test_uefi_with_secure_boot_and_its_nvram_goes_with_it(real: Ground, disk: Disk, libvirtd: Libvirtd) -> None:
    if not Path("/usr/share/qemu/firmware").is_dir():
        pytest.skip("no UEFI firmware is installed (apt-get install ovmf)")
    wanted = inputs(real, disks=[disk], firmware="uefi", secure_boot=True)
    id, made = await resource.create(real.context(), wanted)
    root = await running(real)
    assert root.find("os/loader").get("secure") == "yes"
    nvram = list((libvirtd.folder / "lib" / "qemu" / "nvram").glob(f"{NAME}*"))
    assert len(nvram) == 1
    assert await resource.read(real.context(), id, wanted, made) == (wanted, made)
    more = wanted.model_copy(update={"description": "still the same NVRAM"})
    after = await resource.update(real.context(), id, wanted, made, more)
    assert await resource.read(real.context(), id, more, after) == (more, after)
    await resource.delete(real.context(), id, more, after)
    assert not nvram[0].exists()


async def test_snapshots_do_not_hinder_deletion(real: Ground, disk: Disk) -> None:
    wanted = inputs(real, disks=[disk])
    id, made = await resource.create(real.context(), wanted)
    text = "<domainsnapshot><name>s</name></domainsnapshot>"
    await real.raw(lambda raw: raw.lookupByName(NAME).snapshotCreateXML(text, 0))
    await resource.delete(real.context(), id, wanted, made)
    assert await module.find(real.there, NAME) is None


async def test_what_cannot_start_is_on_record_and_started_by_the_next_run(real: Ground, tmp_path: Path) -> None:
    file = tmp_path / "late.qcow2"
    wanted = inputs(real, disks=[Disk(path=str(file))])
    ctx = real.context()
    with pytest.raises(Rejected, match=r"late\.qcow2"):
        await resource.create(ctx, wanted)
    assert ctx.last_made is not None and isinstance(ctx.last_made.outputs, DomainOutputs)
    _disk(file)
    made = await resource.update(real.context(), NAME, wanted, ctx.last_made.outputs, wanted)
    assert await resource.read(real.context(), NAME, wanted, made) == (wanted, made)


async def test_a_guest_that_does_not_come_up_shows_its_last_words(real: Ground, disk: Disk, tmp_path: Path) -> None:
    if reason := guest.missing():
        pytest.skip(reason)
    made = await asyncio.to_thread(guest.ensure)
    wanted = inputs(
        real,
        memory=512,
        disks=[disk],  # there is no system on it
        kernel=Kernel(path=str(made.kernel), arguments="root=/dev/none console=ttyS0 panic=-1 quiet"),
        console_log=str(tmp_path / "console.log"),
        wait=Wait(until="address", timeout=60),
    )
    with pytest.raises(Rejected) as caught:
        # It starts over and over again, so that it never has an address; or it is off by then.
        await resource.create(real.context(), wanted.model_copy(update={"wait": Wait(until="address", timeout=25)}))
    assert "console's last lines" in caught.value.what and "panic" in caught.value.what.lower()
    assert any(line.startswith("booting") for line in real.sink.lines)


async def test_a_network_with_addresses_and_a_machine_on_it(real: Ground, disk: Disk) -> None:
    lan = NetworkInputs(
        host=real.host,
        name="anytier-test-lan",
        mode="isolated",
        subnets=[Subnet(cidr="10.213.7.0/24", dhcp=["10.213.7.10", "10.213.7.99"])],
    )
    id, made = await networks.create(real.context(), lan)
    assert made.active and made.bridge.startswith("virbr")
    assert await networks.read(real.context(), id, lan, made) == (lan, made)
    wanted = inputs(real, disks=[disk], nics=[Nic(network="anytier-test-lan")])
    machine_id, machine = await resource.create(real.context(), wanted)
    host = Lease(mac=machine.macs[0], ip="10.213.7.5", name="vm")
    more = lan.model_copy(update={"subnets": [lan.subnets[0].model_copy(update={"hosts": [host]})]})
    after = await networks.update(real.context(), id, lan, made, more)
    assert after == made, "the network was made anew"
    live = await real.raw(lambda raw: raw.networkLookupByName("anytier-test-lan").XMLDesc(0))
    assert "10.213.7.5" in live
    assert await networks.read(real.context(), id, more, after) == (more, after)
    with pytest.raises(Conflict, match=NAME):
        await networks.delete(real.context(), id, more, after)
    await resource.delete(real.context(), machine_id, wanted, machine)
    changed = more.model_copy(update={"domain": "lan.test"})
    last = await networks.update(real.context(), id, more, after, changed)
    assert (last.uuid, last.bridge) == (made.uuid, made.bridge)
    assert await networks.read(real.context(), id, changed, last) == (changed, last)
    await networks.delete(real.context(), id, changed, last)
    assert await networks.read(real.context(), id, changed, last) is None


async def test_a_description_of_any_characters_survives(real: Ground) -> None:
    wanted = inputs(real, running=False, description="<b>&amp; \"'\t]]> é😀 $(rm)\n\nend")
    id, made = await resource.create(real.context(), wanted)
    assert await resource.read(real.context(), id, wanted, made) == (wanted, made)


async def test_many_machines_are_defined_fast(real: Ground) -> None:
    wanted = [inputs(real, name=f"anytier-test-{index}", running=False) for index in range(50)]
    started = time.monotonic()
    made = await asyncio.gather(*(resource.create(real.context(), one) for one in wanted))
    took = time.monotonic() - started
    done = zip(wanted, made, strict=True)
    await asyncio.gather(*(resource.delete(real.context(), id, one, out) for one, (id, out) in done))
    assert took < 20, f"50 definitions took {took:.1f} s"
    assert await real.raw(lambda raw: raw.listAllDomains(0)) == []


async def test_a_connection_that_is_lost_is_silence_and_then_opened_again(real: Ground, disk: Disk) -> None:
    wanted = inputs(real, disks=[disk], running=False)
    id, made = await resource.create(real.context(), wanted)
    real.there.close()
    assert await resource.read(real.context(), id, wanted, made) == (wanted, made)
    assert await there(real.host) is real.there
