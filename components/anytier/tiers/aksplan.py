"""From what a stack says of an AKS cluster to the inputs of the resources that make it. Pure: no call, no SDK.

Inputs have the SDK's names; what Azure only knows once something is made comes in as `Made`.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from anytier.errors import AnytierError, ConfigError, SpecError
from anytier.tiers import managed
from anytier.tiers.aksargs import AksArgs
from anytier.tiers.aksfacts import (
    AUTOMATIC,
    EXAMPLE,
    REGIONS,
    SERVER_ID,
    TYPES,
    VERSIONS,
    arch_of,
)
from anytier.tiers.managed import Arch, Exec, Nodes
from anytier.tiers.places import Cluster, Offer

KEY = "anytier:aks"
LOCATION = "azure-native:location"
STORAGE_CLASS = "managed-csi"
INGRESS_CLASS = "webapprouting.kubernetes.azure.com"
AUDIENCE = "api://AzureADTokenExchange"
SYSTEM_TAINT = "CriticalAddonsOnly=true:NoSchedule"
SPOT_TAINT = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"  # Azure puts it there in any case
SURGE = 33  # per cent of a pool that is there twice while it is upgraded

# Of each /24 of pods one node has one; a subnet keeps five addresses for Azure.
_NODE_PREFIX, _KEPT = 24, 5
_API_PREFIX = 28  # of the API server's own subnet: the smallest that is taken
_MOST_DISK, _LEAST_DISK = 2048, 30
# A cluster's resource group is called MC_GROUP_CLUSTER_REGION, in 80 characters; eight of each name are Azure's.
_NAME = 20
_STANDARD_ONLY = ("nodes", "system", "zones", "network", "pod_network", "service_network", "upgrades", "node_os")
_LOGS = (
    "kube-audit-admin",
    "guard",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "cluster-autoscaler",
)
_CHANNELS = {"node-image": "NodeImage", "security-patch": "SecurityPatch", "none": "None"}
_IDENTITY = re.compile(
    r"/subscriptions/(?P<subscription>[0-9a-fA-F-]{36})/resource[gG]roups/(?P<group>[A-Za-z0-9._()-]{1,90})"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/(?P<name>[A-Za-z0-9_-]{3,128})"
)


@dataclass(frozen=True)
class Pool:
    """A pool of machines, decided. `name` holds the hash of what cannot change on a pool that is there."""

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
    """A cluster, decided. `name` begins the names of its group and of itself; Azure's provider adds to them."""

    args: AksArgs
    stack: str
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


@dataclass(frozen=True)
class Made:
    """What is known once something else is made; outputs. Without a network of ours its subnets are None."""

    group: Any
    identity: Any
    tenant: Any
    key: Any
    nodes_subnet: Any = None
    api_subnet: Any = None


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
        name=short(stack),
        location=place,
        version=args.version or VERSIONS.default,
        zones=zones,
        system=system,
        pools=tuple(pool for pool in pools if not pool.system),
    )


def short(stack: str) -> str:
    """`anytier-STACK` in letters, digits and dashes; a long one has a hash, so that no two are alike."""
    plain = re.sub(r"[^a-z0-9]+", "-", f"anytier-{stack}".lower()).strip("-")
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
    return Cluster(
        kubeconfig="",
        version=plan.version,
        port=port,
        tls_port=tls_port,
        address=plan.args.address or "localhost",
        offers=frozenset(offers | ({"ingress"} if routed else set())),
        storage_class=STORAGE_CLASS,
        ingress_class=INGRESS_CLASS if routed else None,
        caddy_image=plan.args.caddy_image,
        cloud="azure",
        mode=plan.args.mode,
        tier="aks",
    )


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
    if len(set(args.admins)) != len(args.admins):
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
    pools = [args.system, *args.nodes]
    most = sum(pool.most + surge(pool.most) for pool in pools)
    for name, room in (
        ("network", 2 ** (31 - ipaddress.IPv4Network(args.network).prefixlen) - _KEPT),
        ("podNetwork", 2 ** (_NODE_PREFIX - ipaddress.IPv4Network(args.pod_network).prefixlen)),
    ):
        if most > room:
            what = f"{nets[name]} has room for {room} machines, and the pools may grow to {most} while they are upgraded"
            yield ConfigError(f"{KEY}.{name}", what, "give a larger network, or the pools a smaller `max`")


def surge(count: int) -> int:
    """How many machines of a pool are there twice while it is upgraded."""
    return -(-count * SURGE // 100)


def _wrong_pools(args: AksArgs) -> Iterator[ConfigError]:
    yield from managed.wrong_pools(args.nodes, f"{KEY}.nodes")
    system = args.system
    if system.min < 1:
        yield ConfigError(f"{KEY}.system.min", "AKS's own pods need a machine", "give 2 or more")
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


# inputs


def network(plan: Plan) -> dict[str, Any]:
    """Of the VirtualNetwork, which has its subnets in it: they come and go together. First the nodes', then the API's."""
    nodes, api = plan.subnets
    service = "Microsoft.ContainerService/managedClusters"
    return {
        "location": plan.location,
        "address_space": {"address_prefixes": [plan.args.network]},
        "subnets": [
            {"name": "nodes", "address_prefix": nodes},
            {"name": "api-server", "address_prefix": api, "delegations": [{"name": "aks", "service_name": service}]},
        ],
        "tags": plan.tags,
    }


def vault(plan: Plan, tenant: Any) -> dict[str, Any]:
    """Of the Vault. What is deleted there stays for 90 days, whoever deletes it: without its key a cluster is lost."""
    return {
        "location": plan.location,
        "properties": {
            "sku": {"family": "A", "name": "standard"},
            "tenant_id": tenant,
            "enable_rbac_authorization": True,
            "enable_soft_delete": True,
            "enable_purge_protection": True,
            "soft_delete_retention_in_days": 90,
            "enabled_for_deployment": False,
            "enabled_for_disk_encryption": False,
            "enabled_for_template_deployment": False,
        },
        "tags": plan.tags,
    }


def key(plan: Plan) -> dict[str, Any]:
    """Of the key that the keys of etcd's content are wrapped by."""
    ops = ["encrypt", "decrypt", "wrapKey", "unwrapKey"]
    return {"properties": {"kty": "RSA", "key_size": 3072, "key_ops": ops}, "tags": plan.tags}


def workspace(plan: Plan) -> dict[str, Any]:
    return {
        "location": plan.location,
        "sku": {"name": "PerGB2018"},
        "retention_in_days": plan.args.log_retention,
        "features": {"disable_local_auth": True, "enable_log_access_using_only_resource_permissions": True},
        "tags": plan.tags,
    }


def diagnostics(plan: Plan) -> dict[str, Any]:
    """Which logs of the control plane are kept: every change, and with `audit: all` every read, too."""
    kept = [*_LOGS, *(["kube-audit"] if plan.args.audit == "all" else [])]
    return {
        "name": "control-plane",
        "log_analytics_destination_type": "Dedicated",
        "logs": [{"category": name, "enabled": True} for name in kept],
    }


def cluster(plan: Plan, made: Made) -> dict[str, Any]:
    """Of the ManagedCluster."""
    return {
        "resource_group_name": made.group,
        "location": plan.location,
        "sku": {"name": "Automatic" if plan.automatic else "Base", "tier": plan.args.sla.capitalize()},
        "support_plan": _support(plan),
        "kubernetes_version": _version(plan),
        "dns_prefix": plan.name,
        "identity": {"type": "UserAssigned", "user_assigned_identities": [made.identity]},
        "enable_rbac": True,
        "disable_local_accounts": True,
        "aad_profile": {"managed": True, "enable_azure_rbac": True, "tenant_id": made.tenant},
        "api_server_access_profile": _api_server(plan, made),
        "oidc_issuer_profile": {"enabled": True},
        "security_profile": {
            "workload_identity": {"enabled": True},
            "image_cleaner": {"enabled": True, "interval_hours": 168},
            "azure_key_vault_kms": {"enabled": True, "key_id": made.key, "key_vault_network_access": "Public"},
        },
        "addon_profiles": {"azurepolicy": {"enabled": True, "config": {"version": "v2"}}},
        "metrics_profile": {"cost_analysis": {"enabled": True}},
        **({"ingress_profile": {"web_app_routing": {"enabled": True}}} if plan.args.ingress == "app-routing" else {}),
        **({} if plan.automatic else _standard(plan, made)),
        "tags": plan.tags,
    }


def _support(plan: Plan) -> str:
    return "AKSLongTermSupport" if plan.args.sla == "premium" else "KubernetesOfficial"


def _version(plan: Plan) -> str | None:
    """None where AKS goes on to other minors by itself: one that is said would take it back."""
    if plan.automatic or plan.args.upgrades in ("stable", "rapid"):
        return plan.args.version
    return plan.version


def _api_server(plan: Plan, made: Made) -> dict[str, Any]:
    """With a subnet of its own in our network the API server can become private or public later on, in place."""
    integrated = {} if plan.automatic else {"enable_vnet_integration": True, "subnet_id": made.api_subnet}
    private = {"enable_private_cluster": True, "enable_private_cluster_public_fqdn": True, "private_dns_zone": "system"}
    public = {"enable_private_cluster": False, "authorized_ip_ranges": list(plan.args.access)}
    return {"disable_run_command": True, **integrated, **(private if plan.private else public)}


def _standard(plan: Plan, made: Made) -> dict[str, Any]:
    """What AKS Automatic decides by itself."""
    args = plan.args
    assert plan.system is not None
    services = ipaddress.IPv4Network(args.service_network)
    return {
        "network_profile": {
            "network_plugin": "azure",
            "network_plugin_mode": "overlay",
            "network_dataplane": "cilium",
            "network_policy": "cilium",
            "pod_cidr": args.pod_network,
            "service_cidr": args.service_network,
            "dns_service_ip": str(services[10]),
            "load_balancer_sku": "standard",
            "outbound_type": "loadBalancer",
        },
        "auto_upgrade_profile": {
            "upgrade_channel": args.upgrades,
            "node_os_upgrade_channel": _CHANNELS[args.node_os],
        },
        "storage_profile": {
            "disk_csi_driver": {"enabled": True},
            "file_csi_driver": {"enabled": True},
            "snapshot_controller": {"enabled": True},
        },
        # It has to be in here when the cluster is made; the others are resources of their own.
        "agent_pool_profiles": [{"name": plan.system.name, **pool(plan, plan.system, made.nodes_subnet)}],
    }


def pool(plan: Plan, item: Pool, subnet: Any) -> dict[str, Any]:
    """Of an AgentPool, and of the pool that is made with the cluster. How many machines there are now is AKS's business:
    a number given here would take back what its autoscaler has done."""
    nodes = item.nodes
    once = {"max_surge": f"{SURGE}%", "drain_timeout_in_minutes": 30}  # a spot pool has no word for it
    spot = {"scale_set_priority": "Spot", "scale_set_eviction_policy": "Delete", "spot_max_price": -1.0}
    return {
        "mode": "System" if item.system else "User",
        "type": "VirtualMachineScaleSets",
        "vm_size": item.type,
        "os_type": "Linux",
        "os_sku": "AzureLinux",
        "os_disk_type": "Managed",
        "os_disk_size_gb": nodes.disk,
        "enable_auto_scaling": True,
        "min_count": nodes.min,
        "max_count": nodes.most,
        "availability_zones": list(plan.zones) or None,
        "vnet_subnet_id": subnet,
        "enable_node_public_ip": False,
        "enable_encryption_at_host": True,
        # Azure has no Trusted Launch on Arm64.
        "security_profile": {"enable_secure_boot": item.arch == "amd64", "enable_vtpm": item.arch == "amd64"},
        "node_labels": {"anytier.dev/pool": nodes.name, **nodes.labels},
        "node_taints": item.taints,
        "orchestrator_version": _version(plan),
        **(spot if nodes.spot else {"upgrade_settings": once}),
        "tags": plan.tags,
    }


def maintenance(plan: Plan) -> dict[str, dict[str, Any]]:
    """Of the MaintenanceConfigurations, by the names that AKS gives a meaning."""
    given = plan.args.maintenance
    window = {
        "schedule": {"weekly": {"day_of_week": given.day, "interval_weeks": 1}},
        "start_time": given.start,
        "duration_hours": given.hours,
        "utc_offset": given.utc_offset,
    }
    names = ("aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule")
    return {name: {"config_name": name, "maintenance_window": window} for name in names}


def role(subscription: str, id: str) -> str:
    """A built-in role's definition."""
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{id}"


# the way in


def reach(kubeconfig: str) -> tuple[str, str]:
    """(the server, its authority's certificate) of the kubeconfig that Azure hands out, base64. ConfigError otherwise."""
    try:
        text = base64.b64decode(kubeconfig, validate=True).decode()
        (entry,) = yaml.safe_load(text)["clusters"]
        server, authority = entry["cluster"]["server"], entry["cluster"]["certificate-authority-data"]
    except (ValueError, KeyError, TypeError, yaml.YAMLError, binascii.Error):
        what = "is not a kubeconfig with one cluster, as Azure hands it out"
        raise ConfigError("kubeconfig", what, "`az aks get-credentials` says what is wrong") from None
    return str(server), str(authority)


def login(args: AksArgs, tenant: str) -> Exec:
    """kubelogin gets a token of Entra's, by whoever is logged in where it runs."""
    how = ["get-token", "--login", args.login, "--server-id", SERVER_ID, "--tenant-id", tenant]
    return Exec("kubelogin", how, hint="kubelogin is missing: `az aks install-cli`, or see https://azure.github.io/kubelogin")


# workloads that are somebody to Azure


@dataclass(frozen=True)
class Identity:
    """A user-assigned identity, by the parts of its id."""

    group: str
    name: str


def identity(workload: str, text: str) -> Identity:
    """SpecError for what is no id of a user-assigned identity."""
    found = _IDENTITY.fullmatch(text)
    if found is None:
        path = f"workloads.{workload}.identity.cloudRoles.azure"
        do = "`az identity show -g GROUP -n NAME --query id` says it: /subscriptions/.../userAssignedIdentities/NAME"
        raise SpecError(path, f"{text[:70]!r} is no id of a user-assigned identity", do)
    return Identity(found["group"], found["name"])


# what it costs


def costs(plan: Plan) -> dict[str, Any]:
    """What is paid for, without prices, which change: for people, and for `anytier compare`."""
    pools = [pool for pool in (plan.system, *plan.pools) if pool is not None]
    return {
        "region": plan.location,
        "controlPlane": f"AKS {'Automatic' if plan.automatic else plan.args.sla}, by the hour",
        "nodes": [
            {
                "pool": pool.nodes.name,
                "type": pool.type,
                "min": pool.nodes.min,
                "max": pool.nodes.most,
                "spot": pool.nodes.spot,
                "diskGiB": pool.nodes.disk,
            }
            for pool in pools
        ]
        or "as pods need them (node auto provisioning)",
        "network": ["a Standard load balancer with a public address", "what leaves the region, by the GiB"],
        "logs": f"Log Analytics by the GiB, kept for {plan.args.log_retention} days",
        "keys": "a Key Vault, by the operation",
    }


def portal(tenant: str, id: str) -> str:
    """Where a person looks at the cluster."""
    return f"https://portal.azure.com/#@{tenant}/resource{id}/overview"
