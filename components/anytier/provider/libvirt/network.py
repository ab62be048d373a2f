"""`anytier:libvirt:Network`: a virtual network of a hypervisor, or a name for a bridge that is there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Annotated, Any

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.libvirt import errors
from anytier.provider.libvirt.connection import Hypervisor, There, library, located, there, uuid_for, wrong_host
from anytier.provider.libvirt.naming import not_ours, wrong_name, wrong_text
from anytier.provider.resource import Context, Resource
from anytier.render.libvirt import network as form
from anytier.render.libvirt import xml
from anytier.render.libvirt.network import Lease, Network, Subnet


class NetworkInputs(Network):
    """`name` is also libvirt's. All but name and host changes in place; only kept addresses do so while machines run
    on the network."""

    host: Annotated[Hypervisor, replaces] = Hypervisor()
    name: Annotated[str, replaces]
    autostart: bool = True

    def network(self) -> Network:
        return Network.model_validate(self.model_dump(exclude={"host", "autostart"}))


class NetworkOutputs(Frozen):
    """`bridge`: the host's device. Empty while it is not known that the network is there."""

    uuid: str
    bridge: str = ""
    active: bool = False


class Found(Frozen):
    network: Network
    uuid: str
    active: bool
    autostart: bool


class NetworkResource(Resource[NetworkInputs, NetworkOutputs]):
    inputs = NetworkInputs
    outputs = NetworkOutputs

    def check(self, inputs: NetworkInputs) -> list[AnytierError]:
        return [
            *wrong_host(inputs.host, "networks"),
            *wrong_name(inputs.name),
            *wrong_text(inputs.domain, "domain"),
            *_wrong_bridge(inputs),
            *_wrong_subnets(inputs.subnets),
        ]

    def drifted(self, inputs: NetworkInputs, state: NetworkOutputs) -> list[str]:
        return [] if state.active else ["name"]

    async def create(self, ctx: Context, inputs: NetworkInputs) -> tuple[str, NetworkOutputs]:
        uuid = uuid_for(ctx.urn, inputs.host, inputs.name)
        return inputs.name, await self._ensure(ctx, inputs, uuid)

    async def read(
        self, ctx: Context, id: str, inputs: NetworkInputs | None, state: NetworkOutputs | None
    ) -> tuple[NetworkInputs, NetworkOutputs] | None:
        host, name = (inputs.host, inputs.name) if inputs else located(id)
        found = await find(await there(host), name)
        if found is None:
            return None
        seen = as_asked(inputs, found.network)
        known = NetworkInputs(**dict(seen), host=host, autostart=found.autostart)
        return known, _outputs(found)

    async def update(
        self, ctx: Context, id: str, old_inputs: NetworkInputs, state: NetworkOutputs, inputs: NetworkInputs
    ) -> NetworkOutputs:
        return await self._ensure(ctx, inputs, state.uuid)

    async def delete(self, ctx: Context, id: str, inputs: NetworkInputs, state: NetworkOutputs) -> None:
        place = await there(inputs.host)
        found = await find(place, inputs.name)
        if found is None:
            return
        if found.uuid != state.uuid:
            ctx.left_alone(f"network {inputs.name}")
            return
        await self._unused(place, inputs.name, "stop or unplug them, then run again")
        await place.call(f"network {inputs.name}", lambda raw: _remove(raw, inputs.name))

    async def _ensure(self, ctx: Context, inputs: NetworkInputs, uuid: str) -> NetworkOutputs:
        place, wanted, path = await there(inputs.host), inputs.network(), f"network {inputs.name}"
        place.require("networks", path)
        found = await find(place, inputs.name)
        if found is None:
            ctx.made(inputs.name, NetworkOutputs(uuid=uuid))
            text = xml.written(form.render(wanted, uuid))
            await place.call(path, lambda raw: raw.networkDefineXML(text))
        elif found.uuid != uuid:
            raise not_ours(path, "net-undefine", "Network", inputs.name)
        elif as_asked(inputs, found.network) != as_asked(inputs, wanted):
            await self._change(ctx, place, found, wanted)
        await place.call(path, lambda raw: _run(raw, inputs.name, inputs.autostart))
        made = await find(place, inputs.name)
        if made is None:
            raise NotFound(path, "was removed just now by somebody else", "run again")
        return _outputs(made)

    async def _change(self, ctx: Context, place: There, found: Found, wanted: Network) -> None:
        path = f"network {wanted.name}"
        steps = lease_steps(found.network, wanted)
        if steps is not None:
            await place.call(path, lambda raw: _update_leases(raw, wanted.name, steps, found.active))
            return
        await self._unused(place, wanted.name, "its other settings change only while none does: stop them first")
        if wanted.bridge is None and wanted.mode != "bridge" and found.network.mode != "bridge":
            wanted = wanted.model_copy(update={"bridge": found.network.bridge})
        text = xml.written(form.render(wanted, found.uuid))
        ctx.status("restarting the network")

        def redefine(raw: Any) -> None:
            if found.active:
                raw.networkLookupByName(wanted.name).destroy()
            raw.networkDefineXML(text)

        await place.call(path, redefine)

    async def _unused(self, place: There, name: str, do: str) -> None:
        users = await place.call(f"network {name}", lambda raw: _users(raw, name))
        if users:
            raise Conflict(f"network {name}", f"is used by running machines: {', '.join(users)}", do)


async def find(place: There, name: str) -> Found | None:
    def look(raw: Any) -> Found:
        item = raw.networkLookupByName(name)
        root = xml.read(item.XMLDesc(0))
        return Found(
            network=form.parse(root),
            uuid=form.uuid_of(root),
            active=bool(item.isActive()),
            autostart=bool(item.autostart()),
        )

    try:
        return await place.call(f"network {name}", look)
    except NotFound:
        return None


def as_asked(asked: Network | None, found: Network) -> Network:
    """What is there, without what libvirt filled in for what was left open."""
    given = {item.cidr: item.gateway for item in asked.subnets} if asked else {}
    subnets = [_subnet_as_asked(item, given.get(_spelled(item.cidr, given))) for item in found.subnets]
    subnets = [item.model_copy(update={"cidr": _spelled(item.cidr, given)}) for item in subnets]
    ours = found.mode == "bridge" or (asked is not None and asked.bridge is not None)
    return found.model_copy(update={"subnets": subnets, "bridge": found.bridge if ours else None})


def lease_steps(old: Network, new: Network) -> list[tuple[str, int, str]] | None:
    """(`add` or `delete`, subnet, XML) that lead from one to the other; None where more than kept addresses differs."""

    def spelled(item: Subnet) -> Subnet:
        cidr = str(ipaddress.ip_network(item.cidr))
        return item.model_copy(update={"hosts": [], "gateway": form.gateway(item), "cidr": cidr})

    def bare(one: Network) -> Network:
        subnets = [spelled(item) for item in one.subnets]
        return one.model_copy(update={"subnets": subnets, "bridge": new.bridge and one.bridge})

    if bare(old) != bare(new) or any(item.dhcp is None for item in new.subnets if item.hosts):
        return None
    steps = []
    for index, (before, after) in enumerate(zip(old.subnets, new.subnets, strict=True)):
        gone = [item for item in before.hosts if item not in after.hosts]
        come = [item for item in after.hosts if item not in before.hosts]
        steps += [("delete", index, xml.written(form.lease(item))) for item in gone]
        steps += [("add", index, xml.written(form.lease(item))) for item in come]
    return steps


def _spelled(cidr: str, given: dict[str, str | None]) -> str:
    return next((text for text in given if ipaddress.ip_network(text) == ipaddress.ip_network(cidr)), cidr)


def _subnet_as_asked(found: Subnet, gateway: str | None) -> Subnet:
    first = form.gateway(found.model_copy(update={"gateway": None}))
    return found.model_copy(update={"gateway": None}) if gateway is None and found.gateway == first else found


def _outputs(found: Found) -> NetworkOutputs:
    return NetworkOutputs(uuid=found.uuid, bridge=found.network.bridge or "", active=found.active)


def _run(raw: Any, name: str, autostart: bool) -> None:
    item = raw.networkLookupByName(name)
    if bool(item.autostart()) != autostart:
        item.setAutostart(int(autostart))
    if not item.isActive():
        item.create()


def _remove(raw: Any, name: str) -> None:
    item = raw.networkLookupByName(name)
    if item.isActive():
        item.destroy()
    item.undefine()


def _update_leases(raw: Any, name: str, steps: list[tuple[str, int, str]], active: bool) -> None:
    libvirt = library()
    item = raw.networkLookupByName(name)
    commands = {"add": libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, "delete": libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE}
    flags = libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG | (libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE if active else 0)
    for command, index, text in steps:
        item.update(commands[command], libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST, index, text, flags)


def _users(raw: Any, name: str) -> list[str]:
    """Running machines with a card on the network."""
    found = []
    for item in raw.listAllDomains(library().VIR_CONNECT_LIST_DOMAINS_ACTIVE):
        try:
            root = xml.read(item.XMLDesc(0))
        except library().libvirtError as error:
            if error.get_error_code() in (42, errors.OPERATION_INVALID):
                continue  # it has gone meanwhile
            raise
        if any(source.get("network") == name for source in root.findall("devices/interface/source")):
            found.append(str(item.name()))
    return sorted(found)


def _wrong_bridge(inputs: NetworkInputs) -> Iterator[AnytierError]:
    if inputs.bridge is not None and (not 0 < len(inputs.bridge) < 16 or set(inputs.bridge) & set("/ \t\n:")):
        yield Rejected("bridge", f"{inputs.bridge!r} cannot be the name of a device", "at most 15 characters")
    if inputs.mode == "bridge" and inputs.bridge is None:
        yield Rejected("bridge", "is required for mode bridge", "the host's bridge, such as br0")
    if inputs.mode == "bridge" and inputs.subnets:
        yield Rejected("subnets", "belong to the network behind the bridge", "leave them out for mode bridge")


def _wrong_subnets(subnets: list[Subnet]) -> Iterator[AnytierError]:
    known: list[Any] = []
    for index, item in enumerate(subnets):
        path = f"subnets[{index}]"
        try:
            net = ipaddress.ip_network(item.cidr)
        except ValueError as error:
            yield Rejected(f"{path}.cidr", str(error), "such as 10.7.0.0/24, with no bits beyond the length")
            continue
        if net.num_addresses < 4:
            yield Rejected(f"{path}.cidr", f"{item.cidr} has no room for a machine", "a shorter prefix, such as /24")
            continue
        clash = next((other for other in known if other.version == net.version and other.overlaps(net)), None)
        if clash is not None:
            yield Rejected(f"{path}.cidr", f"{net} overlaps {clash}", "choose another range")
        known.append(net)
        yield from _outside(net, f"{path}.gateway", item.gateway)
        for place, address in enumerate(item.dhcp or ()):
            yield from _outside(net, f"{path}.dhcp[{place}]", address)
        yield from _wrong_span(item, path)
        yield from _wrong_hosts(net, item.hosts, path)


def _wrong_span(item: Subnet, path: str) -> Iterator[AnytierError]:
    try:
        first, last = map(ipaddress.ip_address, item.dhcp or ("::", "::"))
    except ValueError:
        return  # said already
    if first.version == last.version and int(first) > int(last):
        yield Rejected(f"{path}.dhcp", "ends before it begins", "from, to")


def _wrong_hosts(net: Any, hosts: list[Lease], path: str) -> Iterator[AnytierError]:
    for index, host in enumerate(hosts):
        yield from _outside(net, f"{path}.hosts[{index}].ip", host.ip)
        yield from wrong_text(host.name, f"{path}.hosts[{index}].name")
        for field in ("mac", "ip", "name"):
            value = getattr(host, field)
            if value is not None and any(getattr(other, field) == value for other in hosts[:index]):
                yield Rejected(f"{path}.hosts[{index}].{field}", f"{value} is given twice", "each once")


def _outside(net: Any, path: str, address: str | None) -> Iterator[AnytierError]:
    if address is None:
        return
    try:
        inside = ipaddress.ip_address(address) in net
    except ValueError as error:
        yield Rejected(path, str(error), f"an address in {net}")
        return
    if not inside:
        yield Rejected(path, f"{address} is not in {net}", f"an address in {net}")
