from __future__ import annotations

import asyncio
import io
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import AnytierError, Conflict, Denied, NotFound, Rejected, Unreachable
from anytier.provider.docker import build as builder
from anytier.provider.docker import held, image, tools
from anytier.provider.docker.build import Build
from anytier.provider.docker.client import Endpoint
from anytier.provider.docker.image import ImageInputs, ImageOutputs, ImageResource
from anytier.provider.docker.models import Kept, Revision
from anytier.provider.docker.store import Store
from anytier.provider.operation import Operations, Stopped
from anytier.render.context import context_hash, entries
from anytier.render.template import Container, Template

from .ground import Ground, impatient
from .registry import Registry
from .sshd import free_port

HASH = "0" * 64


def pulled(reference: str, **more: Any) -> ImageInputs:
    return ImageInputs(name=reference, pull=reference, **more)


def wrong(inputs: ImageInputs) -> list[str]:
    return [f"{error.path}: {error.what}" for error in ImageResource().check(inputs)]


# check: pure


@pytest.mark.parametrize(
    ("reference", "what"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("Python:3.11", "upper-case"),
        ("ghcr.io/Team/app", "upper-case"),
        ("user:pass@registry.example/app", "holds credentials"),
        ("user@registry.example/app:1", "holds credentials"),
        ("https://registry.example/app", "is a URL"),
        ("app:", "is not an image"),
        ("app:a b", "is not an image"),
        ("app@sha256:123", "is not a digest"),
        (f"app@sha256:{'G' * 64}", "is not a digest"),
        ("app/", "is not an image"),
        ("../../etc", "is not an image"),
        ("-app", "is not an image"),
        ("a" + "b" * 300 + ":x" * 2, "is not an image"),
    ],
)
def test_a_reference_that_no_daemon_should_be_given(reference: str, what: str) -> None:
    (said,) = wrong(pulled(reference))
    assert said.startswith("pull: ")
    assert what in said
    assert "pass" not in said


@pytest.mark.parametrize(
    "reference",
    [
        "python",
        "python:3.11-slim",
        "library/python",
        "ghcr.io/team/app_x:V1.0",
        "localhost/app",
        "registry:5000/a/b/c:latest",
        "[::1]:5000/app",
        f"python@sha256:{HASH}",
        f"registry.example:5000/a/b:1@sha256:{HASH}",
    ],
)
def test_references_that_are_fine(reference: str) -> None:
    assert wrong(pulled(reference)) == []


def test_an_image_is_pulled_or_built(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch")
    build = Build(context=str(tmp_path))
    assert "either pulled or built" in wrong(ImageInputs(name="a"))[0]
    assert "either pulled or built" in wrong(ImageInputs(name="a", pull="a", build=build, context_hash=HASH))[0]
    assert wrong(ImageInputs(name="a", build=build, context_hash=HASH)) == []
    assert wrong(ImageInputs(name="A", build=build))[:1] == ["name: 'A' cannot be an image's name"]
    assert "contextHash" in wrong(ImageInputs(name="a", build=build, context_hash="xyz"))[0]


def test_what_needs_buildkit_is_told_at_preview(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nRUN --mount=type=cache,target=/x true\n")
    (said,) = wrong(ImageInputs(name="a", build=Build(context=str(tmp_path)), context_hash=HASH))
    assert "line 2: RUN --mount needs BuildKit" in said


def test_a_dockerfile_that_is_not_there_is_told_at_preview(tmp_path: Path) -> None:
    (said,) = wrong(ImageInputs(name="a", build=Build(context=str(tmp_path)), context_hash=HASH))
    assert said.startswith("build.dockerfile: ")
    assert "No such file" in said


# pulling


@pytest.fixture
def resource() -> ImageResource:
    return ImageResource()


@pytest.mark.docker
async def test_a_pulled_image_is_pinned_by_its_digest(
    ground: Ground, registry: Registry, resource: ImageResource
) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    digest = registry.digest(f"{ground.ns}/app", "1")
    inputs = pulled(f"{name}:1")
    id, made = await resource.create(ground.context(), inputs)
    assert (id, made.ref, made.digest, made.pulled) == (f"{name}:1", f"{name}@{digest}", digest, True)
    assert any("pulling" in line for line in ground.sink.lines)

    # the tag moves on; what runs does not, and neither does the record
    other = await other_image(ground)
    registry.push(other, f"{ground.ns}/app", "1")
    ground.docker("pull", "-q", f"{name}:1")
    assert await resource.read(ground.context(), id, inputs, made) == (inputs, made)
    container = await ground.container(made.ref, "sleep", "100")
    assert (await ground.there.get(f"containers/{container}/json"))["Image"] == made.image_id
    await ground.there.delete(f"containers/{container}", force=True)

    await resource.delete(ground.context(), id, inputs, made)
    assert await ground.there.find(f"images/{made.image_id}/json") is None
    assert await ground.there.find(f"images/{name}:1/json") is not None  # by now somebody else's


async def other_image(ground: Ground) -> str:
    base = await ground.base()
    made = await ground.there.post("containers/create", {"Image": base, "Cmd": ["true"]}, name=f"{ground.ns}-other")
    name = f"{ground.ns}/other"
    await ground.there.post("commit", {"Env": ["OTHER=1"]}, container=made["Id"], repo=name, tag="latest")
    await ground.there.delete(f"containers/{made['Id']}")
    return name


@pytest.mark.docker
async def test_by_digest(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    digest = registry.digest(f"{ground.ns}/app", "1")
    for reference in (f"{name}@{digest}", f"{name}:1@{digest}"):
        inputs = pulled(reference)
        id, made = await resource.create(ground.context(), inputs)
        assert (made.ref, made.pulled) == (f"{name}@{digest}", True)
        await resource.delete(ground.context(), id, inputs, made)
        assert await ground.there.find(f"images/{made.ref}/json") is None
    with pytest.raises(NotFound, match="its registry has no such image"):
        await resource.create(ground.context(), pulled(f"{name}@sha256:{HASH}"))


@pytest.mark.docker
async def test_an_image_that_is_there_is_not_pulled_and_outlives_us(
    ground: Ground, registry: Registry, resource: ImageResource
) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    ground.docker("pull", "-q", f"{name}:1")
    registry.stop()
    inputs = pulled(f"{name}:1")
    id, made = await resource.create(ground.context(), inputs)
    assert not made.pulled
    assert ground.sink.warnings == []
    await resource.delete(ground.context(), id, inputs, made)
    assert await ground.there.find(f"images/{name}:1/json") is not None


@pytest.mark.docker
async def test_latest_is_asked_for_and_the_local_one_serves_without_a_registry(
    ground: Ground, registry: Registry, resource: ImageResource
) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app")
    inputs = pulled(name)
    id, first = await resource.create(ground.context(), inputs)
    registry.push(await other_image(ground), f"{ground.ns}/app")
    ground.docker("pull", "-q", f"{name}:latest")
    ground.docker("tag", first.image_id, f"{name}:latest")
    second = await resource.update(ground.context(), id, inputs, first, inputs)
    assert second.ref != first.ref
    registry.stop()
    again = await resource.update(ground.context(), id, inputs, second, inputs)
    assert again.ref == second.ref
    (warning,) = ground.sink.warnings
    assert "the image that is on the daemon already is used" in warning
    assert f"its registry {registry.name} cannot be reached" in warning
    await resource.delete(ground.context(), id, inputs, again)


@pytest.mark.docker
async def test_a_local_image_of_no_registry(ground: Ground, resource: ImageResource) -> None:
    inputs = pulled(await ground.base())
    _, made = await resource.create(ground.context(), inputs)
    assert (made.ref, made.digest, made.pulled) == (made.image_id, None, False)


@pytest.mark.docker
async def test_an_image_that_does_not_exist(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    for reference in (f"{name}:2", f"{registry.name}/{ground.ns}/nobody:1"):
        with pytest.raises(NotFound) as caught:
            await resource.create(ground.context(), pulled(reference))
        assert str(caught.value).startswith(f"image {reference}: its registry has no such image")
        assert "mend the image's name or tag" in caught.value.do
        assert "\n" not in str(caught.value)


@pytest.mark.docker
async def test_a_registry_that_does_not_answer(ground: Ground, resource: ImageResource) -> None:
    reference = f"127.0.0.1:{free_port()}/{ground.ns}/app:1"
    with pytest.raises(Unreachable) as caught:
        await resource.create(ground.context(), pulled(reference))
    assert "cannot be reached" in caught.value.what
    assert "connection refused" in caught.value.what
    assert "docker load" in caught.value.do


@pytest.mark.docker
async def test_a_registry_that_wants_a_login(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    registry.restart(login=True)
    inputs = pulled(f"{name}:1")
    with pytest.raises(Denied) as caught:
        await resource.create(ground.context(), inputs)
    assert "docker login" in caught.value.do
    registry.log_in("wr0ng-passw0rd")
    with pytest.raises(Denied) as caught:
        await resource.create(ground.context(), inputs)
    assert "wr0ng" not in str(caught.value)
    registry.log_in()
    id, made = await resource.create(ground.context(), inputs)
    assert made.pulled
    assert "c4nary" not in f"{made}{ground.sink.lines}"
    await resource.delete(ground.context(), id, inputs, made)


@pytest.mark.docker
async def test_a_base_image_behind_a_login(
    ground: Ground, registry: Registry, resource: ImageResource, context: Path
) -> None:
    base = registry.push(await ground.base(), f"{ground.ns}/base", "1")
    registry.restart(login=True)
    (context / "Dockerfile").write_text(f"FROM {base}:1\n")
    inputs = built(ground, context)
    with pytest.raises(Denied, match=f"its base image {base}:1: its registry refuses"):
        await resource.create(ground.context(), inputs)
    registry.log_in()
    id, made = await resource.create(ground.context(), inputs)
    await resource.delete(ground.context(), id, inputs, made)
    ground.docker("rmi", f"{base}:1")


@pytest.mark.docker
async def test_a_pulled_image_that_a_container_uses_stays(
    ground: Ground, registry: Registry, resource: ImageResource
) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    inputs = pulled(f"{name}:1")
    id, made = await resource.create(ground.context(), inputs)
    container = await ground.container(made.ref, "true")
    await resource.delete(ground.context(), id, inputs, made)
    assert await ground.there.find(f"images/{name}:1/json") is not None
    await ground.there.delete(f"containers/{container}", force=True)
    await resource.delete(ground.context(), id, inputs, made)
    assert await ground.there.find(f"images/{name}:1/json") is None
    await resource.delete(ground.context(), id, inputs, made)  # gone already


@pytest.mark.docker
async def test_other_names_of_a_pulled_image_stay(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    inputs = pulled(f"{name}:1")
    id, made = await resource.create(ground.context(), inputs)
    ground.docker("tag", made.image_id, f"{ground.ns}/mine:1")
    await resource.delete(ground.context(), id, inputs, made)
    assert await ground.there.find(f"images/{name}:1/json") is None
    assert await ground.there.find(f"images/{ground.ns}/mine:1/json") is not None


@pytest.mark.docker
async def test_removed_behind_our_back(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    inputs = pulled(f"{name}:1")
    id, made = await resource.create(ground.context(), inputs)
    ground.docker("rmi", f"{name}:1")
    assert await resource.read(ground.context(), id, inputs, made) is None
    assert (await resource.create(ground.context(), inputs))[1] == made
    await resource.delete(ground.context(), id, inputs, made)


@pytest.mark.docker
async def test_import_of_a_pulled_image(
    ground: Ground, registry: Registry, resource: ImageResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    id, made = await resource.create(ground.context(), pulled(f"{name}:1"))
    found = await resource.read(ground.context(), id, None, None)
    assert found == (pulled(f"{name}:1"), made.model_copy(update={"pulled": False}))
    assert await resource.read(ground.context(), f"unix:///var/run/docker.sock|{id}", None, None) == found
    assert await resource.read(ground.context(), f"{name}:2", None, None) is None
    await resource.delete(ground.context(), id, pulled(f"{name}:1"), made)


# building


@pytest.fixture
async def context(ground: Ground, tmp_path: Path) -> Path:
    """A context with a base that has a shell."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {await ground.base()}\nCOPY . /app\n")
    (folder / "main.py").write_text("print(1)")
    return folder


def built(ground: Ground, context: Path, **build: Any) -> ImageInputs:
    wanted = Build(context=str(context), **build)
    digest = context_hash(context, wanted.dockerfile, wanted.args, wanted.target)
    return ImageInputs(name=f"{ground.ns}/app", build=wanted, context_hash=digest)


async def content(ground: Ground, image: str) -> dict[str, str]:
    """Path -> kind, mode and content of what is in an image; two names of one file are two files."""
    made = await ground.there.post("containers/create", {"Image": image, "Cmd": ["x"]}, name=f"{ground.ns}-content")
    try:
        data = await ground.there.get_files(made["Id"], "/")
    finally:
        await ground.there.delete(f"containers/{made['Id']}", force=True)
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for item in tar.getmembers():
            stream = tar.extractfile(item) if item.isreg() or item.islnk() else None
            body = stream.read() if stream else item.linkname
            found[item.name.lstrip("/").removeprefix("./")] = (
                f"{'file' if stream else item.type!r} {item.mode:o} {item.uid} {item.gid} {body!r}"
            )
    return found


@pytest.mark.docker
async def test_a_build(ground: Ground, context: Path, resource: ImageResource) -> None:
    inputs = built(ground, context)
    id, made = await resource.create(ground.context(), inputs)
    assert id == inputs.name
    assert made.ref == made.image_id == made.versions[0]
    assert ground.sink.lines[:2] == ["packing the build context", "sending the build context (0.0 MB)"]
    assert any(line.startswith("step 2/") and "COPY . /app" in line for line in ground.sink.lines)
    assert (await content(ground, made.ref))["app/main.py"].endswith("b'print(1)'")
    container = await ground.container(made.ref, "cat", "/app/main.py")
    await ground.there.post(f"containers/{container}/wait")
    assert await ground.there.log(container, 5) == "print(1)"
    await ground.there.delete(f"containers/{container}")
    await resource.delete(ground.context(), id, inputs, made)
    assert [item["RepoTags"] for item in await ground.images(every=True)] == [[f"{ground.ns}/base:latest"]]
    await resource.delete(ground.context(), id, inputs, made)  # gone already


@pytest.mark.docker
async def test_an_unchanged_context_is_neither_sent_nor_built(
    ground: Ground, context: Path, resource: ImageResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = built(ground, context)
    id, made = await resource.create(ground.context(), inputs)
    shutil.rmtree(context)  # not even looked at
    assert (await resource.create(ground.context(), inputs))[1].ref == made.ref  # its state was lost
    assert await resource.update(ground.context(), id, inputs, made, inputs) == made
    await resource.delete(ground.context(), id, inputs, made)


async def keep(ground: Ground, workload: str, *refs: str) -> Store:
    """What a workload remembers whose kept revisions are made of these."""
    store = Store(ground.there, ground.ns, workload)
    await tools.ensure(ground.there)
    document = await store.open("")
    revisions = [
        Revision(
            revision=number, hash="x", template=Template(containers=[Container(name="c", image=ref)]), created_at=0
        )
        for number, ref in enumerate(refs, 1)
    ]
    await store.save(document.model_copy(update={"kept": [Kept(revision=revision) for revision in revisions]}))
    return store


@pytest.mark.docker
async def test_versions_stay_as_long_as_a_revision_may_go_back_to_them(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    inputs = built(ground, context)
    id, made = await resource.create(ground.context(), inputs)
    versions = [made.ref]
    store = await keep(ground, "web", *versions)
    for number in range(3):
        (context / "main.py").write_text(f"print({number + 2})")
        old, inputs = inputs, built(ground, context)
        made = await resource.update(ground.context(), id, old, made, inputs)
        versions.insert(0, made.ref)
        store = await keep(ground, "web", versions[0], versions[-1])
    assert made.versions == [versions[0], versions[1], versions[-1]]  # the workload had not moved on from the second
    there = [version for version in versions if await ground.there.find(f"images/{version}/json")]
    assert there == made.versions
    # going back to sources that were built before is no build
    (context / "main.py").write_text("print(1)")
    ground.sink.lines.clear()
    old, inputs = inputs, built(ground, context)
    made = await resource.update(ground.context(), id, old, made, inputs)
    assert (made.ref, made.versions) == (versions[-1], [versions[-1], versions[0]])
    assert ground.sink.lines == ["unchanged: the image is there already"]
    # the workload is now made of something else, but may go back
    await resource.delete(ground.context(), id, inputs, made)
    assert [await ground.there.find(f"images/{version}/json") is not None for version in made.versions] == [True, True]
    ground.docker("image", "prune", "-a", "-f", "--filter", f"label=dev.anytier.image={id}")
    assert await ground.there.find(f"images/{made.ref}/json") is not None
    await store.forget()
    await resource.delete(ground.context(), id, inputs, ImageOutputs())
    assert [item["RepoTags"] for item in await ground.images(every=True)] == [[f"{ground.ns}/base:latest"]]


@pytest.mark.docker
async def test_workloads_that_go_meanwhile_are_not_brought_back(ground: Ground) -> None:
    stores = [await keep(ground, f"w{number}", "x@sha256:1") for number in range(6)]
    assert "x@sha256:1" in await held.needed(ground.there)
    await asyncio.gather(*(store.forget() for store in stores), *(held.needed(ground.there) for _ in range(12)))
    for store in stores:
        assert await ground.there.find(f"containers/{store.name}/json") is None
        assert await ground.there.find(f"volumes/{store.name}") is None


@pytest.mark.docker
async def test_a_pulled_image_stays_as_long_as_a_revision_may_go_back_to_it(
    ground: Ground, registry: Registry, resource: ImageResource
) -> None:
    name = registry.push(await ground.base(), f"{ground.ns}/app", "1")
    registry.push(await other_image(ground), f"{ground.ns}/app", "2")
    first, second = pulled(f"{name}:1"), pulled(f"{name}:2")
    _, one = await resource.create(ground.context(), first)
    _, two = await resource.create(ground.context(), second)
    store = await keep(ground, "web", one.ref, two.ref)
    await resource.delete(ground.context(), f"{name}:1", first, one)
    assert (await ground.there.get(f"images/{one.ref}/json"))["Id"] == one.image_id
    await store.forget()
    await resource.delete(ground.context(), f"{name}:2", second, two)
    for made in (one, two):
        assert await ground.there.find(f"images/{made.ref}/json") is None
    assert await ground.there.get("containers/json", all=True, filters={"name": ["anytier-held"]}) == []


@pytest.mark.docker
async def test_a_version_in_use_is_not_pruned(
    ground: Ground, context: Path, resource: ImageResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = built(ground, context)
    id, first = await resource.create(ground.context(), inputs)
    container = await ground.container(first.ref, "sleep", "1000")
    (context / "main.py").write_text("print(2)")
    inputs = built(ground, context)
    second = await resource.update(ground.context(), id, inputs, first, inputs)
    assert second.versions == [second.ref, first.ref]
    monkeypatch.setattr(image, "patiently", impatient)
    with pytest.raises(Conflict) as caught:
        await resource.delete(ground.context(), id, inputs, second)
    assert f"is used by {ground.ns}-c" in caught.value.what
    assert "docker rm -f" in caught.value.do
    await ground.there.delete(f"containers/{container}", force=True)
    await resource.delete(ground.context(), id, inputs, second)
    assert [item["RepoTags"] for item in await ground.images()] == [[f"{ground.ns}/base:latest"]]


@pytest.mark.docker
async def test_arguments_and_target(ground: Ground, context: Path, resource: ImageResource) -> None:
    base = f"{ground.ns}/base"
    (context / "Dockerfile").write_text(
        f"ARG BASE={base}\nFROM $BASE AS one\nARG WORD=none\nARG TARGETARCH\n"
        'RUN echo "$WORD $TARGETARCH" > /word\nFROM one AS two\nRUN false\n'
    )
    inputs = built(ground, context, args={"WORD": 'it\'s "quoted" $HOME'}, target="one")
    id, made = await resource.create(ground.context(), inputs)
    arch = {"x86_64": "amd64", "aarch64": "arm64"}[str(ground.there.facts["Architecture"])]
    found = (await content(ground, made.ref))["word"]
    assert eval(found.split(" ", 4)[4]) == f'it\'s "quoted" $HOME {arch}\n'.encode()
    await resource.delete(ground.context(), id, inputs, made)
    with pytest.raises(Rejected, match="zz"):
        await resource.create(ground.context(), built(ground, context, target="zz"))


ARCHES = {"x86_64": ("amd64", "arm64"), "aarch64": ("arm64", "amd64")}


def arches(ground: Ground) -> tuple[str, str]:
    """(the daemon's own, another one)."""
    return ARCHES[str(ground.there.facts["Architecture"])]


@pytest.mark.docker
async def test_an_image_is_for_the_platform_that_it_is_built_for(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    own, other = arches(ground)
    (context / "main.py").write_text(ground.ns)  # in nobody else's cache
    (context / "Dockerfile").write_text("FROM scratch\nCOPY main.py /\nARG TARGETARCH\nLABEL for=$TARGETARCH\n")

    async def arch(ref: str) -> tuple[str, str]:
        found = await ground.there.get(f"images/{ref}/json")
        return found["Architecture"], found["Config"]["Labels"]["for"]

    inputs = built(ground, context)
    id, made = await resource.create(ground.context(), inputs)
    assert await arch(made.ref) == (own, own)
    # who names what it is already builds nothing
    same = built(ground, context, platform=f"linux/{own}")
    assert (await resource.update(ground.context(), id, inputs, made, same)).ref == made.ref
    # for other machines it is another image, though of the same sources; and back again
    foreign = built(ground, context, platform=f"linux/{other}")
    assert foreign.context_hash == inputs.context_hash
    elsewhere = await resource.update(ground.context(), id, same, made, foreign)
    assert await arch(elsewhere.ref) == (other, other) and elsewhere.ref != made.ref
    again = await resource.update(ground.context(), id, foreign, elsewhere, foreign)
    assert again.ref == elsewhere.ref
    back = await resource.update(ground.context(), id, foreign, again, same)
    assert await arch(back.ref) == (own, own)
    await resource.delete(ground.context(), id, same, back)


@pytest.mark.docker
async def test_steps_of_another_platform_are_not_gone_on_from(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    """Docker's builder itself does so: what begins with nothing is in its cache for whoever comes."""
    own, other = arches(ground)
    (context / "main.py").write_text(ground.ns)  # in nobody else's cache
    (context / "Dockerfile").write_text("FROM scratch\nCOPY main.py /\nCOPY main.py /again\n")
    for number, (platform, arch) in enumerate([(f"linux/{other}", other), (None, own), (f"linux/{own}", own)]):
        inputs = built(ground, context, platform=platform).model_copy(update={"name": f"{ground.ns}/app{number}"})
        _, made = await resource.create(ground.context(), inputs)
        assert (await ground.there.get(f"images/{made.ref}/json"))["Architecture"] == arch


@pytest.mark.docker
async def test_an_image_that_came_out_for_other_machines_is_refused_and_goes(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    own, other = arches(ground)
    (context / "Dockerfile").write_text(f"FROM --platform=linux/{own} {ground.ns}/base\nCOPY main.py /\n")
    with pytest.raises(Rejected) as caught:
        await resource.create(ground.context(), built(ground, context, platform=f"linux/{other}"))
    assert f"is for linux/{own}, and the machines that run it are linux/{other}" in caught.value.what
    assert "--platform" in caught.value.do


@pytest.mark.docker
async def test_a_step_that_fails_for_other_machines_says_whose_processor_is_missing(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    own, other = arches(ground)
    (context / "Dockerfile").write_text('FROM scratch\nCOPY main.py /\nRUN ["/main.py"]\n')
    with pytest.raises(Rejected) as caught:
        await resource.create(ground.context(), built(ground, context, platform=f"linux/{other}"))
    assert f"this is built for linux/{other} on linux/{own}" in caught.value.do


@pytest.mark.docker
async def test_another_dockerfile_in_a_folder(ground: Ground, context: Path, resource: ImageResource) -> None:
    (context / "docker").mkdir()
    (context / "Dockerfile").rename(context / "docker" / "web.Dockerfile")
    (context / ".dockerignore").write_text("docker\n.dockerignore\n")
    inputs = built(ground, context, dockerfile="docker/web.Dockerfile")
    id, made = await resource.create(ground.context(), inputs)
    names = {name for name in await content(ground, made.ref) if name.startswith("app/")}
    assert "app/main.py" in names
    assert {name for name in names if "ocker" in name} == {"app/docker"}  # an empty folder, as Docker leaves it
    await resource.delete(ground.context(), id, inputs, made)


@pytest.mark.docker
async def test_a_step_that_fails_is_told_with_its_last_lines(
    ground: Ground, context: Path, resource: ImageResource
) -> None:
    base = f"{ground.ns}/base"
    (context / "Dockerfile").write_text(
        f"FROM {base}\nRUN echo fine > /fine\nRUN seq 1 30; sleep 1; echo it broke >&2; false\n"
    )
    ctx = ground.context()
    inputs = built(ground, context)
    with pytest.raises(Rejected) as caught:
        await resource.create(ctx, inputs)
    first, *rest = str(caught.value).splitlines()
    assert first.startswith(
        f"image {ground.ns}/app: step 3/7 failed, `RUN seq 1 30; sleep 1; echo it broke >&2; false`: "
    )
    assert "returned a non-zero code: 1" in first
    assert "    it broke" in rest
    assert "    30" in rest
    assert "    1" not in rest
    # what the build left is on record, and goes with the resource
    assert ctx.last_made is not None
    state = ctx.last_made.outputs
    assert isinstance(state, ImageOutputs)
    assert state.rest
    assert await resource.read(ctx, inputs.name, inputs, state) == (inputs, state)
    (context / "Dockerfile").write_text(f"FROM {base}\nRUN echo fine > /fine\n")
    inputs = built(ground, context)
    made = await resource.update(ctx, inputs.name, inputs, state, inputs)
    await resource.delete(ctx, inputs.name, inputs, made)
    for id in (*state.rest, *made.rest):
        assert await ground.there.find(f"images/{id}/json") is None


@pytest.mark.docker
async def test_stages_leave_nothing(ground: Ground, context: Path, resource: ImageResource) -> None:
    base = f"{ground.ns}/base"
    (context / "Dockerfile").write_text(
        f"FROM {base} AS make\nRUN echo 1 > /one\nRUN echo 2 > /two\n"
        f"FROM {base}\nCOPY --from=make /two /two\nRUN cat /two\n"
    )
    inputs = built(ground, context)
    id, made = await resource.create(ground.context(), inputs)
    assert len(await made_from(ground, base)) > 4
    await resource.delete(ground.context(), id, inputs, made)
    assert await made_from(ground, base) == []


async def made_from(ground: Ground, image: str) -> list[str]:
    """Images on the daemon that descend from another one."""
    base = (await ground.there.get(f"images/{image}/json"))["Id"]
    parents = {item["Id"]: item["ParentId"] for item in await ground.there.get("images/json", all=True)}

    def descends(id: str) -> bool:
        parent = parents.get(id, "")
        return parent == base or (bool(parent) and descends(parent))

    return [id for id in parents if descends(id)]


@pytest.mark.docker
async def test_a_base_image_that_is_missing(
    ground: Ground, registry: Registry, context: Path, resource: ImageResource
) -> None:
    gone = f"127.0.0.1:{free_port()}/gone:1"
    for reference, kind, what in (
        (gone, Unreachable, f"its base image {gone}: its registry {gone.split('/')[0]} cannot be reached"),
        (f"{registry.name}/nobody:1", NotFound, f"its base image {registry.name}/nobody:1: its registry has no such"),
    ):
        (context / "Dockerfile").write_text(f"FROM --platform=linux/amd64 {reference}\n")
        ctx = ground.context()
        with pytest.raises(kind) as caught:
            await resource.create(ctx, built(ground, context))
        assert what in caught.value.what
        assert "\n" not in str(caught.value)
        assert ctx.last_made is None


@pytest.mark.docker
async def test_a_dockerfile_with_a_mistake(ground: Ground, context: Path, resource: ImageResource) -> None:
    (context / "Dockerfile").write_text(f"FROM {ground.ns}/base\nRAN true\n")
    with pytest.raises(Rejected, match=r"image .*/app: dockerfile parse error line 2: .*RAN"):
        await resource.create(ground.context(), built(ground, context))


@pytest.mark.docker
async def test_a_context_that_changes_meanwhile(ground: Ground, context: Path, resource: ImageResource) -> None:
    inputs = built(ground, context)
    (context / "main.py").write_text("changed")
    with pytest.raises(Rejected, match="changed since this deployment began"):
        await resource.create(ground.context(), inputs)


@pytest.mark.docker
async def test_import_of_a_built_image(
    ground: Ground, context: Path, resource: ImageResource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    inputs = built(ground, context, args={"A": "1"})
    (context / "Dockerfile").write_text((context / "Dockerfile").read_text() + "ARG A\n")
    inputs = built(ground, context, args={"A": "1"})
    id, made = await resource.create(ground.context(), inputs)
    assert inputs.build is not None
    found = await resource.read(ground.context(), id, None, None)
    assert found is not None
    expected = inputs.model_copy(update={"build": inputs.build.model_copy(update={"context": ""})})
    assert found == (expected, made.model_copy(update={"rest": []}))
    await resource.delete(ground.context(), id, *found)
    assert await resource.read(ground.context(), id, inputs, made) is None


# ending early


@pytest.mark.docker
@pytest.mark.parametrize("way", ["socket", "ssh"])
async def test_a_build_in_flight_ends_with_a_cancel(
    way: str, ground: Ground, context: Path, resource: ImageResource, request: pytest.FixtureRequest
) -> None:
    base = f"{ground.ns}/base"
    (context / "Dockerfile").write_text(f"FROM {base}\nRUN echo one > /one\nRUN sleep 1000 || echo {ground.ns}\n")
    endpoint = Endpoint(host=request.getfixturevalue("sshd").host) if way == "ssh" else Endpoint()
    operations, ctx = Operations(), ground.context()
    inputs = built(ground, context).model_copy(update={"endpoint": endpoint})
    work = asyncio.ensure_future(operations.run(resource.create(ctx, inputs)))
    while not any("sleep 1000" in line for line in ground.sink.lines) and not work.done():
        await asyncio.sleep(0.05)
    limit, running = time.monotonic() + 30, await builders(ground)
    while not running and time.monotonic() < limit:
        running = await builders(ground)
    began = time.monotonic()
    operations.cancel()
    outcome = await work
    assert time.monotonic() - began < 5
    assert isinstance(outcome.error, Stopped)
    assert ctx.last_made is not None
    limit = time.monotonic() + 10
    while await builders(ground) and time.monotonic() < limit:
        await asyncio.sleep(0.1)
    assert len(running) == 1
    assert await builders(ground) == []
    await resource.delete(ground.context(), inputs.name, inputs, ctx.last_made.outputs)  # type: ignore[arg-type]


async def builders(ground: Ground) -> list[str]:
    """Containers of this test's builds that sleep."""
    listed = await ground.there.get("containers/json", all=True)
    return [item["Id"] for item in listed if f"sleep 1000 || echo {ground.ns}" in item["Command"]]


@pytest.mark.docker
async def test_a_pull_in_flight_ends_with_a_cancel(ground: Ground, registry: Registry, resource: ImageResource) -> None:
    base = await ground.base()
    registry.push(base, f"{ground.ns}/app", "1")
    ground.docker("rmi", base)  # so that there is something to fetch
    asked, stop = asyncio.Event(), asyncio.Event()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """To the registry and back, until a layer is asked for: it never comes."""
        inner, outer = await asyncio.open_connection("127.0.0.1", registry.port)
        back = asyncio.ensure_future(copy(inner, writer))
        while data := await reader.read(1 << 16):
            if b"/blobs/" in data:
                back.cancel()
                asked.set()
                await stop.wait()
                break
            outer.write(data)
        outer.close()
        writer.close()

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    operations = Operations()
    create = resource.create(ground.context(), pulled(f"127.0.0.1:{port}/{ground.ns}/app:1"))
    work = asyncio.ensure_future(operations.run(create))
    await asyncio.wait_for(asked.wait(), 20)
    began = time.monotonic()
    operations.cancel()
    assert isinstance((await work).error, Stopped)
    assert time.monotonic() - began < 5
    assert not ground.there.docker.connector._acquired  # the daemon is told; older ones end a request when it answers
    stop.set()
    server.close()


async def test_a_daemon_that_is_away_is_an_error_and_not_a_deletion(resource: ImageResource, tmp_path: Path) -> None:
    endpoint = Endpoint(host=f"unix://{tmp_path}/none.sock")
    inputs = pulled("app:1", endpoint=endpoint)
    state = ImageOutputs(ref="x", image_id="x", pulled=True)
    ctx = Ground.without_daemon()
    for work in (resource.read(ctx, "app:1", inputs, state), resource.delete(ctx, "app:1", inputs, state)):
        with pytest.raises(Unreachable):
            await work
    with pytest.raises(AnytierError):
        await resource.create(ctx, inputs)
    assert ctx.last_made is None


# the same files as `docker build`

IGNORES = [
    None,
    "",
    "*",
    "a",
    "/a",
    "a/",
    "*.py",
    "**/*.py",
    "*/*.py",
    "a/*",
    "a/**",
    "**/b",
    "**b",
    "a*",
    "?",
    "[ab]",
    "[^a]",
    "[!a]",
    "[a-c]*",
    "*\n!a",
    "*\n!a/b",
    "*\n!a/b/c.py",
    "a\n!a/b",
    "a/b\n!a/b/c.py",
    "**\n!a/x.py",
    "a\n!a/b\na/b/c.py",
    "!a\na",
    "# a\nb",
    " # a\nb",
    "Dockerfile",
    ".dockerignore",
    "Dockerfile\n.dockerignore",
    "*\n!.dockerignore",
    ".git",
    "**/.git",
    "a b",
    "a\\ b",
    "\\!bang",
    "!bang",
    "é*",
    "a/../b",
    "./a",
    "//a",
    "a/b/c.py\r\nb\r\n",
    "**/c*\n!**/c.py",
    "link\nfolderlink",
    "d\n!d/x\nd",
]


def write_tree(root: Path) -> None:
    for name in ("a/b/c.py", "a/b/c.txt", "a/x.py", "a/.git/config", "b", "c", "ab/b", "a b", "!bang", "éa", "x.py",
                 ".git/HEAD", "# a", "d/x", "d/y", "bb"):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    (root / "a" / "x.py").chmod(0o755)
    (root / "a" / "b").chmod(0o700)
    (root / "b").chmod(0o640)
    (root / "link").symlink_to("a/x.py")
    (root / "folderlink").symlink_to("a")
    (root / "dangling").symlink_to("/nowhere")
    os.link(root / "bb", root / "hard link of bb")
    (root / "empty").mkdir()
    os.mkfifo(root / "pipe")
    (root / "Dockerfile").write_text("FROM scratch\nCOPY . /app/\n")


@pytest.mark.docker
@pytest.mark.parametrize("text", IGNORES)
async def test_an_image_has_what_docker_build_gives_it(
    ground: Ground, tmp_path: Path, resource: ImageResource, text: str | None
) -> None:
    write_tree(tmp_path)
    if text is not None:
        (tmp_path / ".dockerignore").write_text(text)
    else:
        shutil.rmtree(tmp_path / ".git")  # left out by us, unless somebody wants it
        shutil.rmtree(tmp_path / "a" / ".git")
    inputs = built(ground, tmp_path)
    id, made = await resource.create(ground.context(), inputs)
    ours = await content(ground, made.ref)
    await resource.delete(ground.context(), id, inputs, made)
    tag = f"{ground.ns}/theirs"
    (tmp_path / "pipe").unlink()  # their builder refuses one
    done = subprocess.run(
        ["docker", "build", "-q", "-t", tag, str(tmp_path)],
        check=False, capture_output=True, text=True, timeout=60, env={**os.environ, "DOCKER_BUILDKIT": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = await content(ground, tag)
    ground.docker("rmi", tag)
    assert ours == theirs
    assert len(ours) > 3


def test_everything_of_the_context_is_sent_once(tmp_path: Path) -> None:
    write_tree(tmp_path)
    (tmp_path / ".dockerignore").write_text("*")
    assert builder.sent(tmp_path, list(entries(tmp_path)), "Dockerfile") == ["Dockerfile", ".dockerignore"]
    (tmp_path / ".dockerignore").write_text("a")
    names = builder.sent(tmp_path, list(entries(tmp_path)), "./Dockerfile")
    assert len(names) == len(set(names))
