"""What a node needs before kubeadm: programs and plugins of a bundle, its images, containerd, a kubelet that waits.

Each step looks first, so that a second run sends and restarts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from anytier.bundle.manifest import Bundle
from anytier.errors import AnytierError, NotFound, Rejected, Unreachable
from anytier.provider.host.transport import File
from anytier.provider.kubeadm.models import NodeInputs
from anytier.provider.kubeadm.node import ROOT, Mark, Node
from anytier.provider.resource import Context
from anytier.render.kubeadm import containerd, kubelet, packages, preflight, registries
from anytier.render.kubeadm.preflight import Finding

PROGRAMS = 0o755
_CONTROL_ONLY = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd")
_PATIENCE = 60.0  # seconds until containerd answers
_IMPORT = 900.0


class Source(Protocol):
    """Where a node's software comes from: a bundle of this side, or a repository that the machine reaches."""

    def unfit(self, machine: str, architecture: str) -> AnytierError | None:
        """Why it is not for such a machine."""

    async def findings(self, node: Node, mark: Mark | None) -> list[Finding]:
        """What on the machine is in its way."""

    async def wants(self, node: Node) -> list[str]:
        """Packages of the distribution that it needs, and which are not there."""

    async def begin(self, node: Node, mark: Mark, first: bool) -> Mark:
        """The mark, with what may be brought now. `first`: nothing was yet."""

    async def install(self, ctx: Context, node: Node, mark: Mark) -> None:
        """Programs and plugins."""

    async def pause(self, node: Node) -> str:
        """The image of the pods' pause; programs are there by then."""

    async def load(self, ctx: Context, node: Node, mark: Mark) -> None:
        """Images; containerd runs by then."""

    async def brought(self, node: Node, mark: Mark) -> dict[str, Any]:
        """What the mark says in the end of that."""

    async def whole(self, node: Node) -> bool:
        """Whether programs are there as they were left."""

    def content(self) -> dict[str, Any]:
        """What tells one from another."""


class FromBundle(Source):
    """Of the bundle that the inputs name, which has to be the one that was asked for."""

    def __init__(self, inputs: NodeInputs) -> None:
        self.inputs, self.bundle = inputs, bundle_of(inputs)

    def unfit(self, machine: str, architecture: str) -> AnytierError | None:
        return preflight.wrong_processor(machine, architecture, self.bundle.arch)

    async def findings(self, node: Node, mark: Mark | None) -> list[Finding]:
        return []

    async def wants(self, node: Node) -> list[str]:
        return []

    async def begin(self, node: Node, mark: Mark, first: bool) -> Mark:
        return mark

    async def install(self, ctx: Context, node: Node, mark: Mark) -> None:
        await install(ctx, node, self.bundle)

    async def pause(self, node: Node) -> str:
        return pause_of(self.bundle)

    async def load(self, ctx: Context, node: Node, mark: Mark) -> None:
        await load(ctx, node, self.bundle, self.inputs.role)

    async def brought(self, node: Node, mark: Mark) -> dict[str, Any]:
        wanted = programs(self.bundle)
        return {"cni": {path: said for path, (_, said) in wanted.items() if path.startswith(f"{containerd.PLUGINS}/")}}

    async def whole(self, node: Node) -> bool:
        return not await lacking(node, programs(self.bundle))

    def content(self) -> dict[str, Any]:
        return {"bundle": self.inputs.bundle_digest}


def bundle_of(inputs: NodeInputs) -> Bundle:
    """The bundle, which has to be the one that was asked for."""
    found = Bundle.read(inputs.bundle, "bundle")
    if found.version != inputs.version:
        what = f"{found.path} holds {found.version}, not {inputs.version}"
        raise Rejected("bundle", what, f"name a bundle of {inputs.version}, or set `version: {found.version}`")
    found.complete("bundle")
    return found


def programs(bundle: Bundle) -> dict[str, tuple[str, str]]:
    """Path on the node -> (relative path in the bundle, checksum)."""
    found = {f"{ROOT}/{bundle.version}/bin/{name}": path for name, path in bundle.below("bin").items()}
    found |= {f"{containerd.PLUGINS}/{name}": path for name, path in bundle.below("cni").items()}
    return {path: (relative, bundle.files[relative]) for path, relative in found.items()}


def wanted_images(images: Mapping[str, Sequence[str]], role: str) -> dict[str, list[str]]:
    """Archive -> its references, without those that only a control plane runs."""
    return {
        path: list(references)
        for path, references in images.items()
        if role == "control-plane" or not any(base(item) in _CONTROL_ONLY for item in references)
    }


def pause_of(bundle: Bundle) -> str:
    found = pause_among(item for items in bundle.images.values() for item in items)
    if found is None:
        raise NotFound("bundle", f"{bundle.path} has no image named pause", "fill it again: `anytier bundle build`")
    return found


def pause_among(references: Iterable[str]) -> str | None:
    return next((item for item in references if base(item) == "pause"), None)


def canonical(reference: str) -> str:
    """As containerd names it."""
    first, slash, _ = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif "." not in first and ":" not in first and first != "localhost":
        reference = f"docker.io/{reference}"
    return reference if ":" in reference.rpartition("/")[2] or "@" in reference else f"{reference}:latest"


def base(reference: str) -> str:
    return reference.partition("@")[0].rpartition("/")[2].partition(":")[0]


def texts(inputs: NodeInputs, pause: str, program: str) -> dict[str, str]:
    """Path -> content of each file of ours that is text; `program`: containerd's. A package brings its own unit."""
    repository = inputs.repository
    mirror = registries.FOLDER if repository and repository.registry else ""
    common = {
        containerd.FILE: containerd.text(pause, inputs.containerd, mirror),
        containerd.DROP_IN: containerd.drop_in(program),
        kubelet.MODULES_FILE: kubelet.modules_text(),
        kubelet.SETTINGS_FILE: kubelet.settings_text(inputs.protect_kernel_defaults),
    }
    if repository is None:
        return {**common, kubelet.UNIT: kubelet.unit()}
    own = {kubelet.DROP_IN: kubelet.drop_in(), packages.SOURCE: packages.source(repository.url)}
    return {**common, **own, **registries.files(repository.registry)}


async def changed(node: Node, wanted: Mapping[str, str]) -> list[str]:
    """Those of these files that are not there like this."""
    found = await node.machine.read(list(wanted))
    return [path for path, text in wanted.items() if found.get(path) != text.encode()]


async def lacking(node: Node, wanted: Mapping[str, tuple[str, str]]) -> list[str]:
    """Those of these programs that are not there, or are others."""
    known = await node.verb("sums", timeout=300, paths=list(wanted))
    return [path for path, (_, digest) in wanted.items() if known.get(path) != digest]


async def install(ctx: Context, node: Node, bundle: Bundle) -> None:
    wanted = programs(bundle)
    missing = await lacking(node, wanted)
    for number, path in enumerate(missing):
        ctx.status(f"sending {path.rpartition('/')[2]} ({number + 1} of {len(missing)})")
        relative, digest = wanted[path]
        await node.send(bundle.file(relative), path, digest, PROGRAMS)


async def configure(ctx: Context, node: Node, wanted: Mapping[str, str]) -> None:
    """Writes what has changed, and restarts what reads it; the kubelet only where it runs."""
    new = await changed(node, wanted)
    await node.machine.put([File(path, wanted[path].encode()) for path in new])
    units = {kubelet.UNIT, kubelet.DROP_IN} & set(new)
    if units or containerd.DROP_IN in new:
        await node.must("systemctl", "daemon-reload")
    runs = (await node.run("systemctl", "is-active", "--quiet", "containerd.service")).code == 0
    if {containerd.FILE, containerd.DROP_IN} & set(new) or not runs:
        ctx.status("starting containerd")
        await node.must("systemctl", "enable", "--quiet", "containerd.service")
        await node.must("systemctl", "restart", "containerd.service")
        await answers(node)
    if units:
        await node.must("systemctl", "try-restart", "kubelet.service")


async def answers(node: Node) -> None:
    """Until containerd does."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while (done := await node.run("ctr", "version")).code != 0:
        if asyncio.get_running_loop().time() >= end:
            journal = ["journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=3", "--unit=containerd.service"]
            said = (await node.run(*journal)).out.strip() or done.err.strip()
            do = "`journalctl -u containerd` there says more; a wrong `containerd:` in the stack is one reason"
            raise Unreachable(f"containerd on {node.machine.name}", f"does not answer: {said[-300:]}", do)
        await asyncio.sleep(0.2)


_CTR = ("ctr", "--namespace", "k8s.io", "images")
IMAGES = (*_CTR, "list", "--quiet")


async def images_on(node: Node) -> set[str]:
    return set((await node.must(*IMAGES)).split())


async def pin(node: Node, reference: str) -> None:
    """So that a kubelet short of disk does not remove it."""
    await node.must(*_CTR, "label", canonical(reference), "io.cri-containerd.pinned=pinned")


async def load(ctx: Context, node: Node, bundle: Bundle, role: str) -> None:
    """The images that are missing, one after the other."""
    there = await images_on(node)
    wanted = wanted_images(bundle.images, role)
    missing = {path: refs for path, refs in wanted.items() if not {canonical(item) for item in refs} <= there}
    for number, (path, references) in enumerate(missing.items()):
        ctx.status(f"sending images ({number + 1} of {len(missing)}): {base(references[0])}")
        target = f"{ROOT}/{bundle.version}/{path}"
        await node.send(bundle.file(path), target, bundle.files[path], 0o600)
        try:
            await import_image(node, target, references)
        finally:
            await node.machine.remove([target])
    await node.machine.remove([f"{ROOT}/{bundle.version}/images"], only_empty=True)


async def import_image(node: Node, path: str, references: Sequence[str]) -> None:
    """An archive on the node. Pinned, since it cannot be pulled again."""
    await node.must(*_CTR, "import", path, timeout=_IMPORT)
    for item in references:
        await pin(node, item)


def about_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: facts[key] for key in ("cores", "memory", "cgroup", "addresses")}
