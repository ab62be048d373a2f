"""`anytier:kubeadm:ControlPlane`: kubeadm init on a prepared node, its upgrades, its configuration, its end.

The mark on the machine says how far an init came: a run that was killed in the middle is taken back and begun again,
one that had ended is gone on from. An API server that does not answer is Unreachable, and never taken for gone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml

from anytier.errors import AnytierError, Conflict, Rejected, Unreachable
from anytier.provider.host.ids import machine_id
from anytier.provider.host.transport import File
from anytier.provider.kubeadm import approve, certificates, settings
from anytier.provider.kubeadm.api import ADMIN, AdminGone, Api, api_of, is_ready, kubelet_version, stands
from anytier.provider.kubeadm.drain import closed, cordon, drain
from anytier.provider.kubeadm.kubeadm import kubeadm, kubelet_changes, restart_kubelet
from anytier.provider.kubeadm.models import ControlPlaneInputs, ControlPlaneOutputs, Taint
from anytier.provider.kubeadm.node import GIVEN, Mark, Node, anothers, node_of, require_ours, same
from anytier.provider.kubeadm.reset import reset
from anytier.provider.kubeadm.staticpods import changed_pods, restart_pods
from anytier.provider.resource import Context, Resource
from anytier.render.kubeadm import authentication, config, encryption, kubelet, versions

RENEW = timedelta(days=60)
CONFIG, NEW_CONFIG = f"{GIVEN}/kubeadm.yaml", f"{GIVEN}/kubeadm-new.yaml"
_ANSWER = 120.0  # seconds until an API server that runs answers
_STEADY = 10.0  # seconds in which nothing of it restarts any more


class ControlPlaneResource(Resource[ControlPlaneInputs, ControlPlaneOutputs]):
    inputs = ControlPlaneInputs
    outputs = ControlPlaneOutputs

    def check(self, inputs: ControlPlaneInputs) -> list[AnytierError]:
        return problems(inputs)

    def replaces(self, old: ControlPlaneInputs, new: ControlPlaneInputs) -> list[str]:
        """Nothing by itself: a cluster with all that is in it is not replaced because a line has changed. It is where
        its machine is another one by now. One that does not answer is destroyed first, too: nobody knows here that it
        does not, and `forget` may be left from another day."""
        moved = _moved(old, new)
        if moved and old.incarnation != new.incarnation:
            return []
        if moved:
            do = "put it back (`role: control-plane` says which machine it is, whatever their order); or destroy first"
            raise Rejected(moved, "another control plane would be another cluster: all that is in this one goes", do)
        problem = versions.problem("version", old.version, new.version)
        if problem is not None:
            raise problem
        for path, before, after in (
            ("podSubnet", old.pod_subnet, new.pod_subnet),
            ("serviceSubnet", old.service_subnet, new.service_subnet),
            ("dnsDomain", old.dns_domain, new.dns_domain),
            ("advertiseAddress", old.advertise_address, new.advertise_address),
            ("port", old.port, new.port),
            ("controlPlaneEndpoint", plan(old, "").server, plan(new, "").server),
        ):
            if before != after:
                what = f"a cluster keeps the one it was made with ({before}, not {after})"
                raise Rejected(path, what, "put it back; or destroy the stack first, and all that is in the cluster")
        return []

    def drifted(self, inputs: ControlPlaneInputs, state: ControlPlaneOutputs) -> list[str]:
        whole = state.version == inputs.version and state.config_hash == config_hash(inputs) and not state.pending
        return [] if whole and not expires(state.certificates_expire) else ["version"]

    def planned(self, old: ControlPlaneOutputs | None, inputs: ControlPlaneInputs) -> Mapping[str, Any]:
        """What others use is known where nothing of it will change."""
        known: dict[str, Any] = {
            "version": inputs.version,
            "kubeletHash": kubelet_hash(inputs),
            "configHash": config_hash(inputs),
        }
        if old is not None and old.ca_hash:
            known["caHash"] = old.ca_hash
            if not expires(old.certificates_expire) and old.version == inputs.version:
                known["kubeconfig"] = old.kubeconfig
        return known

    def foretold(
        self, old_inputs: ControlPlaneInputs, state: ControlPlaneOutputs, inputs: ControlPlaneInputs
    ) -> list[str]:
        if state.version and state.version != inputs.version:
            return [
                f"cluster {inputs.cluster} goes from {state.version} to {inputs.version}: its API is away for a while"
            ]
        if config_hash(old_inputs) != config_hash(inputs):
            return [f"the control plane of {inputs.cluster} restarts"]
        return []

    async def create(self, ctx: Context, inputs: ControlPlaneInputs) -> tuple[str, ControlPlaneOutputs]:
        node = node_of(inputs)
        mark = require_ours(await node.mark(), inputs, node)
        id = f"{machine_id(inputs.machine)}|{inputs.cluster}"
        ctx.made(id, ControlPlaneOutputs())
        return id, await self._have(ctx, node, mark, inputs, inputs)

    async def read(
        self, ctx: Context, id: str, inputs: ControlPlaneInputs | None, state: ControlPlaneOutputs | None
    ) -> tuple[ControlPlaneInputs, ControlPlaneOutputs] | None:
        if inputs is None or state is None:
            raise Rejected(id, "a control plane is not imported", "let `pulumi up` take it over: what runs is kept")
        node = node_of(inputs)
        mark = await node.mark()
        if mark is None or anothers(mark, inputs) or mark.stage == "prepared":
            return None
        if mark.stage == "begun":
            return inputs, state.model_copy(update={"version": "", "ready": False})
        try:
            return inputs, await self._seen(node, inputs, state.config_hash)
        except AdminGone:
            return inputs, state.model_copy(update={"version": "", "ready": False})

    async def update(
        self,
        ctx: Context,
        id: str,
        old_inputs: ControlPlaneInputs,
        state: ControlPlaneOutputs,
        inputs: ControlPlaneInputs,
    ) -> ControlPlaneOutputs:
        node = node_of(inputs)
        mark = require_ours(await node.mark(), inputs, node)
        return await self._have(ctx, node, mark, old_inputs, inputs)

    async def delete(self, ctx: Context, id: str, inputs: ControlPlaneInputs, state: ControlPlaneOutputs) -> None:
        node = node_of(inputs)
        try:
            mark = await node.mark()
        except Unreachable as error:
            if not inputs.forget:
                do = f"{error.do}; if it is gone for good, set `forget: true`, `pulumi up`, then destroy"
                raise Unreachable(error.path, error.what, do) from error
            ctx.warn(f"{error.path} does not answer: cluster {inputs.cluster} is let go, and what is on it stays there")
            return
        if mark is None or mark.stage == "prepared":
            return
        if not same(mark, inputs):
            ctx.left_alone(f"cluster on {node.machine.name}")
            return
        await reset(ctx, node, mark, inputs.version)

    # steps

    async def _have(
        self, ctx: Context, node: Node, mark: Mark, old: ControlPlaneInputs, inputs: ControlPlaneInputs
    ) -> ControlPlaneOutputs:
        """From whatever is there to what is asked for."""
        lacking = mark.stage == "done" and not await node.machine.read([ADMIN])
        if lacking and await stands(node):
            ctx.info(f"{ADMIN} of {inputs.cluster} was taken away: it is made again")
            argv = ["init", "phase", "kubeconfig", "admin", f"--config={CONFIG}"]
            await kubeadm(ctx, node, inputs.version, *argv)
        elif mark.stage == "begun" or lacking:
            ctx.info(f"an init of {inputs.cluster} did not end, or was taken back in part: it is begun again")
            mark = await reset(ctx, node, mark, inputs.version)
        if mark.stage == "prepared":
            api = await self._init(ctx, node, mark, inputs)
        else:
            api = await api_of(node)
            await self._change(ctx, node, api, inputs)
        await settings.apply(api, node.name, (old.labels, taints_of(old)), (inputs.labels, taints_of(inputs)))
        wait = approve.patience(inputs.start_timeout) if mark.stage == "prepared" else 0
        await approve.grant(ctx, api, node, wait)
        if (now := await api.find(node.name)) is not None and (said := closed(now)):
            ctx.warn(said)
        done = await self._seen(node, inputs, config_hash(inputs), _ANSWER)
        if done.pending:  # one more came meanwhile: a kubelet asks anew when it learns another address
            await approve.grant(ctx, api, node)
            done = await self._seen(node, inputs, config_hash(inputs), _ANSWER)
        ctx.status(f"{inputs.cluster} is {done.version}")
        return done

    async def _init(self, ctx: Context, node: Node, mark: Mark, inputs: ControlPlaneInputs) -> Api:
        if await node.machine.read([ADMIN]):
            what = f"has {ADMIN} already, and not from us"
            raise Conflict(f"machine {node.machine.name}", what, "`kubeadm reset` there if that cluster is gone")
        await node.set_mark(mark.model_copy(update={"stage": "begun"}))
        await self._write(node, inputs, [], CONFIG)
        await node.switch(inputs.version, "kubeadm", "kubelet")
        await node.must("systemctl", "enable", "--quiet", "kubelet.service")
        argv = ["init", f"--config={CONFIG}", "--skip-token-print"]
        await kubeadm(ctx, node, inputs.version, *argv, start=inputs.start_timeout)
        await node.set_mark(mark.model_copy(update={"stage": "done"}))
        api = await api_of(node)
        ctx.status(f"waiting for the API of {inputs.cluster}")
        await api.described(inputs.start_timeout)
        return api

    async def _change(self, ctx: Context, node: Node, api: Api, inputs: ControlPlaneInputs) -> None:
        """Upgrade, then configuration, then certificates; each only if need be."""
        try:
            await api.ready(_ANSWER)
        except Unreachable as error:
            raise await why_silent(node, error) from error
        api.patience = _ANSWER  # from here on its own pods may restart
        live = await api.version()
        problem = versions.problem("version", live, inputs.version)
        if problem is not None:
            raise problem
        # The file is the last that an upgrade writes: one that was killed has moved the API server first, and not the
        # rest. kubeadm's own may be done again.
        whole = live == inputs.version == version_in((await node.machine.read([CONFIG])).get(CONFIG, b""))
        if not whole or kubelet_version(await api.find(node.name)) != inputs.version:
            await self._upgrade(ctx, node, api, inputs, not whole)
        await cordon(api, node.name, False)  # what an upgrade left that was killed
        keys = await encryption_keys(node)
        if await self._differs(node, inputs, keys):
            await self._configure(ctx, node, api, inputs, keys)
        elif not whole:
            await self._write(node, inputs, keys, CONFIG)
        if expires(await first_end(node)):
            ctx.status("renewing certificates")
            await kubeadm(ctx, node, inputs.version, "certs", "renew", "all", told="renewing certificates")
            await restart_pods(ctx, node, await api_of(node))
            ctx.info(f"certificates of {inputs.cluster} renewed; they are good until {await first_end(node)}")

    async def _upgrade(self, ctx: Context, node: Node, api: Api, inputs: ControlPlaneInputs, pods: bool) -> None:
        """Of the kubelet, and of the control plane's `pods` before it."""
        others = [item for item in await api.nodes() if item["metadata"]["name"] != node.name]
        moves = any(is_ready(item) and not item["spec"].get("unschedulable") for item in others)
        if pods:
            argv = ["upgrade", "apply", inputs.version, "--yes", "--certificate-renewal=true"]
            ignored = [f"--ignore-preflight-errors={','.join(inputs.ignore_preflight)}"] * bool(inputs.ignore_preflight)
            await kubeadm(ctx, node, inputs.version, *argv, *ignored, told=f"upgrading to {inputs.version}")
            await api.ready(_ANSWER)
        if moves:
            forced = await drain(api, node.name, inputs.deadline, ctx.status)
            if forced:
                ctx.warn(f"left {node.name} against their budgets: {', '.join(forced)}")
        await node.switch(inputs.version, "kubeadm", "kubelet")
        await restart_kubelet(ctx, node, api, inputs.version)
        await api.steady(_STEADY, _ANSWER)  # a new kubelet may make its static pods anew

    async def _write(self, node: Node, inputs: ControlPlaneInputs, keys: list[str], into: str) -> None:
        """What kubeadm and the API server are given, the secret of it readable by root only. `into`: kubeadm's own."""
        wanted, secret = files(inputs, keys)
        wanted[into] = wanted.pop(CONFIG)
        await node.machine.put(
            [
                File(GIVEN, None, 0o700),
                *(File(path, text.encode(), 0o600) for path, text in {**wanted, **secret}.items()),
            ]
        )

    @staticmethod
    async def _differs(node: Node, inputs: ControlPlaneInputs, keys: list[str]) -> bool:
        """Whether what was last brought about is something else. A version alone is nothing of it."""
        wanted, secret = files(inputs, keys)
        found = await node.machine.read([*wanted, *secret])
        same_config = lasting_of(found.pop(CONFIG, b"")) == lasting_of(wanted.pop(CONFIG).encode())
        return not same_config or any(path not in found for path in {**wanted, **secret})

    async def _configure(self, ctx: Context, node: Node, api: Api, inputs: ControlPlaneInputs, keys: list[str]) -> None:
        """By kubeadm's own phases. Static pods that do not come up with it get their old manifests back."""

        async def run(*argv: str) -> None:
            given = f"--config={NEW_CONFIG}"
            await kubeadm(ctx, node, inputs.version, "init", "phase", *argv, given, told="reconfiguring")

        ctx.status("changing the configuration")
        await self._write(node, inputs, keys, NEW_CONFIG)
        serving = f"{certificates.PKI}/apiserver.crt"
        known = (await node.machine.read([serving])).get(serving)
        if known is None or not set(config.sans(plan(inputs, ""))) <= certificates.names_of(known):
            await node.machine.remove([serving, f"{certificates.PKI}/apiserver.key"])
            await run("certs", "apiserver")
        async with changed_pods(ctx, node, api):
            await run("etcd", "local")
            await run("control-plane", "all")
        await run("upload-config", "all")
        async with kubelet_changes(ctx, node, api, inputs.version):
            await run("kubelet-start")
        await run("addon", "all")
        await reload_proxy(api, config.digest(config.proxy(plan(inputs, ""))))
        # Last: that this file says so is that all of it was brought about.
        await self._write(node, inputs, keys, CONFIG)
        await self._sweep(node, inputs, keys)

    @staticmethod
    async def _sweep(node: Node, inputs: ControlPlaneInputs, keys: list[str]) -> None:
        """Files that an older configuration named."""
        wanted, secret = files(inputs, keys)
        there = [f"{GIVEN}/{name}" for name in await node.machine.list(GIVEN)]
        await node.machine.remove([path for path in there if path not in wanted and path not in secret])

    async def _seen(
        self, node: Node, inputs: ControlPlaneInputs, known_hash: str, patience: float = 0
    ) -> ControlPlaneOutputs:
        """`known_hash`: of the configuration that was last written; the files themselves say whether it still is."""
        api = await api_of(node, patience)
        try:
            live = await api.version()
        except Unreachable as error:
            raise await why_silent(node, error) from error
        found = await api.find(node.name)
        current = known_hash and not await self._differs(node, inputs, await encryption_keys(node))
        return ControlPlaneOutputs(
            kubeconfig=kubeconfig(inputs, api),
            ca_hash=certificates.ca_hash(api.credentials.ca),
            version=live if kubelet_version(found) in ("", live) else "",
            certificates_expire=await first_end(node),
            kubelet_hash=kubelet_hash(inputs),
            config_hash=config_hash(inputs) if current else "",
            ready=is_ready(found),
            pending=await approve.pending(api, node.name),
        )


def problems(inputs: ControlPlaneInputs) -> list[AnytierError]:
    """What is wrong whatever the machine is like."""
    found: list[AnytierError] = []
    pods, services = ipaddress.ip_network(inputs.pod_subnet), ipaddress.ip_network(inputs.service_subnet)
    try:
        address = ipaddress.ip_address(inputs.advertise_address)
    except ValueError:
        do = "give the address by which the other machines reach it, such as 10.0.0.11"
        return [Rejected("advertiseAddress", f"{inputs.advertise_address[:60]!r} is no address", do)]
    if pods.version == services.version and pods.overlaps(services):
        found.append(Rejected("serviceSubnet", f"{services} overlaps the pods' {pods}", "give it another range"))
    for path, network in (("podSubnet", pods), ("serviceSubnet", services)):
        if network.version == address.version and address in network:
            found.append(Rejected(path, f"{network} holds the machine's own {address}", "give it another range"))
    if services.num_addresses < 16 or services.max_prefixlen - services.prefixlen > 20:
        do = "give a subnet from /12 to /28 (IPv6: /108 to /124)"
        found.append(Rejected("serviceSubnet", f"{services} is not of a size for services", do))
    if pods.version == 4 and pods.prefixlen > 23:
        found.append(Rejected("podSubnet", f"{pods} holds but one node's pods, a /24", "give a /16, or a /23 at least"))
    reserved = {"authentication-config", "encryption-provider-config", "anonymous-auth"}
    for name in sorted(reserved & set(inputs.api_server)):
        found.append(Rejected(f"apiServer.{name}", "is set by anytier, for a safe default", "leave it out"))
    return found


def plan(inputs: ControlPlaneInputs, mark: str) -> config.Control:
    """`mark`: of the encryption's configuration."""
    small = {"NumCPU", "Mem"}  # ours has looked at these, by what the stack asks for
    return config.Control(
        name=inputs.name,
        cluster=inputs.cluster,
        version=inputs.version,
        endpoint=inputs.endpoint,
        address=inputs.advertise_address,
        encryption=mark,
        control_plane_endpoint=inputs.control_plane_endpoint,
        port=inputs.port,
        pod_subnet=inputs.pod_subnet,
        service_subnet=inputs.service_subnet,
        dns_domain=inputs.dns_domain,
        cert_sans=inputs.cert_sans,
        kubelet=inputs.kubelet,
        kube_proxy=inputs.kube_proxy,
        api_server=inputs.api_server,
        controller_manager=inputs.controller_manager,
        scheduler=inputs.scheduler,
        etcd=inputs.etcd,
        feature_gates=inputs.feature_gates,
        taints=None if inputs.taints is None else [item.wire() for item in inputs.taints],
        audit=inputs.audit,
        ignore=sorted({*inputs.ignore_preflight, *small}),
        start=inputs.start_timeout,
    )


def files(inputs: ControlPlaneInputs, keys: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """(path -> content, path -> content of what is secret). `keys`: of what was encrypted before."""
    own = encryption.key(inputs.encryption_key)
    given = encryption.config([own, *(item for item in keys if item != own)])
    mark = encryption.mark(given)
    return config.files(plan(inputs, mark)), {f"{GIVEN}/encryption-{mark}.yaml": config.text([given])}


async def encryption_keys(node: Node) -> list[str]:
    """Those that the node's configurations have, so that what they encrypted stays readable."""
    names = [name for name in await node.machine.list(GIVEN) if name.startswith("encryption-")]
    found = await node.machine.read([f"{GIVEN}/{name}" for name in names])
    keys = [key for data in found.values() for key in encryption.keys_in(yaml.safe_load(data) or {})]
    return list(dict.fromkeys(keys))


def config_hash(inputs: ControlPlaneInputs) -> str:
    """Of all that a control plane is configured by, its version left out."""
    documents = [*map(lasting, config.documents(plan(inputs, ""))), authentication.config(inputs.version)]
    own = encryption.mark(encryption.config([encryption.key(inputs.encryption_key)]))
    return config.digest([documents, own])


def lasting_of(data: bytes) -> list[dict[str, Any]]:
    """kubeadm's configuration, of each document what is lasting of it; no documents for what cannot be read."""
    try:
        documents = list(yaml.safe_load_all(data))
    except yaml.YAMLError:
        return []
    return [lasting(item or {}) for item in documents]


def lasting(document: Mapping[str, Any]) -> dict[str, Any]:
    """Without the version of Kubernetes, which is an upgrade's, and for how long somebody waits."""
    return {key: value for key, value in document.items() if key not in ("kubernetesVersion", "timeouts")}


def version_in(data: bytes) -> str:
    """The version that kubeadm's configuration names; empty where it names none."""
    try:
        found = [(item or {}).get("kubernetesVersion") for item in yaml.safe_load_all(data)]
    except yaml.YAMLError:
        return ""
    return next((str(item) for item in found if item), "")


def kubelet_hash(inputs: ControlPlaneInputs) -> str:
    return config.digest(kubelet.config(inputs.kubelet))


def taints_of(inputs: ControlPlaneInputs) -> list[Taint]:
    return list(settings.DEFAULT_TAINTS if inputs.taints is None else inputs.taints)


def kubeconfig(inputs: ControlPlaneInputs, api: Api) -> str:
    """For clients on this side."""
    user = api.credentials.conf["users"][0]["user"]
    server = f"https://{inputs.endpoint}"
    return config.text([config.kubeconfig(inputs.cluster, server, api.credentials.ca64, user)])


async def first_end(node: Node) -> str:
    found = await node.machine.read([*certificates.FILES, *certificates.CONFS])
    return certificates.first_end(found.values())


async def why_silent(node: Node, error: Unreachable) -> AnytierError:
    """The error itself, or that certificates have ended, after which nobody can ask for anything."""
    end = await first_end(node)
    if not end or datetime.fromisoformat(end) > datetime.now(UTC):
        return error
    do = "renew them there by hand, then run again: docs/troubleshooting.md has it step by step"
    return Rejected(f"control plane on {node}", f"its certificates ended on {end}", do)


def expires(when: str) -> bool:
    """Whether certificates are to be renewed; unknown is not."""
    return bool(when) and datetime.fromisoformat(when) - datetime.now(UTC) < RENEW


async def reload_proxy(api: Api, mark: str) -> None:
    """kube-proxy reads its configuration once: another mark in its template has it started anew."""
    annotations = {"template": {"metadata": {"annotations": {"anytier.dev/config-hash": mark}}}}
    await api.patch("/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy", {"spec": annotations})


def _moved(old: ControlPlaneInputs, new: ControlPlaneInputs) -> str:
    """The property by which it would be another cluster; empty if it is the same."""
    if (old.machine.address, old.machine.port) != (new.machine.address, new.machine.port):
        return "machine"
    return "cluster" if old.cluster != new.cluster else "name" if old.name != new.name else ""
