"""Tier `kubeadm`: a vanilla Kubernetes cluster, made of machines of yours over SSH or of virtual machines.

What is decided is in `kubeadmplan`; here are the files that the config names, and the order of the resources.
"""

from __future__ import annotations

import base64
import getpass
import os
import socket
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
from anytier import planning
from anytier.bundle.manifest import Bundle
from anytier.clusterobjects import KubernetesObject, cluster_provider, register
from anytier.errors import AnytierError, Denied, NotFound, Rejected
from anytier.render.kubeadm import openpgp
from anytier.render.kubeadm.versions import minor
from anytier.render.kubernetes import addons
from anytier.render.kubernetes.addons import local_path, traefik
from anytier.resources import Resource, owned_by
from anytier.tiers import kubeadmplan
from anytier.tiers.baremetal import looked_at
from anytier.tiers.gateways import offering
from anytier.tiers.inventory import read
from anytier.tiers.kubeadmargs import DEFAULT_VERSION, KubeadmArgs, NodeArgs
from anytier.tiers.kubeadmplan import KEY, Member, Plan
from anytier.tiers.places import BALANCER, Cluster, HostMachine
from anytier.tiers.vmplan import Vm

_DAEMON = "unix:///var/run/docker.sock"


class KubeadmTier(pulumi.ComponentResource):
    """A cluster as a place. `exports` holds its kubeconfig, a secret."""

    config_key = "kubeadm"
    args_type = KubeadmArgs

    def __init__(
        self, name: str, args: KubeadmArgs, *, port: int, tls_port: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        stack = pulumi.get_stack()
        here = Here(args, stack)  # first: what is wrong registers nothing
        plan = here.plan(stack, _owner(), port, tls_port)
        super().__init__("anytier:tier:Kubeadm", name, {}, opts)
        self.plan = plan
        self.owner = owned_by(plan.owner, "cluster", pulumi.ResourceOptions(parent=self))
        machines = self._machines(here, port, tls_port)
        nodes = {member.name: self._node(member, machines[member.name]) for member in plan.members}
        control = self._control_plane(machines[plan.control.name], nodes[plan.control.name])
        kubeconfig = pulumi.Output.secret(control.output("kubeconfig"))
        chosen = replace(plan.addons, port=port, tls_port=tls_port)
        made = self._addons(chosen, kubeconfig, control)
        workers = [self._worker(member, machines, nodes[member.name], control) for member in plan.workers]
        self.exports: dict[str, Any] = {"kubeconfig": kubeconfig}
        self.place = replace(
            offered(plan, port, tls_port),
            kubeconfig=kubeconfig,
            nodes=tuple(machines[member.name] for member in plan.members if member.pods),
            ready=(control, *made.values(), *workers),
            lives_on=control if args.forget else None,
            identity=control.output("caHash"),
        )
        self.register_outputs({"kubeconfig": kubeconfig, "endpoint": plan.endpoint, "version": plan.version})

    @staticmethod
    def mode(args: KubeadmArgs) -> None:
        """There is but one."""

    @staticmethod
    def offered(args: KubeadmArgs, *, port: int, tls_port: int, stack: str) -> Cluster:
        """The cluster as far as it is known without making it: nobody is asked, and the software need not be here."""
        here = Here(args, stack, software=False)
        return offered(here.plan(stack, "", port, tls_port), port, tls_port)

    # the steps

    def _machines(self, here: Here, port: int, tls_port: int) -> dict[str, HostMachine]:
        """Those of the list, each looked at; or those that are made for this stack. By their Node's name."""
        members = self.plan.members
        if self.plan.args.libvirt is not None:
            from anytier.tiers.libvirt import LibvirtTier

            own = pulumi.ResourceOptions(parent=self)
            made = LibvirtTier("machines", self.plan.args.libvirt, port=port, tls_port=tls_port, opts=own)
            return {member.name: item for member, item in zip(members, made.place.machines, strict=True)}
        arch = here.bundle.arch if here.bundle else None
        pairs = zip(here.listed, members, strict=True)
        return {member.name: self._looked_at(item, member, arch) for item, member in pairs}

    def _looked_at(self, args: NodeArgs, member: Member, arch: str | None) -> HostMachine:
        way, found = looked_at(args, self, kubeadmplan.needs(self.plan, member, arch))
        return HostMachine(member.name, way, member.address, member.labels, member.ingress, found.output("memory"))

    def _node(self, member: Member, machine: HostMachine) -> Resource:
        """All of these at the same time."""
        props = kubeadmplan.node(self.plan, member, machine.machine)
        return self._new("Node", f"{member.name}-node", props, (), [])

    def _control_plane(self, machine: HostMachine, node: Resource) -> Resource:
        own = pulumi.ResourceOptions(parent=self)
        key = Resource("index:Secret", "encryption-key", kubeadmplan.SECRET, ["value"], own)
        sealed = pulumi.Output.secret(key.output("value"))
        props = kubeadmplan.control_plane(self.plan, machine.machine, sealed)
        outputs = ["kubeconfig", "caHash", "kubeletHash", "version", "certificatesExpire"]
        return self._new("ControlPlane", "control-plane", props, outputs, [node])

    def _worker(
        self, member: Member, machines: Mapping[str, HostMachine], node: Resource, control: Resource
    ) -> Resource:
        """All of these at the same time, whatever the addons do."""
        said = {name: control.output(name) for name in ("caHash", "kubeletHash")}
        way, plane = machines[member.name].machine, machines[self.plan.control.name].machine
        props = kubeadmplan.worker(self.plan, member, way, plane, said)
        return self._new("Worker", member.name, props, (), [control, node])

    def _addons(self, chosen: addons.Choice, kubeconfig: Any, control: Resource) -> dict[str, KubernetesObject]:
        """What is on the cluster goes with it."""
        own = pulumi.ResourceOptions(parent=self, depends_on=[control])
        provider = cluster_provider(
            "cluster",
            kubeconfig,
            forget=self.plan.args.forget,
            identity=control.output("caHash"),
            answer=kubeadmplan.answer(self.plan.args.start_timeout),
            opts=own,
        )
        objects = [(item.key, item.object, item.after) for item in addons.render(chosen)]
        gone = pulumi.ResourceOptions(deleted_with=control)
        return register(objects, provider, self, after=[control], opts=gone)

    def _new(
        self, kind: str, name: str, props: dict[str, Any], outputs: Iterable[str], after: Iterable[Resource]
    ) -> Resource:
        opts = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        return Resource(f"kubeadm:{kind}", name, {**props, "owner": self.owner}, outputs, opts)


def offered(plan: Plan, port: int, tls_port: int) -> Cluster:
    """What the app may count on."""
    args = plan.args
    major, second = minor(plan.version)
    cluster = Cluster(
        kubeconfig="",
        version=f"{major}.{second}",
        port=port,
        tls_port=tls_port,
        # Where a Gateway is reached its own status tells, or the stack.
        address=BALANCER if args.gateway and args.address is None else plan.address,
        addresses=tuple(member.address for member in plan.members if member.ingress),
        reserved=plan.reserved,
        offers=plan.offers,
        storage_class=local_path.CLASS if args.storage == "local-path" else None,
        ingress_class=traefik.CLASS if args.ingress_controller == "traefik" else None,
        builder={"host": builder_of(args)},
        caddy_image=args.caddy_image,
        answer=kubeadmplan.answer(args.start_timeout),
        dns_domain=args.dns_domain,
        tier="kubeadm",
    )
    return offering(cluster, args.gateway)


class Here:
    """What the config takes of this machine: the inventory, the bundle, a mirror's key, files of virtual machines. An
    ExceptionGroup for what is not there; without `software` the bundle may be missing, and a plan does not look for it.
    `vms`: those that the stack makes, decided."""

    def __init__(self, args: KubeadmArgs, stack: str, software: bool = True) -> None:
        self.args = args
        found: list[Exception] = []
        self.listed: list[NodeArgs] = []
        self.vms: list[Vm] = []
        try:
            self.listed = listed_in(args)
        except (AnytierError, ExceptionGroup) as error:
            found.append(error)
        try:
            if args.libvirt is not None:
                from anytier.tiers.libvirt import decided_below

                self.vms = decided_below(f"{KEY}.libvirt", args.libvirt, stack)
        except ExceptionGroup as group:
            found += group.exceptions
        self.bundle: Bundle | None = None
        self.key = ""
        try:
            bundled = args.software == "bundle" and not planning.active()
            self.bundle = _bundle(args) if bundled else None
            self.key = _key(args) if software else ""
        except AnytierError as error:
            found += [error] if software or not isinstance(error, NotFound) else []
        if found:
            raise ExceptionGroup("config", found)

    def plan(self, stack: str, owner: str, port: int, tls_port: int) -> Plan:
        """What is made of it. An ExceptionGroup for all that cannot be."""
        ports = {"port": port, "tlsPort": tls_port}
        return kubeadmplan.decide(self.args, self.listed, self.vms, self.bundle, stack, owner, ports, self.key)


def listed_in(args: KubeadmArgs) -> list[NodeArgs]:
    """The machines that the stack names, in its config or in its inventory."""
    if args.inventory is not None and not args.machines:
        return read(args.inventory, NodeArgs, f"{KEY}.inventory")
    return list(args.machines)


def builder_of(args: KubeadmArgs) -> str:
    """The Docker daemon that builds the app's images."""
    return args.builder or os.environ.get("DOCKER_HOST") or _DAEMON


def bundle_folder(args: KubeadmArgs) -> Path:
    """Where the software lies: the folder that the stack names, else the one of this version in the user's cache."""
    if args.bundle:
        return Path(args.bundle).expanduser()
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = Path(os.environ.get("ANYTIER_CACHE_DIR") or home / "anytier")
    return cache / "bundles" / (args.version or DEFAULT_VERSION)


def _bundle(args: KubeadmArgs) -> Bundle:
    folder = bundle_folder(args)
    try:
        return Bundle.read(folder, f"{KEY}.bundle")
    except NotFound as error:
        if args.bundle is not None:
            raise
        wanted = (args.version or DEFAULT_VERSION).removeprefix("v")
        do = (
            f"`anytier bundle build --kubernetes {wanted} -o {folder}` gets it, or name a `bundle` that you have; "
            "with `software: packages` the machines get it themselves"
        )
        raise NotFound(error.path, f"the cluster's software is not here: {error.what}", do) from None


def _key(args: KubeadmArgs) -> str:
    """Of a mirror that signs by itself, in base64 of what its armour holds; empty where the key is the project's."""
    if args.mirror is None or args.mirror.key is None:
        return ""
    at, file = f"{KEY}.mirror.key", Path(args.mirror.key).expanduser()
    do = "give the file with the public key by which the repository is signed: `gpg --export --armor KEY`"
    try:
        with file.open("rb") as stream:
            return base64.b64encode(openpgp.dearmor(stream.read(openpgp.LARGEST + 1))).decode()
    except FileNotFoundError:
        raise NotFound(at, f"there is no file {file}", do) from None
    except OSError as error:
        raise Denied(at, f"{file} cannot be read: {error.strerror}", "give this user the right to read it") from None
    except ValueError as error:
        raise Rejected(at, f"{file} {error}", do) from None


def _owner() -> str:
    """Whose cluster it is, in words for people, as a mark on its machines."""
    if planning.active():
        return planning.stand_in("plan", "owner")
    return f"{getpass.getuser()}@{socket.gethostname()}:{Path.cwd()}"
