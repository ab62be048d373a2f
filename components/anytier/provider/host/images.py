"""`anytier:host:Image`: an image of a registry, unpacked once on a machine for all that run from it.

<root>/images/<digest>/rootfs, image.json     the image, read only; what it says of itself, its users and groups
<root>/images/wanted/<name>                   the digest that a resource wants; the name is its reference's hash

An image stays for as long as a resource wants it or a kept revision may go back to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Annotated, Any

from pydantic import Field, ValidationError

from anytier.errors import AnytierError, Denied, NotFound, Rejected, Unreachable
from anytier.frozen import Frozen
from anytier.provider.fields import replaces
from anytier.provider.host.contained import ImageRecord
from anytier.provider.host.fleet import gone_from, leaving, members_of, spots_of
from anytier.provider.host.ids import id_of, parse
from anytier.provider.host.machines import acts_as
from anytier.provider.host.models import HostInputs, moved
from anytier.provider.host.place import Place, claim_all, release
from anytier.provider.host.transport import File, LocalMachine, os_error
from anytier.provider.oci.pull import Pulled, pull, resolve
from anytier.provider.oci.reference import Reference
from anytier.provider.oci.reference import parse as parse_reference
from anytier.provider.resource import Context, Resource
from anytier.provider.waiting import all_of
from anytier.render.template import Template

_PIECE = 8 << 20  # bytes of a layer in one file call
_LARGEST = 64 << 30  # bytes of an unpacked image
_SECONDS = 3600.0  # of unpacking, on a slow disk
_NO_ROOT = "runs images only under root's own systemd"


class ImageInputs(HostInputs):
    reference: Annotated[str, replaces]


class ImageOutputs(Frozen):
    """`digest` is what runs; `latest` what its tag meant when last looked up. What follows is the image's own."""

    digest: str = ""
    latest: str = ""
    entrypoint: list[str] = Field(default_factory=list)
    cmd: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    stop_signal: str | None = None
    exposed_ports: list[str] = Field(default_factory=list)
    size: int = 0


class ImageResource(Resource[ImageInputs, ImageOutputs]):
    inputs = ImageInputs
    outputs = ImageOutputs

    def check(self, inputs: ImageInputs) -> list[AnytierError]:
        found: list[AnytierError] = []
        try:
            parse_reference(inputs.reference, "reference")
        except Rejected as error:
            found.append(error)
        if inputs.supervisor != "systemd-system" or not acts_as(inputs.machine)[0]:
            found.append(Rejected("supervisor", f"{inputs.supervisor} {_NO_ROOT}", "run as root, or use `host:`"))
        return found

    def planned(self, old: ImageOutputs | None, inputs: ImageInputs) -> Mapping[str, Any]:
        """A digest is known beforehand where the reference has one; what a tag means is asked at `up`."""
        wanted = parse_reference(inputs.reference, "reference")
        if wanted.digest is not None:
            return {"digest": wanted.digest, "latest": wanted.digest}
        return {"digest": old.latest, "latest": old.latest} if old and old.latest else {}

    def drifted(self, inputs: ImageInputs, state: ImageOutputs) -> list[str]:
        return ["reference"] if not state.digest or state.latest != state.digest else []

    def replaces(self, old: ImageInputs, new: ImageInputs) -> list[str]:
        return moved(old, new)

    async def create(self, ctx: Context, inputs: ImageInputs) -> tuple[str, ImageOutputs]:
        places = await places_of(inputs)
        await claim_all(places, inputs.owner)
        id = id_of(inputs, f"images/{mark(inputs.reference)}")
        ctx.made(id, ImageOutputs())
        wanted = parse_reference(inputs.reference, "reference")
        return id, await everywhere(ctx, places, inputs.reference, await resolve(wanted))

    async def read(
        self, ctx: Context, id: str, inputs: ImageInputs | None, state: ImageOutputs | None
    ) -> tuple[ImageInputs, ImageOutputs] | None:
        """A refresh also looks whether the tag has moved; a registry that does not answer changes nothing. An image
        that is missing on some of its machines is brought there by the next update."""
        if inputs is None or state is None:
            parse(id)
            raise Rejected(id, "an image is not imported", "let `pulumi up` pull it: what is there already is kept")
        if not state.digest:
            return inputs, state
        found = await all_of(find(place, state.digest) for place in await places_of(inputs))
        record = next((item for item in found if item is not None), None)
        if record is None:
            return None
        wanted = parse_reference(inputs.reference, "reference")
        try:
            latest = await resolve(wanted)
        except (Unreachable, NotFound, Denied) as error:
            ctx.warn(f"{error.path}: {error.what}; the image that is on the machine stays")
            latest = state.latest
        seen = outputs(record, latest)
        return inputs, seen if all(found) else seen.model_copy(update={"digest": ""})

    async def update(
        self, ctx: Context, id: str, old_inputs: ImageInputs, state: ImageOutputs, inputs: ImageInputs
    ) -> ImageOutputs:
        places = await places_of(inputs)
        await claim_all(places, inputs.owner, old_inputs.owner)
        wanted = parse_reference(inputs.reference, "reference")
        done = await everywhere(ctx, places, inputs.reference, state.latest or await resolve(wanted))
        gone = gone_from(members_of(old_inputs), members_of(inputs))
        left = await leaving(ctx.warn, old_inputs, gone) if gone else []
        await all_of(unwanted(spot.place, old_inputs.reference) for spot in left)
        return done

    async def delete(self, ctx: Context, id: str, inputs: ImageInputs, state: ImageOutputs) -> None:
        await all_of(unwanted(place, inputs.reference) for place in await places_of(inputs))


async def places_of(inputs: ImageInputs) -> list[Place]:
    return [spot.place for spot in await spots_of(inputs, members_of(inputs))]


async def everywhere(ctx: Context, places: Sequence[Place], reference: str, digest: str) -> ImageOutputs:
    """On the first machine before the others, so that what they have in common is pulled once."""
    first, *others = places
    done = await ensure(ctx, first, reference, digest)
    await all_of(ensure(ctx, place, reference, digest) for place in others)
    return done


async def unwanted(place: Place, reference: str) -> None:
    await place.machine.remove([f"{place.layout.images}/wanted/{mark(reference)}"])
    await tidy(place)
    await release(place)


def mark(reference: str) -> str:
    return hashlib.sha256(reference.encode()).hexdigest()[:16]


def outputs(record: ImageRecord, latest: str) -> ImageOutputs:
    said = record.config
    return ImageOutputs(
        digest=record.digest,
        latest=latest,
        entrypoint=said.entrypoint,
        cmd=said.cmd,
        env=said.env,
        user=said.user,
        working_dir=said.working_dir,
        stop_signal=said.stop_signal,
        exposed_ports=said.exposed_ports,
        size=record.size,
    )


# on the machine


async def find(place: Place, digest: str) -> ImageRecord | None:
    """What the machine has under a digest; None without it."""
    path = f"{place.layout.image(digest)}/image.json"
    data = (await place.machine.read([path])).get(path)
    try:
        return ImageRecord.model_validate_json(data) if data else None
    except ValidationError:
        return None  # of another version of ours: it is unpacked anew


async def image_of(place: Place, template: Template) -> ImageRecord | None:
    """The image that a template runs from, or None for one that runs the machine's own programs."""
    process = template.process
    if process is None or process.image is None:
        return None
    found = await find(place, process.image.digest)
    if found is None:
        do = "`pulumi up --refresh` pulls it again"
        raise NotFound(f"image {process.image.digest[:19]}", "is no longer on the machine", do)
    return found


async def ensure(ctx: Context, place: Place, reference: str, digest: str) -> ImageOutputs:
    """Has the image on the machine. The mark comes first: nobody may tidy away what is being unpacked."""
    async with place.images_lock:
        folder = f"{place.layout.images}/wanted"
        await place.machine.put(
            [
                File(place.layout.images, None, 0o700),
                File(folder, None, 0o700),
                File(f"{folder}/{mark(reference)}", digest.encode()),
            ]
        )
        found = await find(place, digest)
        if found is None:
            found = await _bring(ctx, place, parse_reference(reference, "reference"), digest)
    await tidy(place)
    return outputs(found, digest)


async def _bring(ctx: Context, place: Place, wanted: Reference, digest: str) -> ImageRecord:
    machine = (await place.machine.about())["architecture"]
    ctx.status(f"pulling {wanted}")

    def progress(done: int, total: int) -> None:
        ctx.status(f"pulling {wanted}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    pulled = await pull(wanted, digest, machine, progress)
    folder = place.layout.image(digest)
    await place.machine.remove([folder, f"{folder}.parts"])
    try:
        parts = await _sent(ctx, place, wanted, pulled, f"{folder}.parts")
        ctx.status(f"unpacking {wanted}")
        await _unpack(place, wanted, pulled, parts, folder)
    finally:
        await place.machine.remove([f"{folder}.parts"])
    found = await find(place, digest)
    if found is None:
        raise Rejected(f"image {wanted}", "was unpacked, and is gone again", "run again")
    return found


async def _sent(ctx: Context, place: Place, wanted: Reference, pulled: Pulled, folder: str) -> list[list[str]]:
    """Where the layers lie on the machine, each in its pieces; on this machine that is where they were pulled to."""
    if isinstance(place.machine, LocalMachine):
        return [[str(layer.file)] for layer in pulled.layers]
    found: list[list[str]] = []
    done, total = 0, sum(layer.size for layer in pulled.layers)
    await place.machine.put([File(folder, None, 0o700)])
    for number, layer in enumerate(pulled.layers):
        found.append([])
        with await asyncio.to_thread(open, layer.file, "rb") as stream:
            while data := await asyncio.to_thread(stream.read, _PIECE):
                ctx.status(f"sending {wanted}: {done / 1e6:.0f} of {total / 1e6:.0f} MB")
                path = f"{folder}/{number}.{len(found[-1])}"
                await place.machine.put([File(path, data, 0o600)])
                found[-1].append(path)
                done += len(data)
    return found


async def _unpack(place: Place, wanted: Reference, pulled: Pulled, parts: list[list[str]], folder: str) -> None:
    asked = {
        "layers": [
            {"parts": paths, "digest": layer.digest, "diffId": layer.diff_id}
            for paths, layer in zip(parts, pulled.layers, strict=True)
        ],
        "into": folder,
        "record": {"digest": pulled.digest, "config": pulled.config.wire()},
        "limit": _LARGEST,
    }
    program = f"{place.layout.lib}/unpack.py"
    source = (resources.files("anytier.provider.host") / "unpack.py").read_bytes()
    await place.machine.put([File(program, source)])
    argv = [place.facts.python, "-I", "-S", program]
    done = await place.machine.run(argv, json.dumps(asked).encode(), timeout=_SECONDS, env={"LANG": "C.UTF-8"})
    if done.code != 0:
        said = (done.err.strip() or f"exit {done.code}").splitlines()[-1]
        raise Rejected(f"image {wanted}", f"cannot be unpacked: {said}", "run again")
    said = json.loads(done.out)
    if "what" in said:
        raise Rejected(f"image {wanted}", f"cannot be unpacked: {said['what']}", "build and push it anew")
    if "errno" in said:
        raise os_error(said["path"] or folder, OSError(said["errno"] or 0, ""))


# what is needed no more


async def tidy(place: Place) -> None:
    """Removes images that no resource wants and no kept revision names, and what a killed run left of one."""
    layout, machine = place.layout, place.machine
    async with place.images_lock:
        names = await machine.list(layout.images)
        if not names:
            return
        keep = await _kept(place)
        gone = [name for name in names if name != "wanted" and name not in keep]
        await machine.remove([f"{layout.images}/{name}" for name in gone])
        await machine.remove([f"{layout.images}/wanted", layout.images], only_empty=True)


async def _kept(place: Place) -> set[str]:
    """Names of folders: of what is wanted, of every kept revision of every workload, and of jobs."""
    layout, machine = place.layout, place.machine
    marks = [f"{layout.images}/wanted/{name}" for name in await machine.list(f"{layout.images}/wanted")]
    digests = {data.decode() for data in (await machine.read(marks)).values()}
    paths = [f"{layout.job(name)}/job.json" for name in await machine.list(layout.jobs)]
    for workload in await machine.list(layout.workloads):
        folder = layout.workload(workload)
        paths += [f"{folder}/{name}" for name in await machine.list(folder) if _is_revision(name)]
    for data in (await machine.read(paths)).values():
        said = json.loads(data)
        process = (said.get("template") or said.get("inputs", {}).get("template") or {}).get("process") or {}
        if "image" in process:
            digests.add(process["image"]["digest"])
    return {digest.removeprefix("sha256:") for digest in digests}


def _is_revision(name: str) -> bool:
    return name.startswith("r") and name.endswith(".json") and name[1:-5].isdigit()
