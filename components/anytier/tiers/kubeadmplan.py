"""From what a stack says of a cluster to the inputs of the resources that make it. Pure: no call, no file.

The inputs are whole, defaults and all, so that the plugin tells at once that nothing has changed.
"""

from __future__ import annotations

import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from anytier.bundle.manifest import Bundle
from anytier.errors import AnytierError, ConfigError
from anytier.render.kubeadm import packages
from anytier.render.kubeadm.config import START
from anytier.render.kubeadm.names import join_endpoint, node_name, split_endpoint
from anytier.render.kubeadm.versions import minor
from anytier.render.kubernetes import addons
from anytier.render.kubernetes.addons import Choice, kube_router
from anytier.render.kubernetes.service import routes_port
from anytier.tiers import vmplan
from anytier.tiers.baremetal import alike, takes_requests
from anytier.tiers.kubeadmargs import DEFAULT_VERSION, MINORS, KubeadmArgs, MirrorArgs, NodeArgs, taint
from anytier.tiers.places import Offer
from anytier.tiers.vmplan import Vm

KEY = "anytier:kubeadm"
PORT = 6443
SSH = 22
# On which a machine of a cluster is called itself: the API server, the kubelet, kube-proxy's health, etcd, the
# health of what holds network policies. And SSH.
RESERVED = frozenset((PORT, 10250, 10256, 2379, 2380, kube_router.PORT))
SECRET = {"length": 48}  # what the key of all that is at rest in etcd is made of
Role = Literal["control-plane", "worker"]
# Each machine's part of the pods' network.
_NODE_PREFIX = 24


@dataclass(frozen=True)
class Member:
    """A machine of the cluster, decided. `name` is its Node's, `address` where the other machines reach it.

    `pods`: whether the app's pods run there. `taints` of None are kubeadm's own. `at` is its path in the config. `ssh`
    are the ports of its SSH, as far as they can be known.
    """

    name: str
    role: Role
    address: str
    at: str
    pods: bool = True
    ingress: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] | None = None
    incarnation: str | None = None
    ssh: frozenset[int] = frozenset((SSH,))


@dataclass(frozen=True)
class Plan:
    """A cluster, decided. `endpoint` is where this side reaches its API, `inside` where its machines do. `repository`:
    where the machines get the software themselves; None where it is the bundle's."""

    args: KubeadmArgs
    cluster: str
    owner: str
    version: str
    bundle: str
    bundle_digest: str
    repository: dict[str, str] | None
    members: tuple[Member, ...]
    endpoint: str
    inside: str
    address: str
    addons: Choice

    @property
    def control(self) -> Member:
        return next(item for item in self.members if item.role == "control-plane")

    @property
    def workers(self) -> tuple[Member, ...]:
        return tuple(item for item in self.members if item.role == "worker")

    @property
    def reserved(self) -> frozenset[int]:
        """The TCP ports of which the machines that take requests have need themselves."""
        return reserved(self.members)

    @property
    def offers(self) -> frozenset[Offer]:
        found: list[Offer] = []
        if self.args.storage != "none":
            found.append("storage")
        if self.args.metrics:
            found.append("metrics")
        if self.args.ingress_controller != "none":
            found.append("ingress")
        if self.args.network_policy != "none":
            found.append("network-policy")
        return frozenset(found)


def decide(
    args: KubeadmArgs,
    listed: Sequence[NodeArgs],
    vms: Sequence[Vm],
    bundle: Bundle | None,
    stack: str,
    owner: str,
    ports: Mapping[str, int] | None = None,
    key: str = "",
) -> Plan:
    """`listed`: the machines that the stack names, from its config or its inventory; or `vms` that it makes itself.
    Without a bundle nothing can be made of a plan that needs one, but it can be looked at. `ports`: the stack's own, by
    their keys. `key`: of a repository with one of its own, in base64.

    An ExceptionGroup of AnytierErrors for all that cannot be.
    """
    found: list[AnytierError] = [*_ways(args)]
    if args.libvirt is None:
        found += [*alike(listed, f"{KEY}.machines"), *_wrong_machines(listed)]
    members = () if found else _made(vms) if args.libvirt else _members(listed)
    found += [*_wrong_software(args), *([] if bundle is None else _wrong_bundle(args, bundle))]
    found += [*_wrong_names(members), *_wrong_addresses(args, members)]
    found += [*_overlaps(args, members), *_too_many(args, members or listed), *_taken(args, members, ports or {})]
    reached = None if found else _endpoint(args, listed, vms, members)
    if isinstance(reached, ConfigError):
        found.append(reached)
    if found:
        raise ExceptionGroup("config", found)
    assert isinstance(reached, str)
    control = next(item for item in members if item.role == "control-plane")
    version = bundle.version if bundle else args.version or DEFAULT_VERSION
    return Plan(
        args=args,
        cluster=vmplan.hostname(f"anytier-{stack}"),
        owner=owner,
        version=version,
        bundle=str(bundle.path.absolute()) if bundle else "",
        bundle_digest=bundle.digest if bundle else "",
        repository=repository(args, version, key),
        members=members,
        endpoint=reached,
        inside=args.control_plane_endpoint or join_endpoint(control.address, PORT),
        address=args.address or _front(listed, members),
        addons=choice(args, members),
    )


def choice(args: KubeadmArgs, members: Sequence[Member] = ()) -> Choice:
    """The addons that the config asks for. On which ports requests come is the stack's own, and added there."""
    state_dir = args.libvirt.state_dir if args.libvirt else None
    volumes = args.volumes or (f"{state_dir}/volumes" if state_dir else addons.VOLUMES)
    return Choice(
        pods=args.pod_subnet,
        cni=args.cni,
        storage=args.storage,
        metrics=args.metrics,
        volumes=volumes,
        ingress=args.ingress_controller,
        addresses=tuple(member.address for member in members if member.ingress),
        replicas=2 if sum(member.pods for member in members) > 1 else 1,
        network_policy=args.network_policy,
        services=args.service_subnet,
        plugin=args.software == "packages",
    )


def repository(args: KubeadmArgs, version: str, key: str) -> dict[str, str] | None:
    """Where machines get Kubernetes themselves, as the plugin takes it."""
    if args.software != "packages":
        return None
    mirror = args.mirror or MirrorArgs()
    url = packages.address(mirror.url or packages.UPSTREAM, version)
    return {"url": url, "key": key, "registry": mirror.registry or ""}


def default_name(address: str) -> str:
    """Of a Node: the first part of a machine's name, or all of its address."""
    try:
        text = str(ipaddress.ip_address(address)).replace(":", "-").strip("-")
    except ValueError:
        text = address.partition(".")[0].lower()
    return text.replace(".", "-")


# the resources' inputs


def needs(plan: Plan, member: Member, arch: str | None) -> dict[str, Any]:
    """What a preview holds the machine's facts against; all that it knows of it, none of it a default."""
    args = plan.args
    sizes = {"cores": args.min_cores, "memory": args.min_memory, "architecture": arch}
    given = {key: value for key, value in sizes.items() if value is not None}
    return {"role": member.role, **given, "ignore": args.ignore_preflight}


def node(plan: Plan, member: Member, machine: Any) -> dict[str, Any]:
    args = plan.args
    return {
        **_on(plan, member, machine),
        "role": member.role,
        "version": plan.version,
        **_software(plan),
        "packages": args.packages,
        "containerd": args.containerd,
        "protectKernelDefaults": args.protect_kernel_defaults,
        "memory": args.min_memory,
        "cores": args.min_cores,
        "incarnation": member.incarnation,
    }


def _software(plan: Plan) -> dict[str, Any]:
    given: dict[str, Any] = {"bundle": plan.bundle, "bundleDigest": plan.bundle_digest}
    return given if plan.repository is None else {**given, "repository": plan.repository}


def control_plane(plan: Plan, machine: Any, encryption_key: Any) -> dict[str, Any]:
    args, member = plan.args, plan.control
    return {
        **_on(plan, member, machine),
        "version": plan.version,
        "endpoint": plan.endpoint,
        "controlPlaneEndpoint": args.control_plane_endpoint,
        "advertiseAddress": member.address,
        "port": PORT,
        "podSubnet": args.pod_subnet,
        "serviceSubnet": args.service_subnet,
        "dnsDomain": args.dns_domain,
        "certSANs": _names_of_api(plan),
        "kubelet": args.kubelet,
        "kubeProxy": args.kube_proxy,
        "apiServer": args.api_server,
        "controllerManager": args.controller_manager,
        "scheduler": args.scheduler,
        "etcd": args.etcd,
        "featureGates": args.feature_gates,
        "labels": dict(member.labels),
        "taints": None if member.taints is None else [taint(item) for item in member.taints],
        "encryptionKey": encryption_key,
        "audit": args.audit,
        "deadline": args.drain_timeout,
        "startTimeout": args.start_timeout,
        "incarnation": member.incarnation,
    }


def worker(plan: Plan, member: Member, machine: Any, control: Any, of_control: Mapping[str, Any]) -> dict[str, Any]:
    """`control`: the machine of the control plane; `of_control`: its outputs `caHash` and `kubeletHash`."""
    return {
        **_on(plan, member, machine),
        "control": control,
        "endpoint": plan.inside,
        "address": member.address,
        "version": plan.version,
        "caHash": of_control["caHash"],
        "kubeletHash": of_control["kubeletHash"],
        "labels": dict(member.labels),
        "taints": [taint(item) for item in member.taints or ()],
        "deadline": plan.args.drain_timeout,
        "startTimeout": plan.args.start_timeout,
        "maxUnavailable": at_once(plan.args.max_unavailable, len(plan.workers)),
        "incarnation": member.incarnation,
    }


def answer(start: float) -> float | None:
    """Seconds for one answer of an API server that may take `start` to come up; None: as long as anybody waits."""
    return start / 4 if start > START else None


def at_once(said: int | str, workers: int) -> int:
    """A count, or a percentage of the workers, as a number: rounded down as Kubernetes does it, and at least one."""
    return said if isinstance(said, int) else max(1, workers * int(said.rstrip("%")) // 100)


def _on(plan: Plan, member: Member, machine: Any) -> dict[str, Any]:
    return {
        "machine": machine,
        "name": member.name,
        "cluster": plan.cluster,
        "owner": plan.owner,
        "ignorePreflight": plan.args.ignore_preflight,
        "forget": plan.args.forget,
    }


def _names_of_api(plan: Plan) -> list[str]:
    """By which its certificate is valid, beside those that kubeadm knows itself."""
    ways = [plan.endpoint, *([plan.args.control_plane_endpoint] if plan.args.control_plane_endpoint else [])]
    return list(dict.fromkeys([*(split_endpoint(way)[0] for way in ways), *plan.args.cert_sans]))


# who is what


def _members(listed: Sequence[NodeArgs]) -> tuple[Member, ...]:
    first = _control_plane(listed)
    alone = len(listed) == 1
    return tuple(
        Member(
            name=item.name or default_name(item.address),
            role="control-plane" if index == first else "worker",
            address=item.private_address or item.address,
            at=f"{KEY}.machines.{index}",
            pods=alone or index != first or item.taints == [],
            ingress=takes_requests(item, listed),
            labels=item.labels,
            taints=_taints(item.taints, alone and index == first),
            ssh=_ssh(item),
        )
        for index, item in enumerate(listed)
    )


def _made(vms: Sequence[Vm]) -> tuple[Member, ...]:
    """The virtual machines that this stack makes: the first is the control plane."""
    alone = len(vms) == 1
    return tuple(
        Member(
            name=vm.hostname,
            role="control-plane" if number == 0 else "worker",
            address=vm.net.address,
            at=f"{KEY}.libvirt",
            pods=alone or number > 0,
            taints=_taints(None, alone),
            incarnation=vm.generation,
        )
        for number, vm in enumerate(vms)
    )


def reserved(members: Iterable[Member]) -> frozenset[int]:
    return RESERVED.union(*(item.ssh for item in members if item.ingress))


def _ssh(item: NodeArgs) -> frozenset[int]:
    """The port by which this side reaches it; and the usual one where something between may lead from that to it."""
    between = item.jump is not None or item.private_address not in (None, item.address)
    return frozenset((item.port, SSH)) if between else frozenset((item.port,))


def _taints(given: list[str] | None, alone: bool) -> tuple[str, ...] | None:
    """A control plane without workers takes the app's pods, unless its taints are given."""
    if given is not None:
        return tuple(given)
    return () if alone else None


def _control_plane(listed: Sequence[NodeArgs]) -> int:
    """Which of them it is. The list is checked: there is one."""
    said = [index for index, item in enumerate(listed) if item.role == "control-plane"]
    return said[0] if said else next(index for index, item in enumerate(listed) if item.role is None)


def _front(listed: Sequence[NodeArgs], members: Sequence[Member]) -> str:
    """Where users reach the app: the first machine that takes their requests, by the name that this side knows."""
    index = next(index for index, item in enumerate(members) if item.ingress)
    return listed[index].address if listed else members[index].address


def _endpoint(
    args: KubeadmArgs, listed: Sequence[NodeArgs], vms: Sequence[Vm], members: Sequence[Member]
) -> str | ConfigError:
    """Where this side reaches the API: as it reaches the machine, unless something lies between."""
    if args.endpoint:
        return args.endpoint
    index = next(index for index, item in enumerate(members) if item.role == "control-plane")
    between = listed[index].jump is not None if listed else "jump" in vmplan.login(vms[index], None)
    if between:
        what = "is not given, and the control plane is reached through another host, by which the API is not"
        return ConfigError(f"{KEY}.endpoint", what, "give the HOST:PORT by which this machine reaches the API server")
    return join_endpoint(listed[index].address if listed else members[index].address, PORT)


# what cannot be


def _ways(args: KubeadmArgs) -> Iterator[ConfigError]:
    """Machines come from one place, and requests by one door."""
    given = {"machines": args.machines, "inventory": args.inventory, "libvirt": args.libvirt}
    said = [name for name, value in given.items() if value]
    for other in said[1:]:
        what = f"is given beside `{said[0]}`: where do the machines come from?"
        yield ConfigError(f"{KEY}.{other}", what, "keep one of the two")
    if not said:
        do = f"`pulumi config set --path '{KEY}.machines[0].address' ADDRESS`, or name an `inventory` or `libvirt`"
        yield ConfigError(f"{KEY}.machines", "names no machine", do)
    if args.gateway is not None and args.ingress_controller != "none":
        what = f"is given beside `ingressController: {args.ingress_controller}`: which of them takes the app's routes?"
        yield ConfigError(f"{KEY}.gateway", what, "keep one of the two")


def _wrong_software(args: KubeadmArgs) -> Iterator[ConfigError]:
    """It comes from one place, and without TLS only where that was said."""
    packaged, mirror = args.software == "packages", args.mirror
    if packaged and args.bundle is not None:
        what = "is given beside `software: packages`: where does the software come from?"
        yield ConfigError(f"{KEY}.bundle", what, "keep one of the two")
    if mirror is None:
        return
    if not packaged:
        do = "set `software: packages`; a bundle has mirrors of its own: `anytier bundle build --mirror --registry`"
        yield ConfigError(f"{KEY}.mirror", "is where machines get packages and images, and they get a bundle", do)
    for name, value in (("url", mirror.url), ("registry", mirror.registry)):
        if value is not None and value.startswith("http://") and not mirror.insecure:
            what = f"{value[:100]} is asked without TLS: whoever is between may put something else in its place"
            yield ConfigError(
                f"{KEY}.mirror.{name}", what, "give it by https; `insecure: true` where you trust the way"
            )


def _wrong_bundle(args: KubeadmArgs, bundle: Bundle) -> Iterator[AnytierError]:
    """Of another version, without what is needed, or without an addon's image. Checksums are the plugin's part."""
    at = f"{KEY}.bundle"
    if args.version and args.version != bundle.version:
        what = f"is {args.version}, and the bundle {bundle.path} holds {bundle.version}"
        do = f"`anytier bundle build --kubernetes {args.version.removeprefix('v')} -o DIR`, or take `version` out"
        yield ConfigError(f"{KEY}.version", what, do)
    elif not _known(bundle.version):
        known = " and ".join(f"{major}.{second}" for major, second in MINORS)
        yield ConfigError(at, f"holds {bundle.version}; known here are {known}", "make a bundle of one of these")
    try:
        bundle.complete(at)
    except AnytierError as error:
        yield error
    for option, images in addons.images(choice(args)).items():
        lacking = [image for image in images if image not in bundle.references]
        if lacking:
            what = f"{bundle.path} has no image {lacking[0]}, which `{option}` needs"
            yield ConfigError(at, what, f"fill it again: `anytier bundle build -o {bundle.path}`; or change `{option}`")


def _known(text: str) -> bool:
    try:
        return minor(text) in MINORS
    except ValueError:
        return False


def _wrong_machines(listed: Sequence[NodeArgs]) -> Iterator[ConfigError]:
    """One control plane, and a door for requests."""
    if not listed:
        return
    planes = [index for index, item in enumerate(listed) if item.role == "control-plane"]
    for index in planes[1:]:
        what = f"is a second control plane (the first is machine {planes[0]}); more than one is planned, not built"
        yield ConfigError(f"{KEY}.machines.{index}.role", what, "leave `role` out: it is a worker then")
    if not planes and all(item.role == "worker" for item in listed):
        what = "has workers only"
        yield ConfigError(f"{KEY}.machines", what, "give one machine `role: control-plane`, or leave its role out")
    if not any(takes_requests(item, listed) for item in listed):
        what = "no machine takes requests from outside"
        yield ConfigError(f"{KEY}.machines", what, "set `ingress: true` on one")


def _wrong_names(members: Sequence[Member]) -> Iterator[ConfigError]:
    """What is made of an address must be a Node's name, and no other's."""
    seen: dict[str, int] = {}
    for index, item in enumerate(members):
        first = seen.setdefault(item.name, index)
        if first != index:
            what = f"{item.name!r} would also be the node name of machine {first} of the list"
            yield ConfigError(f"{item.at}.name", what, "give each a `name` of its own")
        try:
            node_name(item.name)
        except ValueError:
            what = f"is not given, and no node's name can be made of the address ({item.name[:60]!r})"
            yield ConfigError(f"{item.at}.name", what, "give one in a-z, 0-9 and `-`, such as node1")


def _wrong_addresses(args: KubeadmArgs, members: Sequence[Member]) -> Iterator[ConfigError]:
    """Each has an IPv4 address of its own by which the others reach it, outside of the cluster's own networks."""
    seen: dict[str, int] = {}
    nets = {"podSubnet": args.pod_subnet, "serviceSubnet": args.service_subnet}
    for index, item in enumerate(members):
        try:
            address = ipaddress.IPv4Address(item.address)
        except ValueError:
            what = f"{item.address[:60]!r} is no IPv4 address, which a node needs"
            do = "give the one by which the other machines reach it, such as `privateAddress: 10.0.0.11`"
            yield ConfigError(f"{item.at}.privateAddress", what, do)
            continue
        if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
            what = f"{address} is no address by which other machines reach this one"
            yield ConfigError(f"{item.at}.privateAddress", what, "give its address in the machines' network")
            continue
        first = seen.setdefault(str(address), index)
        if first != index:
            what = f"{address} is the address of machine {first} of the list, too"
            yield ConfigError(f"{item.at}.privateAddress", what, "give each its own address in the machines' network")
        for name, net in nets.items():
            if address in ipaddress.IPv4Network(net):
                what = f"{net} holds {address}, which is machine {item.name}"
                yield ConfigError(f"{KEY}.{name}", what, "choose a network that nothing uses where the machines are")


def _overlaps(args: KubeadmArgs, members: Sequence[Member]) -> Iterator[ConfigError]:
    """The networks of pods, of services, and of virtual machines that we make are three."""
    nets = {"podSubnet": args.pod_subnet, "serviceSubnet": args.service_subnet}
    if args.libvirt is not None and members and args.libvirt.network.subnet:
        nets["libvirt.network.subnet"] = args.libvirt.network.subnet
    for (one, first), (other, second) in itertools.combinations(nets.items(), 2):
        if ipaddress.IPv4Network(first).overlaps(ipaddress.IPv4Network(second)):
            what = f"{second} overlaps `{one}`, which is {first}"
            yield ConfigError(f"{KEY}.{other}", what, "choose two networks that share no address")


def _taken(args: KubeadmArgs, members: Sequence[Member], ports: Mapping[str, int]) -> Iterator[ConfigError]:
    """An Ingress controller takes its ports of every machine, whether there are routes or not."""
    own = reserved(members) if args.ingress_controller != "none" else frozenset()
    yield from (routes_port(f"anytier:{key}", port) for key, port in ports.items() if port in own)


def _too_many(args: KubeadmArgs, machines: Sequence[object]) -> Iterable[ConfigError]:
    net = ipaddress.IPv4Network(args.pod_subnet)
    room = 2 ** (_NODE_PREFIX - net.prefixlen)
    if len(machines) > room:
        what = f"{net} is too small for {len(machines)} machines: each takes a /{_NODE_PREFIX} of it"
        needed = _NODE_PREFIX - (len(machines) - 1).bit_length()
        yield ConfigError(f"{KEY}.podSubnet", what, f"give a /{needed} or larger")
