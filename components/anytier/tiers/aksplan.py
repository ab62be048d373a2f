"""What a stack says of an AKS cluster, decided: names, pools, networks, and what cannot be. Pure: no call, no SDK."""

from __future__ import annotations

import datetime
import ipaddress
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from anytier.errors import AnytierError, ConfigError
from anytier.tiers import managed
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import (
    AUTOMATIC,
    EXAMPLE,
    REGIONS,
    TYPES,
    VERSIONS,
    arch_of,
)
from anytier.tiers.gateways import offering
from anytier.tiers.managed import Arch, Nodes
from anytier.tiers.places import BALANCER, Cluster, Offer

KEY = "anytier:aks"
LOCATION = "azure-native:location"
STORAGE_CLASS = "managed-csi"
ADDRESS = "anytier-entrance"
INGRESS_CLASS = "webapprouting.kubernetes.azure.com"
SYSTEM_TAINT = "CriticalAddonsOnly=true:NoSchedule"
SPOT_TAINT = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"  # Azure puts it there in any case
SPOT_TOLERATIONS: tuple[dict[str, str], ...] = (
    {
        "key": "kubernetes.azure.com/scalesetpriority",
        "operator": "Equal",
        "value": "spot",
        "effect": "NoSchedule",
    },
)
SURGE = 33  # per cent of a pool that is there twice while it is upgraded

_DAEMON = "unix:///var/run/docker.sock"
# Of each /24 of pods one node has one; a subnet keeps five addresses for Azure.
_NODE_PREFIX, _KEPT = 24, 5
_API_PREFIX = 28  # of the API server's own subnet: the smallest that is taken
_MOST_DISK, _LEAST_DISK = 2048, 30
# A cluster's resource group is called MC_GROUP_CLUSTER_REGION, in 80 characters; eight of each name are Azure's.
_NAME = 20
_STANDARD_ONLY = (
    "nodes",
    "system",
    "zones",
    "network",
    "pod_network",
    "service_network",
    "upgrades",
    "node_os",
    "sla",
)


@dataclass(frozen=True)
class Pool:
    """A pool of machines, decided. `name` holds the hash of what cannot change on a pool that is there. `system`: it is
    for AKS's own pods, and one of its machines came with the cluster."""

    name: str
    nodes: Nodes
    type: str
    arch: Arch
    system: bool = False

    @property
    def taints(self) -> list[str]:
        return [*([SYSTEM_TAINT] if self.system else []), *([SPOT_TAINT] if self.nodes.spot else [])]


@dataclass(frozen=True)
class Plan:
    """A cluster, decided. Its group's name begins with `group`, its own with `name`; Azure's provider adds to them."""

    args: AksArgs
    stack: str
    group: str
    name: str
    location: str
    version: str
    zones: tuple[str, ...] = ()
    system: Pool | None = None
    pools: tuple[Pool, ...] = ()

    @property
    def automatic(self) -> bool:
        return self.args.mode == "automatic"

    @property
    def agent_pools(self) -> tuple[Pool, ...]:
        """All that are made by themselves, in their order."""
        return (*([self.system] if self.system else []), *self.pools)

    @property
    def private(self) -> bool:
        """Whether nobody outside of its network may reach the API server."""
        return not self.args.access

    @property
    def tags(self) -> dict[str, str]:
        return {**self.args.tags, "managed-by": "anytier", "anytier-stack": self.stack}

    @property
    def subnets(self) -> tuple[str, str]:
        """The nodes' half of the network, and the API server's small part of the other half."""
        net = ipaddress.IPv4Network(self.args.network)
        nodes, rest = net.subnets(1)
        return str(nodes), f"{rest[-(2 ** (32 - _API_PREFIX))]}/{_API_PREFIX}"


# what is decided


def decide(args: AksArgs, location: str | None, stack: str, today: datetime.date) -> Plan:
    """`location`: what `azure-native:location` says. An ExceptionGroup of AnytierErrors for all that cannot be."""
    place = re.sub(r"[^a-z0-9]", "", (location or "").lower())  # `West Europe` is westeurope
    found: list[AnytierError] = []
    wrong = managed.wrong_location(place or None, REGIONS, LOCATION, "westeurope")
    found += [wrong] if wrong else []
    found += [*_wrong_version(args, today), *_wrong_options(args), *_wrong_logins(args)]
    if args.mode == "automatic":
        found += _wrong_automatic(args, place) if not wrong else _wrong_automatic(args, None)
    else:
        found += [*_wrong_zones(args, place), *_wrong_networks(args), *_wrong_pools(args)]
    zones = tuple(args.zones if args.zones is not None else ("1", "2", "3") if REGIONS.get(place) else ())
    pools, refused = _pools(args, zones)
    found += refused
    if found:
        raise ExceptionGroup("config", found)
    system = next((pool for pool in pools if pool.system), None)
    return Plan(
        args=args,
        stack=stack,
        group=short("anytier", stack),
        name=short("aks", stack),
        location=place,
        version=args.version or VERSIONS.default,
        zones=zones,
        system=system,
        pools=tuple(pool for pool in pools if not pool.system),
    )


def short(what: str, stack: str) -> str:
    """`aks-STACK` in letters, digits and dashes; a long one has a hash, so that no two are alike."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"{what}-{stack}".lower()).strip("-")
    return plain if len(plain) <= _NAME else managed.hashed(plain, {"stack": stack}, _NAME, digits=4)


def _pools(args: AksArgs, zones: tuple[str, ...]) -> tuple[list[Pool], list[AnytierError]]:
    if args.mode == "automatic":
        return [], []
    made: list[Pool] = []
    found: list[AnytierError] = []
    for at, nodes, system in (
        (f"{KEY}.system", args.system, True),
        *((f"{KEY}.nodes.{index}", nodes, False) for index, nodes in enumerate(args.nodes)),
    ):
        try:
            type, arch = managed.machine_type(nodes, at, TYPES, arch_of, EXAMPLE)
        except ConfigError as error:
            found.append(error)
            continue
        fixed = {"type": type, "zones": list(zones), "disk": nodes.disk, "spot": nodes.spot, "mode": system}
        made.append(Pool(managed.hashed(nodes.name, fixed, 12, "", 4), nodes, type, arch, system))
    return made, found


def offered(plan: Plan, port: int, tls_port: int) -> Cluster:
    """What the app may count on, as far as it is known without making the cluster."""
    offers: set[Offer] = {"load-balancer", "metrics", "network-policy", "storage"}
    routed = plan.args.ingress == "app-routing"
    cluster = Cluster(
        kubeconfig="",
        version=plan.version,
        port=port,
        tls_port=tls_port,
        address=plan.args.address or (BALANCER if plan.args.gateway else "localhost"),
        entrance=entrance(plan),
        builder={"host": plan.args.builder or os.environ.get("DOCKER_HOST") or _DAEMON},
        offers=frozenset(offers | ({"ingress"} if routed else set())),
        storage_class=STORAGE_CLASS,
        ingress_class=INGRESS_CLASS if routed else None,
        caddy_image=plan.args.caddy_image,
        tolerations=SPOT_TOLERATIONS if any(pool.nodes.spot for pool in plan.pools) else (),
        processors=processors(plan.args),
        cloud="azure",
        mode=plan.args.mode,
        tier="aks",
    )
    return offering(cluster, plan.args.gateway)


def processors(args: AksArgs) -> tuple[str, ...]:
    """What images are built for. AKS's own pool takes no app; Automatic makes machines of Intel's and AMD's unless a
    pod asks for others."""
    return ("amd64",) if args.mode == "automatic" else managed.processors(args.nodes, arch_of)


def own_address(plan: Plan) -> bool:
    """Whether the app's router gets an address that is made for it."""
    return plan.args.address is None and plan.args.gateway is None


def entrance(plan: Plan) -> dict[str, str]:
    """By which the router's Service gets its address: one of ours, or a name that Azure itself hands out."""
    if own_address(plan):
        return {"service.beta.kubernetes.io/azure-pip-name": ADDRESS}
    label, _, rest = (plan.args.address or "").partition(".")
    if rest == f"{plan.location}.cloudapp.azure.com":
        return {"service.beta.kubernetes.io/azure-dns-label-name": label}
    return {}


# what cannot be


def _wrong_version(args: AksArgs, today: datetime.date) -> Iterator[ConfigError]:
    minor = args.version or VERSIONS.default
    gone = VERSIONS.over(minor, today, f"{KEY}.version")
    if gone:
        yield gone
    elif today > VERSIONS.minors[minor].usual and args.sla != "premium":
        what = f"{minor} had AKS's usual support until {VERSIONS.minors[minor].usual}"
        left = [name for name, item in VERSIONS.minors.items() if today <= item.usual]
        do = f"one of {', '.join(left)}, one minor at a time; or `sla: premium`, which has its long-term support"
        yield ConfigError(f"{KEY}.version", what, do)
    if args.version and args.upgrades in ("stable", "rapid"):
        what = f"is {args.version}, and `upgrades: {args.upgrades}` goes on to other minors by itself"
        yield ConfigError(f"{KEY}.version", what, "take one of the two out; `upgrades: patch` stays within a minor")


def _wrong_options(args: AksArgs) -> Iterator[ConfigError]:
    for name in ("managed-by", "anytier-stack"):
        if name in args.tags:
            yield ConfigError(f"{KEY}.tags.{name}", "is a tag of anytier's own", "choose another name")
    if args.gateway is not None and args.ingress == "app-routing":
        what = "is given beside `ingress: app-routing`: which of them takes the app's routes?"
        yield ConfigError(f"{KEY}.gateway", what, "keep one of the two")
    elif args.gateway is None and args.address is None and (args.mode == "automatic" or args.ingress == "app-routing"):
        why = "mode automatic" if args.mode == "automatic" else "ingress: app-routing"
        what = f"is not given, and with `{why}` nobody knows the app's address before it has one"
        do = (
            "give the name by which users reach it: one of yours, or LABEL.REGION.cloudapp.azure.com, which Azure gives"
        )
        yield ConfigError(f"{KEY}.address", what, do)
    if len({admin.principal for admin in args.admins}) != len(args.admins):
        yield ConfigError(f"{KEY}.admins", "names somebody twice", "name each once")


def _wrong_logins(args: AksArgs) -> Iterator[ConfigError]:
    if len(args.access) != len(set(args.access)):
        yield ConfigError(f"{KEY}.access", "names a network twice", "name each once")


def _wrong_automatic(args: AksArgs, place: str | None) -> Iterator[ConfigError]:
    """What Automatic decides itself may not be said, and its network is none of ours."""
    for name in _STANDARD_ONLY:
        if name in args.model_fields_set:
            key = AksArgs.model_fields[name].alias or name
            what = "is decided by AKS itself in mode automatic"
            yield ConfigError(f"{KEY}.{key}", what, "take it out, or choose `mode: standard`")
    if place is not None and place not in AUTOMATIC:
        what = f"{place} has no AKS Automatic"
        yield ConfigError(LOCATION, what, "a region with zones, such as westeurope; or `mode: standard`")
    if not args.access:
        what = "is empty, and in mode automatic the cluster's network is AKS's own, which nobody else is in"
        do = f"let your own address in: `pulumi config set --path '{KEY}.access[0]' ADDRESS/32`"
        yield ConfigError(f"{KEY}.access", what, do)


def _wrong_zones(args: AksArgs, place: str) -> Iterator[ConfigError]:
    if args.zones and REGIONS.get(place) is False:
        yield ConfigError(f"{KEY}.zones", f"{place} has no zones", "take `zones` out, or choose another region")
    if args.zones and len(set(args.zones)) != len(args.zones):
        yield ConfigError(f"{KEY}.zones", "names a zone twice", 'name each once, such as ["1", "2", "3"]')


def _wrong_networks(args: AksArgs) -> Iterator[ConfigError]:
    nets = {"network": args.network, "podNetwork": args.pod_network, "serviceNetwork": args.service_network}
    yield from managed.overlaps({f"{KEY}.{name}": net for name, net in nets.items()})
    pools = [1, args.system.most - 1, *(pool.most for pool in args.nodes)]  # the first machine is a pool of its own
    most = sum(count + surge(count) for count in pools)
    for name, room in (
        ("network", 2 ** (31 - ipaddress.IPv4Network(args.network).prefixlen) - _KEPT),
        ("podNetwork", 2 ** (_NODE_PREFIX - ipaddress.IPv4Network(args.pod_network).prefixlen)),
    ):
        if most > room:
            what = (
                f"{nets[name]} has room for {room} machines, and the pools may grow to {most} while they are upgraded"
            )
            yield ConfigError(f"{KEY}.{name}", what, "give a larger network, or the pools a smaller `max`")


def surge(count: int) -> int:
    """How many machines of a pool are there twice while it is upgraded."""
    return -(-count * SURGE // 100)


def _wrong_pools(args: AksArgs) -> Iterator[ConfigError]:
    yield from managed.wrong_pools(args.nodes, f"{KEY}.nodes")
    system = args.system
    if system.min < 2:
        what = "AKS's own pods need two machines: one comes with the cluster and stays, others come and go beside it"
        yield ConfigError(f"{KEY}.system.min", what, "give 2 or more")
    if system.spot:
        what = "a pool for AKS's own pods cannot be of spot machines"
        yield ConfigError(f"{KEY}.system.spot", what, "take it out; pools under `nodes` can be")
    for index, pool in enumerate(args.nodes):
        if pool.name == system.name:
            what = f"{pool.name!r} is the name of the pool for AKS's own pods"
            yield ConfigError(f"{KEY}.nodes.{index}.name", what, "choose another name")
    for at, pool in ((f"{KEY}.system", system), *((f"{KEY}.nodes.{n}", item) for n, item in enumerate(args.nodes))):
        if not _LEAST_DISK <= pool.disk <= _MOST_DISK:
            what = f"{pool.disk} GiB is no disk that AKS takes"
            yield ConfigError(f"{at}.disk", what, f"from {_LEAST_DISK} to {_MOST_DISK}")
        for label in pool.labels:
            if label.partition("/")[0].endswith(("kubernetes.azure.com", "kubernetes.io", "k8s.io")) and "/" in label:
                yield ConfigError(f"{at}.labels.{label}", "is a label that AKS keeps for itself", "choose another name")
