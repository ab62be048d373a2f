"""Which machines the suite may load: those on a bridge of this machine, and no others."""

from __future__ import annotations

import pytest

from anytier.conformance.places.kubeadm import network_of

LINKS = [
    {"ifname": "docker0", "addr_info": [{"family": "inet", "local": "172.17.0.1", "prefixlen": 16}]},
    {"ifname": "br-1", "addr_info": [{"family": "inet", "local": "192.168.0.1", "prefixlen": 20}]},
    {"ifname": "br-2"},
]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.168.0.3", "192.168.0.0/20"),
        ("172.17.255.9", "172.17.0.0/16"),
        ("192.168.16.3", None),
        ("10.0.0.11", None),
    ],
)
def test_only_a_bridge_of_this_machine_holds_an_address(address: str, network: str | None) -> None:
    assert network_of(address, LINKS) == network
