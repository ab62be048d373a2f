"""`anytier:kubeadm:Worker`: a prepared node joins a cluster, is upgraded in its turn, and leaves it empty.

Its token is made for this one join and goes right after. It is not waited for that the node is ready: the network of
pods may come later. A worker that is dead is let go with a warning, which its Node in the cluster has to bear out.
"""

from __future__ import annotations

import asyncio
import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import Any

from anytier.errors import AnytierError, Conflict, NotFound, Rejected, Unreachable
from anytier.provider.host.ids import machine_id
from anytier.provider.host.transport import File
from anytier.provider.kubeadm import approve, certificates, settings, staticpods, volumes
from anytier.provider.kubeadm.api import AdminGone, Api, api_of, is_ready, kubelet_version, node_path
from anytier.provider.kubeadm.drain import closed, cordon, drain
from anytier.provider.kubeadm.kubeadm import kubeadm, kubelet_changes, kubelet_says, restart_kubelet
from anytier.provider.kubeadm.models import WorkerInputs, WorkerOutputs
from anytier.provider.kubeadm.node import GIVEN, Mark, Node, anothers, control_of, node_of, require_ours, same
from anytier.provider.kubeadm.reset import reset
from anytier.provider.kubeadm.turns import turn
from anytier.provider.resource import Context, Resource
from anytier.render.kubeadm import config, versions

_SECRETS = "/api/v1/namespaces/kube-system/secrets"
_LETTERS = string.ascii_lowercase + string.digits
_LIVES = timedelta(minutes=20)
_KUBELET = "/etc/kubernetes/kubelet.conf"


class WorkerResource(Resource[WorkerInputs, WorkerOutputs]):
    inputs = WorkerInputs
    outputs = WorkerOutputs

    def replaces(self, old: WorkerInputs, new: WorkerInputs) -> list[str]:
        if (old.name, old.cluster, old.ca_hash) == (new.name, new.cluster, new.ca_hash):
            problem = versions.problem("version", old.version, new.version)
            if problem is not None:
                raise problem
        return []

    def drifted(self, inputs: WorkerInputs, state: WorkerOutputs) -> list[str]:
        whole = state.version == inputs.version and state.kubelet_hash == inputs.kubelet_hash and not state.pending
        return [] if whole else ["version"]

    async def create(self, ctx: Context, inputs: WorkerInputs) -> tuple[str, WorkerOutputs]:
        node = node_of(inputs)
        mark = require_ours(await node.mark(), inputs, node)
        id = f"{machine_id(inputs.machine)}|{inputs.cluster}/{inputs.name}"
        ctx.made(id, WorkerOutputs())
        return id, await self._have(ctx, node, mark, inputs, inputs, WorkerOutputs())

    async def read(
        self, ctx: Context, id: str, inputs: WorkerInputs | None, state: WorkerOutputs | None
    ) -> tuple[WorkerInputs, WorkerOutputs] | None:
        """Gone is one that its machine, or the API server, says is not there."""
        if inputs is None or state is None:
            raise Rejected(id, "a worker is not imported", "let `pulumi up` take it over: what runs is kept")
        node = node_of(inputs)
        mark = await node.mark()
        if mark is None or anothers(mark, inputs) or mark.stage == "prepared":
            return None
        try:
            api = await api_of(control_of(inputs.control))
        except AdminGone:  # the control plane makes it again, before its workers are looked at
            return inputs, state.model_copy(update={"version": "", "ready": False})
        found = await api.find(inputs.name)
        if found is None or mark.stage == "begun":
            return inputs, state.model_copy(update={"version": "", "ready": False})
        return inputs, await seen(api, found, state.kubelet_hash)

    async def update(
        self, ctx: Context, id: str, old_inputs: WorkerInputs, state: WorkerOutputs, inputs: WorkerInputs
    ) -> WorkerOutputs:
        node = node_of(inputs)
        mark = require_ours(await node.mark(), inputs, node)
        return await self._have(ctx, node, mark, old_inputs, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: WorkerInputs, state: WorkerOutputs) -> None:
        node = node_of(inputs)
        mark, silence = None, None
        try:
            mark = await node.mark()
        except Unreachable as error:
            silence = error
        if silence is None and (mark is None or mark.stage == "prepared"):
            await self._forget_node(ctx, inputs)
            return
        if mark is not None and not same(mark, inputs):
            ctx.left_alone(f"node on {node.machine.name}")
            return
        await self._leave(ctx, inputs, silence)
        if silence is not None:
            ctx.warn(f"{silence.path} does not answer: node {inputs.name} is let go, and what is on it stays there")
        elif mark is not None:
            await reset(ctx, node, mark, inputs.version)

    # steps

    async def _have(
        self,
        ctx: Context,
        node: Node,
        mark: Mark,
        old: WorkerInputs,
        inputs: WorkerInputs,
        state: WorkerOutputs,
    ) -> WorkerOutputs:
        api = await api_of(control_of(inputs.control))
        if certificates.ca_hash(api.credentials.ca) != inputs.ca_hash:
            what = "has another CA than this worker's cluster"
            raise Conflict(f"machine {api.node.machine.name}", what, "`pulumi up --refresh` looks at it again")
        found = await api.find(inputs.name)
        apart = found is None or not await node.machine.read([_KUBELET])
        if mark.stage == "begun" or (mark.stage == "done" and apart):
            ctx.info(f"{inputs.name} had begun to join, or was taken out of the cluster: it joins anew")
            mark = await reset(ctx, node, mark, inputs.version)
        hash = state.kubelet_hash
        before = await approve.names(api, inputs.name)
        if mark.stage == "prepared":
            await self._join(ctx, node, mark, api, inputs, found)
            hash = inputs.kubelet_hash
        elif found is not None:
            hash = await self._change(ctx, node, api, inputs, found, hash)
        await settings.apply(api, inputs.name, (old.labels, old.taints), (inputs.labels, inputs.taints))
        wait = approve.patience(inputs.start_timeout) if mark.stage == "prepared" else 0
        await approve.grant(ctx, api, node, wait, before)
        now = await api.find(inputs.name)
        if now is None:
            raise NotFound(f"node {node}", "has joined, and is not in the cluster", "run again")
        ctx.status(f"{inputs.name} has joined" if mark.stage == "prepared" else f"{inputs.name} is {inputs.version}")
        if said := closed(now):
            ctx.warn(said)
        done = await seen(api, now, hash)
        if done.pending:  # one more came meanwhile: a kubelet asks anew when it learns another address
            await approve.grant(ctx, api, node)
            done = await seen(api, now, hash)
        return done

    async def _join(
        self, ctx: Context, node: Node, mark: Mark, api: Api, inputs: WorkerInputs, found: dict[str, Any] | None
    ) -> None:
        if is_ready(found):
            what = f"the cluster has a node {inputs.name} that is ready, on another machine"
            raise Conflict(f"machine {node.machine.name}", what, "give it another name")
        if found is not None:
            ctx.info(f"an old node {inputs.name}, which is not ready, is removed from the cluster")
            await api.delete(node_path(inputs.name))
        if await node.machine.read([_KUBELET]):
            what = f"has {_KUBELET} already, and not from us"
            raise Conflict(f"machine {node.machine.name}", what, "`kubeadm reset` there if that cluster is gone")
        await node.set_mark(mark.model_copy(update={"stage": "begun"}))
        await node.switch(inputs.version, "kubeadm", "kubelet")
        await node.must("systemctl", "enable", "--quiet", "kubelet.service")
        token, secret = bootstrap_token(inputs.name, datetime.now(UTC))
        await api.send("POST", _SECRETS, secret)
        try:
            # Without a folder for pods of its own a kubelet complains every second.
            await node.machine.put([File(staticpods.FOLDER, None, None), *join_files(inputs, api, token)])
            argv = ["join", f"--config={GIVEN}/join.yaml"]
            await kubeadm(ctx, node, inputs.version, *argv, start=inputs.start_timeout)
        finally:
            await node.machine.remove([GIVEN])
            await api.delete(f"{_SECRETS}/{secret['metadata']['name']}")
        await node.set_mark(mark.model_copy(update={"stage": "done"}))
        await registered(ctx, node, api, inputs.start_timeout)

    async def _change(
        self, ctx: Context, node: Node, api: Api, inputs: WorkerInputs, found: dict[str, Any], hash: str
    ) -> str:
        """The hash of the configuration that the kubelet then has."""
        live, server = kubelet_version(found), await api.version()
        problem = versions.problem("version", live, inputs.version)
        if problem is None and versions.numbers(inputs.version) > versions.numbers(server):
            what = f"{inputs.version} is newer than the control plane's {server}"
            problem = Rejected("version", what, "upgrade the control plane first")
        if problem is not None:
            raise problem
        ignored = [f"--ignore-preflight-errors={','.join(inputs.ignore_preflight)}"] * bool(inputs.ignore_preflight)
        if live != inputs.version:
            async with turn(ctx, inputs):
                await empty(ctx, api, inputs)
                argv = ["upgrade", "node", *ignored]
                await kubeadm(ctx, node, inputs.version, *argv, told=f"upgrading to {inputs.version}")
                await node.switch(inputs.version, "kubeadm", "kubelet")
                await restart_kubelet(ctx, node, api, inputs.version)
                await cordon(api, inputs.name, False)
            return inputs.kubelet_hash
        await cordon(api, inputs.name, False)  # what an upgrade left that was killed
        if hash != inputs.kubelet_hash:
            argv = ["upgrade", "node", "phase", "kubelet-config"]
            async with kubelet_changes(ctx, node, api, inputs.version):
                await kubeadm(ctx, node, inputs.version, *argv, told="reconfiguring the kubelet")
            return inputs.kubelet_hash
        if (await node.run("systemctl", "is-active", "--quiet", "kubelet.service")).code != 0:
            await restart_kubelet(ctx, node, api, inputs.version)
        return hash

    @staticmethod
    async def _forget_node(ctx: Context, inputs: WorkerInputs) -> None:
        """The machine was installed anew, and knows nothing of a cluster; its old Node goes, if nobody else has it.
        Nothing hangs on that, so nothing fails by it."""
        try:
            api = await api_of(control_of(inputs.control))
            found = await api.find(inputs.name)
            if found is not None and not is_ready(found):
                ctx.info(f"node {inputs.name}, whose machine knows nothing of the cluster, is removed from it")
                await api.delete(node_path(inputs.name))
        except NotFound:
            return
        except AnytierError as error:
            ctx.warn(f"{error.path} {error.what}: a Node {inputs.name} may stay in the cluster")

    @staticmethod
    async def _require_no_volumes(api: Api, inputs: WorkerInputs) -> None:
        """`forget` lets go of no data that is still there."""
        try:
            await volumes.require_none(api, inputs.name)
        except Conflict as error:
            if not inputs.forget:
                raise
            do = f"take `forget` out again, which is for machines that do not answer, and `pulumi up`; {error.do}"
            raise Conflict(error.path, error.what, do) from None

    async def _leave(self, ctx: Context, inputs: WorkerInputs, silence: AnytierError | None) -> None:
        """Out of the cluster. A control plane that is gone has nothing to be left; one that is silent may be let go."""
        try:
            api = await api_of(control_of(inputs.control))
            found = await api.find(inputs.name)
            if found is None:
                return
            if silence is not None and is_ready(found):
                do = "mend the way to it: its Node says that it is well"
                raise Unreachable(silence.path, silence.what, do)
            if silence is None:
                await self._require_no_volumes(api, inputs)
                await empty(ctx, api, inputs)
            await api.delete(node_path(inputs.name))
        except NotFound:
            return
        except (AdminGone, Unreachable) as error:
            if not inputs.forget or error.path == getattr(silence, "path", None):
                raise
            ctx.warn(f"{error.path} {error.what}: node {inputs.name} leaves without asking it")


async def registered(ctx: Context, node: Node, api: Api, seconds: float) -> None:
    """Until the cluster has the node: a kubelet that has its certificate, with which a join ends, has yet to start."""
    ctx.status(f"waiting for {node.name} in the cluster")
    end = asyncio.get_running_loop().time() + seconds
    while await api.find(node.name) is None:
        if asyncio.get_running_loop().time() >= end:
            what = f"has joined, and is not in the cluster after {seconds:.0f} s; {await kubelet_says(node)}"
            raise NotFound(f"node {node}", what, "`journalctl -u kubelet` there says more; then run again")
        await asyncio.sleep(0.5)


async def empty(ctx: Context, api: Api, inputs: WorkerInputs) -> None:
    forced = await drain(api, inputs.name, inputs.deadline, ctx.status)
    if forced:
        ctx.warn(f"left {inputs.name} against their budgets: {', '.join(forced)}")


async def seen(api: Api, found: dict[str, Any], hash: str) -> WorkerOutputs:
    return WorkerOutputs(
        uid=found["metadata"]["uid"],
        version=kubelet_version(found),
        kubelet_hash=hash,
        ready=is_ready(found),
        pending=await approve.pending(api, found["metadata"]["name"]),
    )


def bootstrap_token(name: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """(token, the Secret that makes it one)."""
    id, secret = ("".join(secrets.choice(_LETTERS) for _ in range(size)) for size in (6, 16))
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{id}", "namespace": "kube-system"},
        "stringData": {
            "token-id": id,
            "token-secret": secret,
            "description": f"anytier: node {name} joins",
            "expiration": (now + _LIVES).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "usage-bootstrap-authentication": "true",
            "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        },
    }
    return f"{id}.{secret}", body


def join_files(inputs: WorkerInputs, api: Api, token: str) -> list[File]:
    """All of it for root only; it goes right after the join."""
    server = f"https://{inputs.endpoint}"
    discovery = config.kubeconfig(inputs.cluster, server, api.credentials.ca64, {"token": token})
    taints = [item.wire() for item in inputs.taints]
    ignore = sorted({*inputs.ignore_preflight, "NumCPU", "Mem"})
    join = config.join(inputs.name, inputs.address, taints, ignore, inputs.start_timeout)
    return [
        File(GIVEN, None, 0o700),
        File(f"{GIVEN}/discovery.conf", config.text([discovery]).encode(), 0o600),
        File(f"{GIVEN}/join.yaml", config.text([join]).encode(), 0o600),
    ]
