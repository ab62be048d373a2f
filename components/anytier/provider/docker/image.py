"""`anytier:docker:Image`: an image on the daemon, pulled or built, and the exact reference that containers are made of.

Whose is an image? What we build carries our label, and goes when nothing needs it any more. What we pull belongs to
nobody: it goes when it was us who brought it, and only where no container uses it and nothing is built on it. Either
stays as long as a kept revision of a workload may go back to it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from anytier.errors import AnytierError, Conflict, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.docker import build as builder
from anytier.provider.docker import held, labels, pull
from anytier.provider.docker.build import Build
from anytier.provider.docker.client import Daemon, Endpoint, daemon, located
from anytier.provider.docker.dockerfile import for_buildkit_only, platform_of
from anytier.provider.docker.patience import patiently
from anytier.provider.fields import replaces
from anytier.provider.oci.reference import Reference, parse
from anytier.provider.resource import Context, Resource

_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
_HASH = re.compile(r"[0-9a-f]{64}")
_TAG = 16  # digits of the hash in a tag


class ImageInputs(Frozen):
    """`pull` is a reference; or `build` with the `contextHash` of all that goes in. `name` is a built image's
    repository on the daemon. `incarnation`: as of `AppInputs`."""

    endpoint: Annotated[Endpoint, replaces] = Endpoint()
    name: Annotated[str, replaces]
    pull: str | None = None
    build: Build | None = None
    context_hash: str | None = None
    incarnation: str | None = None


class ImageOutputs(Frozen):
    """`ref` is what a container is made from: it means the same image for ever, whatever happens to tags.

    `pulled`: it was not there before. `versions`: ids of what we built, newest first. `rest`: ids of what builds left
    on the way. An empty `ref` is a build that failed.
    """

    ref: str = ""
    image_id: str = ""
    digest: str | None = None
    pulled: bool = False
    versions: list[str] = Field(default_factory=list)
    rest: list[str] = Field(default_factory=list)


class ImageResource(Resource[ImageInputs, ImageOutputs]):
    inputs = ImageInputs
    outputs = ImageOutputs

    def check(self, inputs: ImageInputs) -> list[AnytierError]:
        if (inputs.pull is None) == (inputs.build is None):
            return [Rejected("pull", "an image is either pulled or built", "set `pull`, or `build` with `contextHash`")]
        if inputs.pull is not None:
            return _wrong_reference(inputs.pull)
        return _wrong_build(inputs)

    async def create(self, ctx: Context, inputs: ImageInputs) -> tuple[str, ImageOutputs]:
        return inputs.name, await self._ensure(ctx, inputs.name, inputs, ImageOutputs())

    async def read(
        self, ctx: Context, id: str, inputs: ImageInputs | None, state: ImageOutputs | None
    ) -> tuple[ImageInputs, ImageOutputs] | None:
        if inputs is None or state is None:
            return await _imported(id)
        if not state.ref:
            return inputs, state  # a build that failed; the next run goes on
        there = await daemon(inputs.endpoint)
        found = await pull.find(there, state.ref)
        return (inputs, state) if found is not None else None

    async def update(
        self, ctx: Context, id: str, old_inputs: ImageInputs, state: ImageOutputs, inputs: ImageInputs
    ) -> ImageOutputs:
        return await self._ensure(ctx, id, inputs, state)

    async def delete(self, ctx: Context, id: str, inputs: ImageInputs, state: ImageOutputs) -> None:
        there = await daemon(inputs.endpoint)
        needed = await held.needed(there)
        await held.release(there, needed)  # an image that is still held cannot be removed
        if inputs.pull is not None and state.pulled:
            names = [str(parse(inputs.pull, "pull")), state.ref]
            await (held.hold if state.ref in needed else _leave)(there, state.ref, names)
        if inputs.build is not None:
            built = [str(item["Id"]) for item in await _built(there, inputs.name)]
            for version in dict.fromkeys([*built, *state.versions]):
                if version in needed:
                    await held.hold(there, version, await _tags(there, inputs.name, version))
                else:
                    await patiently(partial(_remove, there, inputs.name, version), Conflict)
            await _sweep(there, state.rest)
        await held.tidy(there)  # what went meanwhile needs nothing more

    async def _ensure(self, ctx: Context, id: str, inputs: ImageInputs, old: ImageOutputs) -> ImageOutputs:
        there = await daemon(inputs.endpoint)
        if inputs.build is not None:
            return await self._build(ctx, there, id, inputs, inputs.build, old)
        wanted = parse(inputs.pull or "", "pull")
        found, pulled = await pull.present(there, ctx, wanted)
        return _pinned(wanted, found, pulled or old.pulled)

    async def _build(
        self, ctx: Context, there: Daemon, id: str, inputs: ImageInputs, wanted: Build, old: ImageOutputs
    ) -> ImageOutputs:
        """The version of this hash, made where the daemon has none; then older ones go."""
        digest = inputs.context_hash or ""
        tag = f"{inputs.name}:{digest[:_TAG]}"
        log = builder.Log(f"image {inputs.name}")
        found = await pull.find(there, tag)
        if found is not None and labels.label(found, labels.HASH) == digest and _runs_on(found, wanted.platform):
            ctx.status("unchanged: the image is there already")
            made = str(found["Id"])
        else:
            try:
                made = await _made(there, ctx, wanted, digest, tag, _labels(inputs.name, digest, wanted), log)
            except BaseException:
                if log.made:
                    ctx.made(id, old.model_copy(update={"rest": [*old.rest, *log.made]}))
                raise
        older = [item for item in old.versions if item != made]
        now = ImageOutputs(ref=made, image_id=made, versions=[made, *older], rest=[*old.rest, *log.made])
        ctx.made(id, now)
        kept = [made, *await _pruned(there, inputs.name, older)]
        return now.model_copy(update={"versions": kept, "rest": await _sweep(there, now.rest)})


def _platform(found: Any) -> str:
    """An image's, as the daemon tells it."""
    return "/".join(str(found[key]) for key in ("Os", "Architecture", "Variant") if found.get(key))


def _runs_on(found: Any, platform: str | None) -> bool:
    """Whether an image is for a platform. A variant that one of them does not name is no difference (arm64's `v8`)."""
    wanted, own = (platform or "").split("/"), _platform(found).split("/")
    return platform is None or all(one == other for one, other in zip(wanted, own, strict=False))


async def _made(
    there: Daemon, ctx: Context, wanted: Build, digest: str, tag: str, marks: dict[str, str], log: builder.Log
) -> str:
    """The id of an image for the wanted platform; without, for the daemon's, unless its Dockerfile says another one.

    Of what begins with nothing the builder's cache does not tell platforms apart: an image that came out for another
    one is built once more without it. Rejected where the base is what is for another: it would end at once.
    """
    found = None
    for anew in (False, True):
        made = await builder.build(there, ctx, wanted, digest, tag, marks, log, anew)
        found = await pull.find(there, made)
        if found is None or _runs_on(found, wanted.platform or platform_of(there.facts)):
            return made
        if not builder.begins_with_nothing(wanted):
            break
    if wanted.platform is None:
        return made
    what = f"is for {_platform(found)}, and the machines that run it are {wanted.platform}"
    raise Rejected(log.path, what, "take `--platform` out of FROM, or give a base image that is for these")


def _pinned(wanted: Reference, found: Any, pulled: bool) -> ImageOutputs:
    """By the registry's digest, so that it can be pulled again; by its id where it comes from no registry."""
    digest = _digest(found, wanted.repository)
    ref = f"{wanted.repository}@{digest}" if digest else str(found["Id"])
    return ImageOutputs(ref=ref, image_id=str(found["Id"]), digest=digest, pulled=pulled)


def _labels(name: str, digest: str, wanted: Build) -> dict[str, str]:
    """With all that an import needs to know."""
    how = json.dumps({key: value for key, value in wanted.wire().items() if key != "context"}, sort_keys=True)
    return {labels.ROLE: "image", labels.IMAGE: name, labels.HASH: digest, labels.INPUTS: how}


def _wrong_reference(text: str) -> list[AnytierError]:
    try:
        parse(text, "pull")
    except Rejected as error:
        return [error]
    return []


def _wrong_build(inputs: ImageInputs) -> list[AnytierError]:
    found: list[AnytierError] = []
    if not _REPOSITORY.fullmatch(inputs.name):
        do = "lower-case letters, digits and single `-`, `_`, `.` between them"
        found.append(Rejected("name", f"{inputs.name!r} cannot be an image's name", do))
    if not _HASH.fullmatch(inputs.context_hash or ""):
        found.append(Rejected("contextHash", "is not 64 hex digits", "take anytier.render.context.context_hash"))
    if inputs.build is not None:
        file = Path(inputs.build.context) / inputs.build.dockerfile
        try:
            wrong = for_buildkit_only(file.read_text(encoding="utf-8"), f"build.dockerfile ({file})")
        except (OSError, UnicodeDecodeError) as error:
            what = f"{file} cannot be read: {getattr(error, 'strerror', None) or error}"
            found.append(NotFound("build.dockerfile", what, "mend build.context or build.dockerfile"))
        else:
            found += [wrong] if wrong else []
    return found


async def _imported(id: str) -> tuple[ImageInputs, ImageOutputs] | None:
    """By the reference of an image that is pulled, or by the name of one that we built."""
    endpoint, name = located(id)
    there = await daemon(endpoint)
    if built := await _built(there, name):
        versions = [str(item["Id"]) for item in built]
        how = json.loads(labels.label(built[0], labels.INPUTS) or "{}")
        inputs = ImageInputs(
            endpoint=endpoint,
            name=name,
            build=Build(context="", **how),
            context_hash=labels.label(built[0], labels.HASH),
        )
        return inputs, ImageOutputs(ref=versions[0], image_id=versions[0], versions=versions)
    wanted = parse(name, "id")
    found = await pull.find(there, str(wanted))
    return (ImageInputs(endpoint=endpoint, name=name, pull=name), _pinned(wanted, found, False)) if found else None


async def _built(there: Daemon, name: str) -> list[Any]:
    """What we built under a name, newest first."""
    listed = await there.get("images/json", filters=labels.filters(role="image", image=name))
    return sorted(listed, key=lambda item: int(item.get("Created") or 0), reverse=True)


def _digest(found: Any, repository: str) -> str | None:
    """What its registry calls it; nothing for an image that comes from none. The daemon writes short names."""
    for item in found.get("RepoDigests") or ():
        name, _, digest = str(item).partition("@")
        if _familiar(name) == _familiar(repository):
            return digest
    return None


def _familiar(repository: str) -> str:
    """As the daemon writes it."""
    return repository.removeprefix("docker.io/").removeprefix("index.docker.io/").removeprefix("library/")


async def _leave(there: Daemon, ref: str, names: Sequence[str]) -> None:
    if found := await pull.find(there, ref):
        await held.remove(there, str(found["Id"]), names)


async def _tags(there: Daemon, name: str, version: str) -> list[str]:
    """Our tags of a version; its id where it has no tag at all."""
    tags = (await pull.find(there, version) or {}).get("RepoTags") or []
    return [tag for tag in tags if tag.rpartition(":")[0] == name] if tags else [version]


async def _remove(there: Daemon, name: str, version: str) -> None:
    """A version of ours; Conflict names the containers made of it."""
    try:
        for tag in await _tags(there, name, version):
            await there.delete(f"images/{tag}", f"image {tag}")
    except Conflict as error:
        users = await held.users(there, version)
        if not users:
            raise
        do = "remove them (`docker rm -f NAME`), then run again"
        raise Conflict(f"image {name}", f"is used by {', '.join(users)}", do) from error


async def _pruned(there: Daemon, name: str, versions: Sequence[str]) -> list[str]:
    """Removes older versions but those that have to stay: a kept revision or a container is made of them."""
    stay = []
    needed = await held.needed(there) if versions else set()
    for version in versions:
        try:
            if version in needed:
                stay.append(version)
            else:
                await _remove(there, name, version)
        except Conflict:
            stay.append(version)
    return stay


async def _sweep(there: Daemon, ids: Sequence[str]) -> list[str]:
    """Removes what builds left on the way and nothing needs; the ids that something still needs."""
    stay = []
    for id in reversed(ids):
        found = await pull.find(there, id)
        if found is None or found.get("RepoTags"):
            continue
        try:
            await there.delete(f"images/{found['Id']}", f"image {id}")
        except Conflict:
            stay.append(id)
    return stay[::-1]
