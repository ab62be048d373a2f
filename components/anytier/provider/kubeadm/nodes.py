"""`anytier:kubeadm:Node`: a machine made ready for kubeadm, and not yet part of anything.

What it finds of somebody else's it never touches: it says what is in the way, all at once. What it brings goes again.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from typing import Any

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.packages import Package
from anytier.provider.host.distributions import DISTRIBUTIONS, distribution
from anytier.provider.host.ids import machine_id
from anytier.provider.kubeadm import packaged, software
from anytier.provider.kubeadm.models import NodeInputs, NodeOutputs, Repository
from anytier.provider.kubeadm.node import GIVEN, LINKS, MARKER, ROOT, Mark, Node, anothers, node_of, not_ours, same
from anytier.provider.oci.manifest import platform
from anytier.provider.resource import Context, Resource
from anytier.render.kubeadm import config, containerd, kubelet, openpgp, preflight
from anytier.render.kubeadm.packages import Software

_OPT = "/opt/containerd"
_PROGRAMS = [*preflight.NEEDED]
_WAYS = {"bundle": "a bundle", "packages": "packages"}


class NodeResource(Resource[NodeInputs, NodeOutputs]):
    inputs = NodeInputs
    outputs = NodeOutputs

    def check(self, inputs: NodeInputs) -> list[AnytierError]:
        """A bundle is looked at, which is on this side; its checksums are compared when it is sent. A repository is the
        machine's to reach."""
        found = _wrong_key(inputs.repository) if inputs.repository else _wrong_bundle(inputs)
        try:
            containerd.text("pause", inputs.containerd)
        except ValueError as error:
            found.append(Rejected("containerd", str(error), "see containerd-config.toml(5)"))
        return found

    def drifted(self, inputs: NodeInputs, state: NodeOutputs) -> list[str]:
        return [] if state.prepared else ["version"]

    def replaces(self, old: NodeInputs, new: NodeInputs) -> list[str]:
        """Nothing by itself. Programs of a bundle do not become a package's under a kubelet that runs."""
        same = (old.machine.address, old.machine.port, old.cluster, old.name, old.incarnation) == (
            (new.machine.address, new.machine.port, new.cluster, new.name, new.incarnation)
        )
        problem = _changed(new.machine.address, _software(old), new) if same else None
        if problem is not None:
            raise problem
        return []

    async def create(self, ctx: Context, inputs: NodeInputs) -> tuple[str, NodeOutputs]:
        id = f"{machine_id(inputs.machine)}|{inputs.cluster}/{inputs.name}"
        return id, await self._prepare(ctx, id, inputs, NodeOutputs())

    async def read(
        self, ctx: Context, id: str, inputs: NodeInputs | None, state: NodeOutputs | None
    ) -> tuple[NodeInputs, NodeOutputs] | None:
        """Gone is one whose mark is gone; a machine that does not answer is an error."""
        if inputs is None or state is None:
            raise Rejected(id, "a node is not imported", "let `pulumi up` prepare it: what is there already is kept")
        node = node_of(inputs)
        mark = await node.mark()
        if mark is None or anothers(mark, inputs):
            return None
        return inputs, await self._seen(node, inputs, state, mark)

    async def update(
        self, ctx: Context, id: str, old_inputs: NodeInputs, state: NodeOutputs, inputs: NodeInputs
    ) -> NodeOutputs:
        return await self._prepare(ctx, id, inputs, state, old_inputs.owner)

    async def delete(self, ctx: Context, id: str, inputs: NodeInputs, state: NodeOutputs) -> None:
        """A worker that does not answer is let go: it was emptied, or is dead. Of a control plane it must be said."""
        node = node_of(inputs)
        try:
            mark = await node.mark()
        except Unreachable as error:
            if not inputs.forget and inputs.role == "control-plane":
                raise
            ctx.warn(f"{error.path} does not answer: it is let go, and what is on it stays there")
            return
        if mark is None:
            return
        if not same(mark, inputs):
            ctx.left_alone(f"node on {node.machine.name}")
            return
        await take_off(ctx, node, mark)
        if state.added:
            ctx.info(f"stays installed on {node.machine.name}: {', '.join(state.added)}")

    async def _prepare(
        self, ctx: Context, id: str, inputs: NodeInputs, state: NodeOutputs, before: str = ""
    ) -> NodeOutputs:
        source = source_of(inputs)
        node = node_of(inputs)
        about = await node.machine.about()
        facts = await look(node)
        mark = await self._fit(node, inputs, source, about, facts, before)
        known = NodeOutputs(added=state.added, disabled=state.disabled, **_facts(about, facts))
        ctx.made(id, known)
        first = mark is None
        if mark is None:
            mark = Mark(cluster=inputs.cluster, owner=inputs.owner, name=inputs.name, ran=facts["containerd"]["active"])
            opt = (await node.run("test", "-e", _OPT)).code == 0
            mark = mark.model_copy(update={"before": facts["cni"], "opt": opt})
        mark = await source.begin(node, mark, first)
        await node.set_mark(mark)
        lacking = [*preflight.packages(facts["programs"]), *await source.wants(node)]
        known = await self._packages(ctx, id, node, inputs, about, lacking, known)
        await self._kernel(node, inputs)
        await source.install(ctx, node, mark)
        program = facts["programs"].get("containerd") or (await look(node))["programs"]["containerd"]
        wanted = software.texts(inputs, await source.pause(node), program)
        await software.configure(ctx, node, wanted)
        await source.load(ctx, node, mark)
        await self._sweep(node, inputs.version)
        done = digest(inputs, source, wanted)
        now = {"prepared": done, "owner": inputs.owner, **await source.brought(node, mark)}
        await node.set_mark(mark.model_copy(update=now))
        ctx.status("prepared")
        return await self._seen(node, inputs, known, mark.model_copy(update={"prepared": done}))

    async def _fit(
        self,
        node: Node,
        inputs: NodeInputs,
        source: software.Source,
        about: Mapping[str, Any],
        facts: Mapping[str, Any],
        before: str,
    ) -> Mark | None:
        """The mark, if there is one. An error where the machine does not do, or is somebody else's."""
        mark = await node.mark()
        if mark is not None and not same(mark, inputs, before):
            raise not_ours(mark, node)
        wrong = source.unfit(node.machine.name, platform(about["architecture"])) or mixed(
            node.machine.name, mark, inputs
        )
        if wrong is not None:
            raise wrong
        cores, memory = preflight.least(inputs.role, inputs.cores, inputs.memory)
        wanted = preflight.Wanted(
            role=inputs.role,
            cores=cores,
            memory=memory,
            installed=mark is not None,
            packages=inputs.packages,
        )
        found = preflight.findings(facts, wanted, time.time()) + await source.findings(node, mark)
        problem = preflight.error(node.machine.name, inputs.role, found, inputs.ignore_preflight)
        if problem is not None:
            raise problem
        return mark

    @staticmethod
    async def _packages(
        ctx: Context,
        id: str,
        node: Node,
        inputs: NodeInputs,
        about: Mapping[str, Any],
        missing: Sequence[str],
        known: NodeOutputs,
    ) -> NodeOutputs:
        if not missing or not inputs.packages:
            return known
        found = distribution(about["distribution"])
        if found is None:
            what = f"runs {about['pretty'] or 'an unknown system'}, and lacks {', '.join(missing)}"
            do = f"install them by hand; anytier installs on {', '.join(DISTRIBUTIONS)}"
            raise Rejected(f"machine {node.machine.name}", what, do)
        asked = {Package(name): f"node {inputs.name}" for name in missing}
        done = await found.packages.install(node.machine, asked, False, ctx.status)
        added = [*known.added, *(name for name in done.added if name not in known.added)]
        disabled = [*known.disabled, *(name for name in done.disabled if name not in known.disabled)]
        now = known.model_copy(update={"added": added, "disabled": disabled})
        ctx.made(id, now)
        if done.problem is not None:
            raise done.problem
        return now

    @staticmethod
    async def _kernel(node: Node, inputs: NodeInputs) -> None:
        settings = kubelet.settings(inputs.protect_kernel_defaults)
        failed = await node.verb("kernel", modules=list(kubelet.MODULES), settings=settings)
        found = [
            preflight.Finding(f"Module-{key}" if key in kubelet.MODULES else f"Setting-{key}", why, "see dmesg there")
            for key, why in failed.items()
        ]
        # Of a module that is not there nothing can be set: it has been told, or ignored, by then.
        bridged = "br_netfilter" in failed
        found = [item for item in found if not (bridged and item.name.startswith("Setting-net.bridge."))]
        problem = preflight.error(node.machine.name, inputs.role, found, inputs.ignore_preflight)
        if problem is not None:
            raise problem

    @staticmethod
    async def _sweep(node: Node, version: str) -> None:
        """Programs of versions that are neither wanted nor run."""
        facts = await look(node)
        keep = {version, *(target.removeprefix(f"{ROOT}/").partition("/")[0] for target in facts["links"].values())}
        await node.machine.remove([f"{ROOT}/{name}" for name in facts["versions"] if name not in keep])

    @staticmethod
    async def _seen(node: Node, inputs: NodeInputs, state: NodeOutputs, mark: Mark) -> NodeOutputs:
        """What is there now. As it was left is a node whose files, programs and images are."""
        about, facts = await node.machine.about(), await look(node)
        now = state.model_copy(update={**_facts(about, facts), "prepared": ""})
        try:
            source = source_of(inputs)
        except AnytierError:
            return now.model_copy(update={"prepared": mark.prepared})  # nothing here to compare with
        if not await source.whole(node):
            return now
        wanted = software.texts(inputs, await source.pause(node), facts["programs"].get("containerd", ""))
        whole = (
            mark.prepared == digest(inputs, source, wanted)
            and facts["containerd"]["active"]
            and not await software.changed(node, wanted)
        )
        if not whole:
            return now
        version = (await node.run("containerd", "--version")).out.split()
        return now.model_copy(update={"prepared": mark.prepared, "containerd": version[2] if len(version) > 2 else ""})


def source_of(inputs: NodeInputs) -> software.Source:
    """An AnytierError for a bundle that is not there."""
    return packaged.FromPackages(inputs, inputs.repository) if inputs.repository else software.FromBundle(inputs)


async def look(node: Node) -> dict[str, Any]:
    modules = list(kubelet.MODULES)
    found: dict[str, Any] = await node.verb("look", modules=modules, programs=_PROGRAMS, marker=MARKER)
    return found


async def take_off(ctx: Context, node: Node, mark: Mark) -> None:
    """All of ours from a node that is in no cluster. The mark goes last: until then a rerun finds it."""
    if mark.stage != "prepared":
        from anytier.provider.kubeadm.reset import reset

        mark = await reset(ctx, node, mark, "")
    if mark.software == "packages":
        await packaged.take_off(ctx, node, mark)
    ctx.status("removing images and programs")
    found = await node.run("ctr", "--namespace", "k8s.io", "images", "list", "--quiet")
    names = found.out.split() if found.code == 0 else []
    if names:
        await node.run("ctr", "--namespace", "k8s.io", "images", "remove", "--sync", *names, timeout=300)
    plugins = await node.verb("sums", paths=list(mark.cni))
    ours = [path for path, said in mark.cni.items() if plugins.get(path) == said or not said]
    texts = [containerd.FILE, containerd.DROP_IN, kubelet.MODULES_FILE, kubelet.SETTINGS_FILE]
    links = [] if mark.software == "packages" else [f"{LINKS}/kubeadm", f"{LINKS}/kubelet"]
    texts.append(kubelet.DROP_IN if mark.software == "packages" else kubelet.UNIT)
    await node.machine.remove([*ours, *texts, *links, GIVEN, ROOT])
    folders = ["/opt/anytier", "/etc/anytier", "/opt/cni/bin", "/opt/cni", "/etc/cni/net.d", "/etc/cni"]
    drop_ins = [path.rpartition("/")[0] for path in (containerd.DROP_IN, kubelet.DROP_IN)]
    await node.machine.remove(
        [*folders, *drop_ins, "/etc/kubernetes/manifests", "/etc/kubernetes/pki"], only_empty=True
    )
    await node.must("systemctl", "daemon-reload")
    if mark.ran:
        await node.run("systemctl", "restart", "containerd.service")
    else:
        await node.run("systemctl", "disable", "--now", "--quiet", "containerd.service")
    if not (mark.ran and mark.opt):
        # containerd makes these when it starts by our configuration, whether or not anybody wants them.
        await node.machine.remove([f"{_OPT}/bin", f"{_OPT}/lib", _OPT], only_empty=True)
    await node.machine.remove([MARKER])
    await node.machine.remove(["/etc/kubernetes"], only_empty=True)


def digest(inputs: NodeInputs, source: software.Source, wanted: Mapping[str, str]) -> str:
    return config.digest({"texts": dict(wanted), **source.content(), "role": inputs.role})


def mixed(machine: str, mark: Mark | None, inputs: NodeInputs) -> AnytierError | None:
    """One machine has its programs from one place; that is nothing to ignore."""
    return _changed(machine, mark.software, inputs) if mark else None


def _software(inputs: NodeInputs) -> Software:
    return "packages" if inputs.repository else "bundle"


def _changed(machine: str, before: Software, inputs: NodeInputs) -> AnytierError | None:
    wanted = _software(inputs)
    if before == wanted:
        return None
    what = f"its software came from {_WAYS[before]}, and is to come from {_WAYS[wanted]}"
    do = f"put `software: {before}` back; or destroy the stack first, and all that is in the cluster"
    return Rejected(f"machine {machine}", what, do)


def _wrong_bundle(inputs: NodeInputs) -> list[AnytierError]:
    try:
        bundle = software.bundle_of(inputs)
        software.pause_of(bundle)
    except AnytierError as error:
        return [error]
    if bundle.digest == inputs.bundle_digest:
        return []
    return [Rejected("bundleDigest", f"{bundle.path} has changed since it was looked at", "run again")]


def _wrong_key(repository: Repository) -> list[AnytierError]:
    try:
        if repository.key:
            openpgp.dearmor(base64.b64decode(repository.key, validate=True))
    except ValueError as error:
        return [Rejected("repository.key", str(error), "give a public key of OpenPGP, in base64")]
    return []


def _facts(about: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "distribution": f"{about['distribution']} {about['version']}".strip(),
        "kernel": about["kernel"],
        "architecture": about["architecture"],
        "versions": facts["versions"],
        **software.about_facts(facts),
    }
