"""What a cluster at Google Cloud is to be, decided purely: names, zones, pools, networks, and what cannot be.

`REPLACES` says which properties make another thing of it when they change. Neither Pulumi nor the cloud's SDK is here.
"""

from __future__ import annotations

import datetime
import ipaddress
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anytier.errors import AnytierError, ConfigError
from anytier.tiers import managed
from anytier.tiers.gkeargs import DAYS, KEY, REGIONS, TYPES, Disk, GkeArgs, arch_of, family, versions_of
from anytier.tiers.managed import Access, Arch, Credentials, Exec, Nodes

PLUGIN = "gke-gcloud-auth-plugin"
LOGIN = (PLUGIN, "--use_application_default_credentials")  # prints a token, of whom Pulumi's own provider is, too
TOKEN_USER = "oauth2accesstoken"  # who has it, to Google's registries
CREDENTIALS = Credentials(
    cloud="Google Cloud",
    login="`gcloud auth application-default login`, or name a key file in GOOGLE_APPLICATION_CREDENTIALS",
    variables=(("GCE_METADATA_HOST",),),
    files=("$GOOGLE_APPLICATION_CREDENTIALS", ".config/gcloud/application_default_credentials.json"),
    provider=(
        "GOOGLE_CREDENTIALS",
        "GOOGLE_CLOUD_KEYFILE_JSON",
        "GCLOUD_KEYFILE_JSON",
        "GOOGLE_OAUTH_ACCESS_TOKEN",
        "gcp:credentials",
        "gcp:accessToken",
    ),
)
# The resource manager gives roles on the project. It must be on before, as must Service Usage, which turns APIs on.
APIS = ("artifactregistry", "cloudkms", "cloudresourcemanager", "compute", "container", "iam")
# The least that a node needs (logs, metrics, autoscaling), and the images of the project's own registries.
NODE_ROLES = ("roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader")
PODS, SERVICES = "pods", "services"  # the subnet's ranges
STANDARD, HYPERDISK = "standard-rwo", "anytier-hyperdisk"  # storage classes: GKE's own, and ours
# A class of Google's Gateways that wants no network of its own; the others' do, and no stack makes one.
GATEWAY = "gke-l7-global-external-managed"
BALANCER = {"cloud.google.com/l4-rbs": "enabled"}  # GKE's newer kind, which can have an address by its name
STORAGE: Mapping[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": HYPERDISK},
    "provisioner": "pd.csi.storage.gke.io",
    "parameters": {"type": "hyperdisk-balanced"},
    "allowVolumeExpansion": True,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}

# Resource type -> its properties that cannot change in place, of those that this tier sets. Read from the source of
# the provider: github.com/hashicorp/terraform-provider-google, google/services/, 2026-08-21.
REPLACES: Mapping[str, frozenset[str]] = {
    "gcp:container/cluster:Cluster": frozenset(
        {
            "name",
            "location",
            "project",
            "network",
            "subnetwork",
            "ipAllocationPolicy",
            "networkingMode",
            "enableAutopilot",
            "datapathProvider",
            "masterAuth.clientCertificateConfig",
            "initialNodeCount",
            "nodeConfig",
        }
    ),
    "gcp:container/nodePool:NodePool": frozenset(
        {
            "name",
            "cluster",
            "location",
            "project",
            "initialNodeCount",
            "nodeConfig.metadata",
            "nodeConfig.oauthScopes",
            "nodeConfig.serviceAccount",
            "nodeConfig.shieldedInstanceConfig",
            "nodeConfig.spot",
        }
    ),
    "gcp:compute/network:Network": frozenset({"name", "project", "autoCreateSubnetworks"}),
    "gcp:compute/subnetwork:Subnetwork": frozenset({"name", "project", "region", "network"}),
    "gcp:compute/router:Router": frozenset({"name", "project", "region", "network"}),
    "gcp:compute/routerNat:RouterNat": frozenset({"name", "project", "region", "router"}),
    "gcp:compute/address:Address": frozenset(
        {"name", "project", "region", "addressType", "networkTier", "description"}
    ),
    "gcp:compute/globalAddress:GlobalAddress": frozenset({"name", "project", "addressType", "description"}),
    "gcp:kms/keyRing:KeyRing": frozenset({"project", "location"}),
    "gcp:kms/cryptoKey:CryptoKey": frozenset({"keyRing", "purpose"}),
    "gcp:serviceaccount/account:Account": frozenset({"accountId", "project"}),
    "gcp:artifactregistry/repository:Repository": frozenset({"repositoryId", "project", "location", "format"}),
    "gcp:projects/service:Service": frozenset({"service", "project"}),
}
# What the provider would call a change that replaces, and what follows from something else all the same.
IGNORED: Mapping[str, tuple[str, ...]] = {
    # The first pool is thrown away at once; what it was like is of no interest later.
    "gcp:container/cluster:Cluster": ("initialNodeCount", "nodeConfig"),
    # The autoscaler counts; this is only what a pool begins with.
    "gcp:container/nodePool:NodePool": ("initialNodeCount",),
}

_PROJECT = re.compile(r"([a-z0-9.-]{1,60}:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")
_ACCOUNT = 30  # most characters of a service account's id
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}=[a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Pool:
    """A node pool. `name` is its name at GKE, with the hash of all that makes another pool of it; `key` the stack's.

    `low` and `high` count the machines of all its `zones` together, `first` those of each zone to begin with.
    """

    key: str
    name: str
    type: str
    arch: Arch
    disk: Disk
    size: int
    spot: bool
    low: int
    high: int
    first: int
    zones: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def begins(self) -> int:
        """How many machines there are at first, in all zones."""
        return self.first * len(self.zones)


@dataclass(frozen=True)
class Plan:
    """`account` is the id of the nodes' service account, `labels` are those of the cluster, for people and bills."""

    args: GkeArgs
    project: str
    region: str
    stack: str
    name: str
    account: str
    zones: tuple[str, ...]
    pools: tuple[Pool, ...]
    labels: Mapping[str, str]

    @property
    def autopilot(self) -> bool:
        return self.args.mode == "autopilot"

    @property
    def minor(self) -> str:
        return self.args.minor or versions_of(self.args.channel).default

    @property
    def subnet(self) -> str:
        """Ranges that pods have cannot change: others are another subnet's, and so another cluster's."""
        return managed.hashed(self.name, {"pods": self.args.pods, "services": self.args.services})

    @property
    def registry(self) -> str:
        """What stands before the names of images that are built here."""
        return f"{self.region}-docker.pkg.dev/{self.project.replace(':', '/')}/{self.name}"

    @property
    def workload_pool(self) -> str:
        return f"{self.project}.svc.id.goog"

    @property
    def hyperdisk(self) -> bool:
        """Whether volumes must be Hyperdisks, since the machines take no other."""
        return any(pool.disk == "hyperdisk-balanced" for pool in self.pools)

    @property
    def own_gateway(self) -> bool:
        """Whether the app has a Gateway of Google's for itself, whose address can be made before."""
        wanted = self.args.gateway
        return wanted is not None and wanted.name is None and wanted.class_name == GATEWAY

    @property
    def own_router(self) -> bool:
        return self.args.gateway is None

    @property
    def console(self) -> str:
        base = "https://console.cloud.google.com/kubernetes/clusters/details"
        return f"{base}/{self.region}/{self.name}/details?project={self.project}"

    @property
    def login(self) -> str:
        return f"gcloud container clusters get-credentials {self.name} --region {self.region} --project {self.project}"


def decide(
    args: GkeArgs, project: str | None, region: str | None, stack: str, owner: str, today: datetime.date
) -> Plan:
    """`project`: Google's; `owner`: Pulumi's. An ExceptionGroup of ConfigErrors for all that cannot be."""
    found: list[AnytierError] = [*_wrong_project(project), *_wrong_region(args, region), *_wrong(args, today)]
    zones = _zones(args, region or "")
    pools: list[Pool] = []
    if args.mode == "standard":
        wanted = nodes_of(args)
        found += managed.wrong_pools(wanted, f"{KEY}.nodes")
        for index, item in enumerate(wanted):
            try:
                pools.append(_pool(item, f"{KEY}.nodes.{index}", zones))
            except ConfigError as error:
                found.append(error)
        found += [*_two_kinds_of_disks(pools), *_too_many(args, pools)]
    if found:
        raise ExceptionGroup("config", found)
    assert project and region  # `_wrong_project` and `_wrong_region`
    name = args.name or called(stack, owner)
    return Plan(
        args=args,
        project=project,
        region=region,
        stack=stack,
        name=name,
        account=_account(name),
        zones=zones,
        pools=tuple(pools),
        labels={**args.labels, "anytier-stack": _plain(stack)},
    )


# what cannot be


def _wrong_project(project: str | None) -> Iterator[ConfigError]:
    do = "`pulumi config set gcp:project my-project-123`: the project's id, as `gcloud projects list` shows it"
    if not project:
        yield ConfigError("gcp:project", "is not set in this stack", do)
    elif not _PROJECT.fullmatch(project):
        what = "is a project's number" if project.isdigit() else f"{project[:40]!r} is no project's id"
        yield ConfigError("gcp:project", what, do)


def _wrong_region(args: GkeArgs, region: str | None) -> Iterator[ConfigError]:
    """A region that is newer than our list is known by its zones, if the stack names them."""
    for index, zone in enumerate(args.zones):
        if region and zone.rpartition("-")[0] != region:
            what = f"{zone} is not in {region}, where the cluster is"
            yield ConfigError(f"{KEY}.zones.{index}", what, f"zones of {region}, or another gcp:region")
        elif zone in args.zones[:index]:
            yield ConfigError(f"{KEY}.zones.{index}", f"{zone} is named twice", "name each zone once")
    if region and args.zones:
        return
    wrong = managed.wrong_location(region, REGIONS, "gcp:region", "europe-west3")
    if wrong and region and re.fullmatch(r"[a-z]+-[a-z]+[0-9]{1,2}-[a-z]", region):
        do = f"give its region, {region.rpartition('-')[0]}; `{KEY}.zones` can say which zones have nodes"
        wrong = ConfigError("gcp:region", f"{region} is a zone", do)
    elif wrong and region:
        wrong = ConfigError(wrong.path, wrong.what, f"{wrong.do}; or, where it is new, name its zones in `{KEY}.zones`")
    if wrong:
        yield wrong


def _wrong(args: GkeArgs, today: datetime.date) -> Iterator[ConfigError]:
    if args.minor is not None:
        over = versions_of(args.channel).over(args.minor, today, f"{KEY}.version")
        if over is not None:
            yield over
    nets = {f"{KEY}.network": args.network, f"{KEY}.pods": args.pods, f"{KEY}.services": args.services}
    yield from managed.overlaps(nets)
    if args.mode == "autopilot":
        for option, given in (("nodes", args.nodes), ("zones", args.zones)):
            if given:
                what = f"is for mode standard: in mode autopilot GKE makes {option} by itself, as pods ask for them"
                yield ConfigError(f"{KEY}.{option}", what, "leave it out, or let `mode` be standard")
    wanted = args.gateway
    if wanted and wanted.name is None and wanted.class_name != GATEWAY and str(wanted.class_name).startswith("gke-"):
        what = (
            f"{wanted.class_name} is none that this tier can prepare: it wants a network of its own, or is an old one"
        )
        do = f"{GATEWAY}; or make a Gateway of that class yourself, and give its name, namespace and class"
        yield ConfigError(f"{KEY}.gateway.className", what, do)
    if args.endpoint == "public" and not args.access:
        what = "is public, and nobody may come in by it"
        do = f"`pulumi config set --path '{KEY}.access[0]' ADDRESS/32`, or `endpoint: dns`: Google checks who you are"
        yield ConfigError(f"{KEY}.endpoint", what, do)
    if args.endpoint == "dns" and args.access:
        what = "says who may come in by the public address, and `endpoint` is dns: there is none"
        yield ConfigError(f"{KEY}.access", what, "leave it out, or let `endpoint` be public")
    taken = sorted({"anytier-stack"} & args.labels.keys())
    bad = sorted(f"{key}={value}" for key, value in args.labels.items() if not _LABEL.fullmatch(f"{key}={value}"))
    if taken or bad:
        what = f"{', '.join(taken)} is ours" if taken else f"{bad[0][:80]} is no label of Google Cloud"
        yield ConfigError(
            f"{KEY}.labels", what, "lower-case letters, digits, dashes and underscores, under another key"
        )


def _two_kinds_of_disks(pools: list[Pool]) -> Iterator[ConfigError]:
    """A volume could not follow its pod from the one kind of machine to the other."""
    first = next((pool for pool in pools), None)
    for index, pool in enumerate(pools):
        if first is not None and pool.disk != first.disk:
            what = f"{pool.type} takes {pool.disk} only, and {first.type} {first.disk}: no volume could move"
            yield ConfigError(f"{KEY}.nodes.{index}.size", what, "choose machine types of one kind for all pools")


def _too_many(args: GkeArgs, pools: list[Pool]) -> Iterator[ConfigError]:
    """Each machine takes a /24 of the pods' network and an address of the nodes', and an upgrade one more of each."""
    most = sum(pool.high + len(pool.zones) for pool in pools)
    for option, net, room in (
        ("pods", args.pods, 2 ** (24 - ipaddress.ip_network(args.pods).prefixlen)),
        ("network", args.network, ipaddress.ip_network(args.network).num_addresses - 4),  # Google keeps four of them
    ):
        if most > room:
            what = f"{net} has room for {room} machines, and the pools may have {most} while they are upgraded"
            yield ConfigError(f"{KEY}.{option}", what, "give a larger network, or pools a smaller `max`")


# what is to be


def nodes_of(args: GkeArgs) -> list[Nodes]:
    return [Nodes()] if args.nodes is None else args.nodes


def processors(args: GkeArgs) -> tuple[str, ...]:
    """What images are built for. Autopilot makes machines of Intel's and AMD's unless a pod asks for others."""
    return ("amd64",) if args.mode == "autopilot" else managed.processors(nodes_of(args), arch_of)


def needs_hyperdisk(args: GkeArgs) -> bool:
    """Whether any pool's machines take no other disks, as far as its size tells it."""
    sizes = [TYPES.get(item.size, {}).get(item.arch or "amd64", item.size) for item in args.nodes or ()]
    return any((found := family(size)) is not None and found[1] == "hyperdisk-balanced" for size in sizes)


def _zones(args: GkeArgs, region: str) -> tuple[str, ...]:
    return tuple(args.zones) or tuple(f"{region}-{letter}" for letter in REGIONS.get(region, ""))


def _pool(nodes: Nodes, at: str, zones: tuple[str, ...]) -> Pool:
    """ConfigError for a machine type that is none."""
    type_, arch = managed.machine_type(nodes, at, TYPES, arch_of, "e2-standard-4")
    found = family(type_)
    assert found is not None  # `machine_type`
    used = zones[: nodes.most] or zones  # no more zones than machines
    content: dict[str, Any] = {"type": type_, "disk": found[1], "size": nodes.disk, "spot": nodes.spot}
    return Pool(
        key=nodes.name,
        name=managed.hashed(nodes.name, content, 40),
        type=type_,
        arch=arch,
        disk=found[1],
        size=nodes.disk,
        spot=nodes.spot,
        low=nodes.min,
        high=nodes.most,
        first=math.ceil(nodes.min / max(1, len(used))),
        zones=used,
        labels=dict(nodes.labels),
    )


def called(stack: str, owner: str) -> str:
    """No two stacks' clusters are called alike, nor those of two projects, and none has more than 40 characters."""
    return managed.hashed(f"anytier-{_plain(stack)}", {"project": owner, "stack": stack}, 40, digits=6)


def _plain(stack: str) -> str:
    return re.sub(r"[^a-z0-9-]", "-", stack.lower()).strip("-")[:40].rstrip("-") or "stack"


def _account(name: str) -> str:
    """6 to 30 characters, a letter first."""
    return f"{name}-nodes" if len(name) + 6 <= _ACCOUNT else managed.hashed(name, {"name": name}, _ACCOUNT)


def window(plan: Plan) -> tuple[str, str, str]:
    """(start, end, recurrence) of the maintenance window, in GKE's words. The day that it begins with is long past."""
    wanted = plan.args.maintenance
    hour, minute = (int(part) for part in wanted.start.split(":"))
    start = datetime.datetime(2026, 1, 1, hour, minute)
    end = start + datetime.timedelta(hours=wanted.hours)
    days = [day for day in DAYS if day in wanted.days]
    return f"{start.isoformat()}Z", f"{end.isoformat()}Z", f"FREQ=WEEKLY;BYDAY={','.join(days)}"


def callers(plan: Plan) -> Access:
    return sorted(set(plan.args.access))


def kubeconfig(plan: Plan, dns: str, address: str, private: str, authority: str) -> str:
    """By the name that Google's own front answers to, or by an address. No credentials are in it.

    `authority` is what an address's certificate is of; that of the name is one that everybody knows.
    """
    login = Exec(
        PLUGIN,
        LOGIN[1:],
        hint=f"`gcloud components install {PLUGIN}`, or apt-get install google-cloud-cli-{PLUGIN}",
        cluster_info=True,
    )
    if plan.args.endpoint == "dns":
        return managed.kubeconfig(plan.name, f"https://{dns}", "", login)
    host = private if plan.args.endpoint == "private" else address
    return managed.kubeconfig(plan.name, f"https://{host}", authority, login)


def entrance(plan: Plan) -> dict[str, str]:
    """What gives the routes' load balancer the address that is the stack's."""
    return {"networking.gke.io/load-balancer-ip-addresses": plan.name}


def costs(plan: Plan) -> dict[str, Any]:
    """What a bill is made of, for people and for `anytier compare`. Machines by their pools; no prices are here.

    A pool begins with as many machines in each of its zones, so there may be more of them at first than its `min`.
    """
    machines = [
        {"pool": pool.key, "type": pool.type, "min": pool.begins, "max": max(pool.high, pool.begins),
         "spot": pool.spot, "disk": pool.disk, "diskGiB": pool.size}
        for pool in plan.pools
    ]  # fmt: skip
    return {
        "cloud": "gcp",
        "region": plan.region,
        "controlPlane": "regional",
        "mode": plan.args.mode,
        "machines": machines,
        "billedBy": "pod requests" if plan.autopilot else "machines",
        "natGateways": 1,
        "addresses": 1 if plan.own_router or plan.own_gateway else 0,
        "kmsKeys": 1,
        "loadBalancers": "one for each exposed Service",
    }
