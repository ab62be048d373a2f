"""A virtual network and its XML, both ways. Pure."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from xml.etree.ElementTree import Element

from pydantic import BeforeValidator, Field, StringConstraints

from anytier.frozen import Frozen
from anytier.render.libvirt.xml import attribute, element

Mode = Literal["nat", "route", "open", "isolated", "bridge"]
Mac = Annotated[
    str,
    BeforeValidator(lambda given: given.lower() if isinstance(given, str) else given),
    StringConstraints(pattern="^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$"),
]


class Lease(Frozen):
    """An address that is kept for one machine."""

    mac: Mac
    ip: str
    name: str | None = None


class Subnet(Frozen):
    """One range of addresses. `gateway`: the host's own, the first one if not said. `dhcp`: from, to."""

    cidr: str
    gateway: str | None = None
    dhcp: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    hosts: list[Lease] = Field(default_factory=list)


class Network(Frozen):
    """`bridge` is the host's device: made by libvirt, or for mode `bridge` one that is there. `domain` is DNS's."""

    name: str
    mode: Mode = "nat"
    bridge: str | None = None
    domain: str | None = None
    mtu: int | None = Field(default=None, ge=576, le=65535)
    subnets: list[Subnet] = Field(default_factory=list)


def gateway(subnet: Subnet) -> str:
    """The host's address; ValueError where a subnet is none."""
    return subnet.gateway or str(next(ipaddress.ip_network(subnet.cidr).hosts()))


def render(network: Network, uuid: str) -> Element:
    # isolated is how libvirt calls a network that forwards nothing
    forward = None if network.mode == "isolated" else element("forward", mode=network.mode)
    named = network.mode == "bridge" or network.bridge is not None
    return element(
        "network",
        element("name", text=network.name),
        element("uuid", text=uuid),
        forward,
        element("bridge", name=network.bridge, **_spanning(network)) if named else None,
        None if network.mtu is None else element("mtu", size=str(network.mtu)),
        None if network.domain is None else element("domain", name=network.domain, localOnly="yes"),
        *(_ip(subnet) for subnet in network.subnets),
    )


def lease(host: Lease) -> Element:
    return element("host", mac=host.mac, name=host.name, ip=host.ip)


def parse(root: Element) -> Network:
    size = attribute(root, "mtu", "size")
    mode = attribute(root, "forward", "mode") or ("nat" if root.find("forward") is not None else "isolated")
    return Network.model_validate(
        {
            "name": root.findtext("name"),
            "mode": mode,
            "bridge": attribute(root, "bridge", "name"),
            "domain": attribute(root, "domain", "name"),
            "mtu": None if size is None else int(size),
            "subnets": [_subnet(item) for item in root.findall("ip")],
        }
    )


def uuid_of(root: Element) -> str:
    return str(root.findtext("uuid"))


def _spanning(network: Network) -> dict[str, str]:
    return {} if network.mode == "bridge" else {"stp": "on", "delay": "0"}


def _ip(subnet: Subnet) -> Element:
    net = ipaddress.ip_network(subnet.cidr)
    span = None if subnet.dhcp is None else element("range", start=subnet.dhcp[0], end=subnet.dhcp[1])
    served = span is not None or bool(subnet.hosts)
    return element(
        "ip",
        element("dhcp", span, *map(lease, subnet.hosts)) if served else None,
        family="ipv6" if net.version == 6 else "ipv4",
        address=gateway(subnet),
        prefix=str(net.prefixlen),
    )


def _subnet(root: Element) -> Subnet:
    address, length = str(root.get("address")), root.get("prefix") or root.get("netmask") or "32"
    net = ipaddress.ip_network(f"{address}/{length}", strict=False)
    span = root.find("dhcp/range")
    hosts = [
        {"mac": str(item.get("mac")).lower(), "ip": item.get("ip"), "name": item.get("name")}
        for item in root.findall("dhcp/host")
    ]
    return Subnet.model_validate(
        {
            "cidr": str(net),
            "gateway": address,
            "dhcp": None if span is None else [span.get("start"), span.get("end")],
            "hosts": hosts,
        }
    )
