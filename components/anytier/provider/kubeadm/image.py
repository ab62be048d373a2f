"""`anytier:kubeadm:Image`: an image that a Docker daemon has, brought to every node of a cluster without a registry.

Its name is made of what it is, so that another content is another name, and a node that has it is sent nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from anytier.errors import AnytierError, Rejected, Unreachable
from anytier.provider.docker.client import daemon
from anytier.provider.host.machines import machine_of
from anytier.provider.host.sshref import SshRef
from anytier.provider.kubeadm import archive
from anytier.provider.kubeadm.models import ImageInputs, ImageOutputs
from anytier.provider.kubeadm.node import Node
from anytier.provider.kubeadm.software import IMAGES, images_on, import_image
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of

PREFIX = "anytier.local"
_FOLDER = "/opt/anytier/images"
_REMOVE = ("ctr", "--namespace", "k8s.io", "images", "remove", "--sync")


class ImageResource(Resource[ImageInputs, ImageOutputs]):
    inputs = ImageInputs
    outputs = ImageOutputs

    def check(self, inputs: ImageInputs) -> list[AnytierError]:
        if inputs.image.strip() and inputs.image.isprintable() and " " not in inputs.image:
            return []
        return [Rejected("image", f"{inputs.image[:80]!r} names no image", "give a reference or an id")]

    def planned(self, old: ImageOutputs | None, inputs: ImageInputs) -> Mapping[str, Any]:
        return {"ref": ref_of(inputs)}

    def drifted(self, inputs: ImageInputs, state: ImageOutputs) -> list[str]:
        return ["image"] if state.lacking or state.ref != ref_of(inputs) else []

    async def create(self, ctx: Context, inputs: ImageInputs) -> tuple[str, ImageOutputs]:
        id = f"{PREFIX}/{inputs.name}"
        ctx.made(id, ImageOutputs())
        return id, await self._everywhere(ctx, id, inputs, ImageOutputs())

    async def read(
        self, ctx: Context, id: str, inputs: ImageInputs | None, state: ImageOutputs | None
    ) -> tuple[ImageInputs, ImageOutputs] | None:
        """Never gone: a node that lacks it is sent it by the next update."""
        if inputs is None or state is None:
            raise Rejected(id, "an image on nodes is not imported", "let `pulumi up` send it: what is there is kept")
        there = await all_of(seen_on(node) for node in nodes_of(inputs.machines))
        lacking = [str(ref) for ref, known in zip(inputs.machines, there, strict=True) if state.ref not in known]
        return inputs, state.model_copy(update={"lacking": lacking})

    async def update(
        self, ctx: Context, id: str, old_inputs: ImageInputs, state: ImageOutputs, inputs: ImageInputs
    ) -> ImageOutputs:
        return await self._everywhere(ctx, id, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: ImageInputs, state: ImageOutputs) -> None:
        """From the nodes that answer; with the others it goes when they do."""
        wanted = list(dict.fromkeys([*state.versions, ref_of(inputs)]))
        results = await asyncio.gather(
            *(take_away(node, wanted) for node in nodes_of(inputs.machines)), return_exceptions=True
        )
        for result in results:
            if isinstance(result, Unreachable):
                ctx.warn(f"{result.path} does not answer: the image stays there")
            elif isinstance(result, BaseException):
                raise result

    @staticmethod
    async def _everywhere(ctx: Context, id: str, inputs: ImageInputs, state: ImageOutputs) -> ImageOutputs:
        ref = ref_of(inputs)
        known = list(dict.fromkeys([ref, *state.versions]))
        nodes = nodes_of(inputs.machines)
        there = await all_of(images_on(node) for node in nodes)
        lacking = [node for node, names in zip(nodes, there, strict=True) if ref not in names]
        if lacking:
            ctx.made(id, state.model_copy(update={"versions": known}))
            await bring(ctx, inputs, ref, lacking)
        keep, gone = known[: inputs.retain + 1], known[inputs.retain + 1 :]
        if gone:
            await all_of(take_away(node, gone) for node in nodes)
        return ImageOutputs(ref=ref, versions=keep)


async def bring(ctx: Context, inputs: ImageInputs, ref: str, nodes: Sequence[Node]) -> None:
    """Saved once, sent to all of them at once."""
    with tempfile.TemporaryDirectory(prefix="anytier-image-") as folder:
        saved, ours = Path(folder) / "saved.tar", Path(folder) / "image.tar"
        ctx.status(f"saving {inputs.image[:40]}")
        await save(inputs, saved)
        await asyncio.to_thread(archive.rewrite, saved, ours, ref, inputs.stop_signal)
        saved.unlink()
        digest = await asyncio.to_thread(_checksum, ours)
        size = ours.stat().st_size / 1e6
        ctx.status(f"sending {inputs.name}: {size:.0f} MB to {len(nodes)} node{'s' if len(nodes) > 1 else ''}")
        await all_of(_to(node, ours, ref, digest) for node in nodes)


async def save(inputs: ImageInputs, file: Path) -> None:
    there = await daemon(inputs.builder)
    with await asyncio.to_thread(open, file, "wb") as stream:
        async with there.download(f"images/{inputs.image}/get", f"image {inputs.image}") as pieces:
            async for piece in pieces:
                await asyncio.to_thread(stream.write, piece)


async def _to(node: Node, file: Path, ref: str, digest: str) -> None:
    path = f"{_FOLDER}/{ref.rpartition(':')[2]}.tar"
    try:
        await node.send(file, path, digest, 0o600)
        await import_image(node, path, [ref])
    finally:
        await node.machine.remove([path])
        await node.machine.remove([_FOLDER], only_empty=True)


async def seen_on(node: Node) -> set[str]:
    """Where there is no containerd any more, as on a machine that was installed anew, there is no image."""
    done = await node.run(*IMAGES)
    return set(done.out.split()) if done.code == 0 else set()


async def take_away(node: Node, refs: Sequence[str]) -> None:
    """A container that runs from one does not mind."""
    ours = sorted(set(refs) & await seen_on(node))
    if ours:
        await node.must(*_REMOVE, *ours)


def ref_of(inputs: ImageInputs) -> str:
    """What pods name; known before anything is sent."""
    content = hashlib.sha256(f"{inputs.image}\n{inputs.stop_signal or ''}".encode()).hexdigest()
    return f"{PREFIX}/{inputs.name}:{content[:12]}"


def nodes_of(machines: Sequence[SshRef]) -> list[Node]:
    return [Node(machine_of(ref), str(ref)) for ref in machines]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
