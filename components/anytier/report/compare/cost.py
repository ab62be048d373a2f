"""What a stack costs a month by list prices, item by item. Pure. What has no price here is named, and never guessed.

What a cloud's stack pays for is what its plan exports as `costs`; machines of one's own are counted in the plan.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anytier.frozen import Frozen
from anytier.report.compare.facts import prices
from anytier.report.compare.model import Cell, Source, unknown
from anytier.report.plan.graph import Graph

CLOUDS = ("eks", "gke", "aks")
PLAN = Source(name="the stack's plan: `anytier plan -s STACK`")
_SERVICE = "kubernetes:core/v1:Service"


class Item(Frozen):
    """`part`: control-plane, machines or other. `monthly` in dollars for all `count` of them, None where unknown."""

    part: str
    what: str
    count: float = 1
    monthly: float | None = None
    source: Source | None = None


class Own(Frozen):
    """Machines of one's own: how many of them are control planes, and how many are not."""

    control_planes: int
    others: int

    @property
    def all(self) -> int:
        return self.control_planes + self.others


def own(tier: str, graph: Graph) -> Own:
    """By what the plan looks at or makes; tiers local and docker have the one machine that is there."""
    if tier in CLOUDS:
        return Own(control_planes=0, others=0)
    seen = [len(graph.of(type)) for type in ("anytier:host:Machine", "anytier:libvirt:Domain")]
    machines = max(*seen, 1)
    planes = len(graph.of("anytier:kubeadm:ControlPlane"))
    return Own(control_planes=planes, others=machines - planes)


def bill(tier: str, graph: Graph, today: datetime.date, machine_price: float | None = None) -> list[Item]:
    """`machine_price`: what one machine of one's own costs a month, where somebody says so."""
    if tier not in CLOUDS:
        return list(_owned(own(tier, graph), machine_price, today))
    paid = graph.exports.get("costs")
    if not isinstance(paid, Mapping):
        return [Item(part="other", what="all of it: the plan does not say what is paid for")]
    return [*_plane(tier, graph, paid, today), *_pools(tier, paid), *_rest(graph, paid)]


def _owned(machines: Own, price: float | None, today: datetime.date) -> Iterator[Item]:
    source = None if price is None else Source(name="given by --machine-price", date=today)
    for part, what, count in (
        ("control-plane", "control plane machine", machines.control_planes),
        ("machines", "machine", machines.others),
    ):
        if count:
            monthly = None if price is None else count * price
            yield Item(part=part, what=f"{_many(count, what)} of yours", count=count, monthly=monthly, source=source)


def _plane(tier: str, graph: Graph, paid: Mapping[str, Any], today: datetime.date) -> Iterator[Item]:
    table = prices()
    kind = _kind(tier, graph, paid, today)
    found = table.control_plane(tier, kind)
    what = f"{kind} control plane"
    if found is None:
        yield Item(part="control-plane", what=what)
    else:
        yield Item(part="control-plane", what=what, monthly=found[0] * table.hours, source=found[1])


def _kind(tier: str, graph: Graph, paid: Mapping[str, Any], today: datetime.date) -> str:
    """`extended` where AWS asks more for a version past its usual support; `premium` and `automatic` are Azure's."""
    if tier == "eks":
        from anytier.tiers.eksargs import VERSIONS

        versions = [str(node.inputs.get("version")) for node in graph.of("aws:eks/cluster:Cluster")]
        minors = [VERSIONS.minors[item] for item in versions if item in VERSIONS.minors]
        return "extended" if any(minor.usual < today for minor in minors) else "standard"
    said = str(paid.get("controlPlane")).lower() if tier == "aks" else ""
    return next((kind for kind in ("premium", "automatic") if kind in said), "standard")


def _pools(tier: str, paid: Mapping[str, Any]) -> Iterator[Item]:
    pools = paid.get("nodes") or paid.get("machines")
    if not isinstance(pools, Sequence) or isinstance(pools, str):
        yield Item(part="machines", what="machines, as pods need them")
        return
    for pool in pools:
        count, type = int(pool.get("min") or 0), _type(pool)
        if not count:
            continue
        what = f"{count} × {type}" + (" (spot)" if pool.get("spot") else "")
        found = None if pool.get("spot") else prices().machine(tier, str(paid.get("region")), type)
        monthly = None if found is None else count * found[0] * prices().hours
        source = None if found is None else found[1]
        yield Item(part="machines", what=what, count=count, monthly=monthly, source=source)
    if disks := sum(int(pool.get("min") or 0) * int(pool.get("diskGiB") or 0) for pool in pools):
        yield Item(part="other", what=f"{disks} GiB of disks", count=disks)


def _type(pool: Mapping[str, Any]) -> str:
    types = pool.get("types")
    return str(types[0] if isinstance(types, list) and types else pool.get("type"))


def _rest(graph: Graph, paid: Mapping[str, Any]) -> Iterator[Item]:
    """What is paid for beside them, and has no price here."""
    for key, what in (("natGateways", "NAT gateway"), ("interfaceEndpoints", "interface endpoint")):
        if count := int(paid.get(key) or 0):
            yield Item(part="other", what=_many(count, what), count=count)
    balancers = sum(node.at(("spec", "type")) == "LoadBalancer" for node in graph.of(_SERVICE))
    if balancers:
        yield Item(part="other", what=_many(balancers, "load balancer"), count=balancers)
    yield Item(part="other", what="keys, logs, addresses, registry and traffic")


# cells


def part(items: Sequence[Item], name: str) -> Cell:
    """All items of a part as one sum; unknown where one of them is."""
    found = [item for item in items if item.part == name]
    if not found:
        return Cell(text="none", value=0, unit="USD", sources=(PLAN,))
    what = ", ".join(item.what for item in found)
    if any(item.monthly is None for item in found):
        return unknown(what, PLAN)
    total = sum(item.monthly or 0 for item in found)
    sources = tuple(dict.fromkeys([PLAN, *(item.source for item in found if item.source)]))
    return Cell(text=money(total), value=round(total, 2), unit="USD", note=what, sources=sources)


def total(items: Sequence[Item]) -> Cell:
    """What is priced, as `at least` where something is not; unknown where nothing is."""
    priced = [item for item in items if item.monthly is not None]
    if not priced:
        return unknown("nothing of it has a price here", PLAN)
    known = sum(item.monthly or 0 for item in priced)
    whole = len(priced) == len(items)
    sources = tuple(dict.fromkeys([PLAN, *(item.source for item in priced if item.source)]))
    text = money(known) if whole else f"at least {money(known)}"
    note = "" if whole else "and what is unpriced"
    return Cell(text=text, value=round(known, 2), unit="USD", note=note, sources=sources)


def unpriced(items: Sequence[Item]) -> Cell:
    found = [item.what for item in items if item.monthly is None]
    return Cell(text=", ".join(found) or "nothing", value=len(found), unit="items", sources=(PLAN,))


def rented(machines: Own) -> Cell:
    """What as many machines of 2 cores and 8 GiB would be at the clouds, from the cheapest to the dearest."""
    if not machines.all:
        return Cell(text="none of your own", sources=(PLAN,))
    table = prices()
    found = [(item, table.machine(item.tier, item.region, item.type)) for item in table.alike]
    known = [(item, price[0] * machines.all * table.hours, price[1]) for item, price in found if price]
    if not known:
        return unknown("", PLAN)
    low, high = min(cost for _, cost, _ in known), max(cost for _, cost, _ in known)
    detail = tuple(f"{machines.all} × {item.type} in {item.region}: {money(cost)}" for item, cost, _ in known)
    sources = (PLAN, *dict.fromkeys(source for _, _, source in known))
    text = f"{money(low)} to {money(high)}"
    return Cell(text=text, value=round(high, 2), unit="USD", detail=detail, sources=sources)


def money(amount: float) -> str:
    return f"${amount:,.2f}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
