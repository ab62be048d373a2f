"""Networks on libvirt's in-memory hypervisor: made, found again, changed, left alone where they are another's."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.errors import Conflict, Unreachable
from anytier.provider.libvirt import network as module
from anytier.provider.libvirt.connection import Hypervisor
from anytier.provider.libvirt.network import NetworkInputs, NetworkOutputs, NetworkResource
from anytier.render.libvirt.network import Lease, Subnet

from .ground import Ground

resource = NetworkResource()
TEST = Hypervisor(uri="test:///default")
LAN = Subnet(cidr="10.7.0.0/24", dhcp=["10.7.0.10", "10.7.0.99"])
HOST = Lease(mac="52:54:00:00:00:01", ip="10.7.0.5", name="db")


def inputs(**fields: Any) -> NetworkInputs:
    return NetworkInputs(**{"host": TEST, "name": "lan", "subnets": [LAN], **fields})


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"name": ""}, "name"),
        ({"name": "../../etc"}, "name"),
        ({"mode": "bridge", "subnets": []}, "bridge"),
        ({"mode": "bridge", "bridge": "br0"}, "subnets"),
        ({"bridge": "a bridge with a long name"}, "bridge"),
        ({"domain": "a\0"}, "domain"),
        ({"subnets": [Subnet(cidr="10.7.0.1/24")]}, "subnets[0].cidr"),
        ({"subnets": [Subnet(cidr="10.7.0.0/31")]}, "subnets[0].cidr"),
        ({"subnets": [Subnet(cidr="fd00::zz/64")]}, "subnets[0].cidr"),
        ({"subnets": [LAN, Subnet(cidr="10.7.0.128/25")]}, "subnets[1].cidr"),
        ({"subnets": [Subnet(cidr="10.7.0.0/24", gateway="10.8.0.1")]}, "subnets[0].gateway"),
        ({"subnets": [Subnet(cidr="10.7.0.0/24", dhcp=["10.7.0.9", "10.7.0.2"])]}, "subnets[0].dhcp"),
        ({"subnets": [Subnet(cidr="10.7.0.0/24", dhcp=["10.7.0.9", "x"])]}, "subnets[0].dhcp[1]"),
        ({"subnets": [LAN.model_copy(update={"hosts": [HOST, HOST]})]}, "subnets[0].hosts[1].mac"),
        ({"host": Hypervisor(uri="esx://h/")}, "host.uri"),
    ],
)
def test_what_is_refused_at_preview(fields: dict[str, Any], path: str) -> None:
    errors = resource.check(inputs(**fields))
    assert errors and errors[0].path == path and errors[0].do


def test_what_is_fine() -> None:
    assert resource.check(inputs(subnets=[LAN.model_copy(update={"hosts": [HOST]}), Subnet(cidr="fd00::/64")])) == []
    assert resource.check(inputs(mode="bridge", bridge="br0", subnets=[])) == []


async def test_made_read_and_removed(ground: Ground) -> None:
    wanted = inputs(subnets=[LAN.model_copy(update={"hosts": [HOST]})])
    id, made = await resource.create(ground.context(), wanted)
    assert id == "lan" and made.active
    assert resource.drifted(wanted, made) == []
    assert await resource.read(ground.context(), id, wanted, made) == (wanted, made)
    await resource.delete(ground.context(), id, wanted, made)
    assert await resource.read(ground.context(), id, wanted, made) is None
    await resource.delete(ground.context(), id, wanted, made)


async def test_made_once_whoever_asks(ground: Ground) -> None:
    assert await resource.create(ground.context(), inputs()) == await resource.create(ground.context(), inputs())


async def test_imported_it_is_as_it_was_asked_for(ground: Ground) -> None:
    _, made = await resource.create(ground.context(), inputs())
    found = await resource.read(ground.context(), "test:///default|lan", None, None)
    assert found == (inputs(), made)


async def test_one_of_somebody_else_is_left_alone(ground: Ground) -> None:
    await resource.create(ground.context("urn:other"), inputs())
    ctx = ground.context()
    with pytest.raises(Conflict, match="is there already and is not ours") as caught:
        await resource.create(ctx, inputs())
    assert "pulumi import" in caught.value.do and ctx.last_made is None
    await resource.delete(ground.context(), "lan", inputs(), NetworkOutputs(uuid="mine"))
    assert await module.find(ground.there, "lan") is not None
    assert "made by somebody else" in ground.sink.warnings[0]


async def test_a_kept_address_changes_while_machines_run_on_it(ground: Ground) -> None:
    wanted = inputs(
        name="default", subnets=[Subnet(cidr="192.168.122.0/24", dhcp=["192.168.122.128", "192.168.122.253"])]
    )
    seen = await resource.read(ground.context(), "test:///default|default", None, None)
    assert seen is not None
    await ground.raw(lambda raw: _machine_on(raw, "default"))
    host = HOST.model_copy(update={"ip": "192.168.122.5"})
    more = seen[0].model_copy(
        update={"subnets": [seen[0].subnets[0].model_copy(update={"hosts": [host]}), *seen[0].subnets[1:]]}
    )
    made = await resource.update(ground.context(), "default", seen[0], seen[1], more)
    found = await resource.read(ground.context(), "default", more, made)
    assert found is not None and found[0].subnets[0].hosts == [host]
    less = await resource.update(ground.context(), "default", more, made, seen[0])
    found = await resource.read(ground.context(), "default", seen[0], less)
    assert found is not None and found[0].subnets[0].hosts == []
    with pytest.raises(Conflict, match="guest"):
        changed = more.model_copy(update={"domain": "other.test"})
        await resource.update(ground.context(), "default", more, made, changed)
    with pytest.raises(Conflict, match="guest"):
        await resource.delete(ground.context(), "default", wanted, made)


def _machine_on(raw: Any, network: str) -> None:
    raw.createXML(
        f"""<domain type='test'><name>guest</name><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>
        <interface type='network'><source network='{network}'/></interface></devices></domain>""", 0
    )  # fmt: skip


async def test_other_settings_change_in_place_and_it_keeps_its_identity(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    wider = inputs(domain="lan.test", subnets=[LAN, Subnet(cidr="10.8.0.0/24")], autostart=False)
    after = await resource.update(ground.context(), id, inputs(), made, wider)
    assert after.uuid == made.uuid and after.active
    assert await resource.read(ground.context(), id, wider, after) == (wider, after)


async def test_drift_is_seen_and_repaired(ground: Ground) -> None:
    id, made = await resource.create(ground.context(), inputs())
    await ground.raw(lambda raw: raw.networkLookupByName("lan").destroy())
    await ground.raw(lambda raw: raw.networkLookupByName("lan").setAutostart(0))
    seen = await resource.read(ground.context(), id, inputs(), made)
    assert seen is not None and not seen[0].autostart and resource.drifted(*seen) == ["name"]
    repaired = await resource.update(ground.context(), id, seen[0], seen[1], inputs())
    assert await resource.read(ground.context(), id, inputs(), repaired) == (inputs(), made)


async def test_silence_is_not_absence(closed: None, tmp_path: Any) -> None:
    away = inputs(host=Hypervisor(uri=f"qemu+unix:///system?socket={tmp_path}/none"))
    state = NetworkOutputs(uuid="a")
    ctx = Ground.without_hypervisor()
    for work in (resource.read(ctx, "lan", away, state), resource.delete(ctx, "lan", away, state)):
        with pytest.raises(Unreachable):
            await work
    with pytest.raises(Unreachable):
        await resource.create(ctx, away)
    assert ctx.last_made is None
