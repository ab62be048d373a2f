"""A whole Debian guest: made, reached over SSH by the host key that we made, changed while it runs, shut down."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import asyncssh
import pytest

from anytier.provider.libvirt.connection import there
from anytier.provider.libvirt.domain import DomainInputs, DomainResource, find
from anytier.provider.libvirt.image import Source
from anytier.provider.libvirt.network import NetworkInputs, NetworkResource
from anytier.provider.libvirt.pool import PoolInputs, PoolResource
from anytier.provider.libvirt.power import Wait
from anytier.provider.libvirt.seed import SecretUser, SeedIsoInputs, SeedIsoResource
from anytier.provider.libvirt.volume import VolumeInputs, VolumeResource
from anytier.render.libvirt.domain import Disk, Kernel, Nic
from anytier.render.libvirt.network import Subnet
from anytier.render.libvirt.seed import Ethernet, Match
from anytier.render.libvirt.storage import Backing

from . import guest
from .ground import Ground

pytestmark = pytest.mark.e2e
NAME = "anytier-test-guest"
MAC = "52:54:00:0a:0b:0c"
ARGUMENTS = "root=/dev/vda rw console=ttyS0 net.ifnames=1"


async def test_a_guest_boots_and_its_first_ssh_is_verified(real: Ground, tmp_path: Path) -> None:
    if reason := guest.missing():
        pytest.skip(reason)
    files = await asyncio.to_thread(guest.ensure)
    digest = hashlib.sha256(files.disk.read_bytes()).hexdigest()
    key = asyncssh.generate_private_key("ssh-ed25519")
    user = SecretUser(name="deploy", keys=[key.export_public_key().decode().strip()], sudo=True)
    pools, volumes, seeds = PoolResource(), VolumeResource(), SeedIsoResource()
    networks, machines = NetworkResource(), DomainResource()

    lan = NetworkInputs(
        host=real.host,
        name=NAME,
        mode="open",
        subnets=[Subnet(cidr="10.213.8.0/24", dhcp=["10.213.8.10", "10.213.8.99"])],
    )
    await networks.create(real.context(), lan)
    await pools.create(real.context(), PoolInputs(host=real.host, name=NAME, path=str(tmp_path / "pool")))
    base = VolumeInputs(
        host=real.host, pool=NAME, name="base.qcow2", source=Source(file=str(files.disk), sha256=digest)
    )
    _, base_made = await volumes.create(real.context(), base)
    root = VolumeInputs(
        host=real.host, pool=NAME, name="root.qcow2", size=3 * 2**30, backing=Backing(path=base_made.path)
    )
    _, root_made = await volumes.create(real.context(), root)
    seed = SeedIsoInputs(
        host=real.host,
        pool=NAME,
        name="seed.iso",
        hostname="guest-0",
        users=[user],
        ethernets={"lan": Ethernet(match=Match(macaddress=MAC), dhcp4=True)},
    )
    assert seeds.check(seed) == []
    _, seed_made = await seeds.create(real.context(), seed)
    wanted = DomainInputs(
        host=real.host,
        name=NAME,
        vcpus=2,
        memory=1024,
        accelerator="tcg",
        kernel=Kernel(path=str(files.kernel), initrd=str(files.initrd), arguments=ARGUMENTS),
        # no CD-ROM: kernels made for clouds have no driver for one
        disks=[Disk(path=root_made.path), Disk(path=seed_made.path, format="raw", read_only=True)],
        nics=[Nic(network=NAME, mac=MAC)],
        console_log=str(tmp_path / "console.log"),
        wait=Wait(until="port", port=22, timeout=300),
    )
    assert machines.check(wanted) == []
    started = time.monotonic()
    id, made = await machines.create(real.context(), wanted)
    print(f"SSH answers {time.monotonic() - started:.0f} s after the start")
    assert made.addresses and made.addresses[0].startswith("10.213.8.")
    assert any(line.startswith("booting") for line in real.sink.lines)
    assert await machines.read(real.context(), id, wanted, made) == (wanted, made)

    known = asyncssh.import_known_hosts(f"{made.addresses[0]} {seed_made.host_public_key}\n")
    options = {"username": "deploy", "client_keys": [key], "config": None, "agent_path": None, "connect_timeout": 60}
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    wrong = asyncssh.import_known_hosts(f"{made.addresses[0]} {other}\n")
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await asyncssh.connect(made.addresses[0], known_hosts=wrong, **options)
    async with asyncssh.connect(made.addresses[0], known_hosts=known, **options) as ssh:
        assert (await ssh.run("hostname", check=True)).stdout.strip() == "guest-0"
        assert (await ssh.run("sudo -n id -u", check=True)).stdout.strip() == "0"

        # Plugged in, and out again, while it runs
        data = VolumeInputs(host=real.host, pool=NAME, name="data.qcow2", size=2**30, retain=True)
        _, data_made = await volumes.create(real.context(), data)
        more = wanted.model_copy(update={"disks": [*wanted.disks, Disk(path=data_made.path, serial="data")]})
        after = await machines.update(real.context(), id, wanted, made, more)
        assert after.pending == [] and await machines.read(real.context(), id, more, after) == (more, after)
        shown = await ssh.run("for i in $(seq 20); do lsblk -no SERIAL,SIZE | grep data && break; sleep 1; done")
        assert str(shown.stdout).split() == ["data", "1G"]
        less = await machines.update(real.context(), id, more, after, wanted)
        assert less.pending == []
        found = await find(real.there, NAME)
        assert found is not None and found.live is not None

    begun = time.monotonic()
    await machines.delete(real.context(), id, wanted, less)
    print(f"shut down and removed in {time.monotonic() - begun:.0f} s")
    assert not any("switching it off" in line for line in real.sink.lines), "it did not shut down by itself"
    assert Path(data_made.path).exists() and Path(root_made.path).exists()
    assert await machines.read(real.context(), id, wanted, less) is None
    assert await there(real.host) is real.there
