from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.libvirt import network, xml
from anytier.render.libvirt.network import Lease, Network, Subnet

from . import samples
from .schema import golden


@st.composite
def subnets(draw: st.DrawFn) -> Subnet:
    base = draw(st.ip_addresses(v=4)) if draw(st.booleans()) else draw(st.ip_addresses(v=6))
    net = ipaddress.ip_network(f"{base}/{24 if base.version == 4 else 64}", strict=False)
    first, last = str(net[10]), str(net[99])
    hosts = [
        Lease(mac=mac, ip=str(net[5]), name=draw(st.none() | samples.texts)) for mac in draw(st.lists(samples.macs))
    ]
    return Subnet(cidr=str(net), gateway=str(net[1]), dhcp=draw(st.none() | st.just([first, last])), hosts=hosts)


networks = st.builds(
    Network,
    name=samples.texts,
    mode=st.sampled_from(["nat", "route", "open", "isolated", "bridge"]),
    bridge=st.none() | samples.texts,
    domain=st.none() | samples.texts,
    mtu=st.none() | st.integers(576, 9000),
    subnets=st.lists(subnets(), max_size=3),
)


@given(networks.filter(lambda one: one.mode != "bridge" or one.bridge is not None))
def test_what_is_written_is_read_back(one: Network) -> None:
    root = xml.read(xml.written(network.render(one, samples.UUID)))
    assert network.parse(root) == one
    assert network.uuid_of(root) == samples.UUID


@pytest.mark.parametrize("name", samples.NETWORKS)
def test_a_network_is_written_as_it_was(name: str, request: pytest.FixtureRequest) -> None:
    text = xml.written(network.render(samples.NETWORKS[name], samples.UUID))
    golden(f"network-{name}.xml", text, request)


def test_the_host_has_the_first_address_unless_told() -> None:
    assert network.gateway(Subnet(cidr="10.0.0.0/24")) == "10.0.0.1"
    assert network.gateway(Subnet(cidr="10.0.0.0/24", gateway="10.0.0.254")) == "10.0.0.254"


def test_a_netmask_is_as_good_as_a_prefix() -> None:
    root = xml.read("<network><name>a</name><ip address='10.1.2.1' netmask='255.255.255.0'/></network>")
    assert network.parse(root).subnets == [Subnet(cidr="10.1.2.0/24", gateway="10.1.2.1")]
