"""`host:Image` here, from a registry that can misbehave: what is there, what goes, what a killed run leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.provider.oci.fake import Fake

from anytier.errors import NotFound, Rejected, Unreachable
from anytier.provider.host import images
from anytier.provider.host.images import ImageInputs, ImageOutputs, ImageResource
from anytier.provider.host.place import of
from anytier.provider.resource import Context
from anytier.render.template import HostProcess, ImageRun, Template

from .corner import Sink


class Here:
    """A state folder of this machine. Images are only unpacked, so that no systemd is needed."""

    def __init__(self, folder: Path, fake: Fake) -> None:
        self.root, self.fake, self.sink = folder / "state", fake, Sink()

    def context(self) -> Context:
        return Context("urn:pulumi:dev::shop::x::y", "y", self.sink)

    def inputs(self, version: str = ":1", **more: Any) -> ImageInputs:
        base = {"root": str(self.root), "supervisor": "systemd-system", "ns": "anytier-test-x", "owner": "me"}
        return ImageInputs.model_validate({**base, "reference": f"{self.fake.name}/a/b{version}", **more})

    async def up(self, version: str = ":1") -> ImageOutputs:
        return (await ImageResource().create(self.context(), self.inputs(version)))[1]

    async def down(self, version: str, state: ImageOutputs) -> None:
        await ImageResource().delete(self.context(), "", self.inputs(version), state)

    def there(self) -> set[str]:
        folder = self.root / "images"
        return (
            {f"sha256:{item.name}" for item in folder.iterdir() if item.name != "wanted"} if folder.is_dir() else set()
        )

    def keep(self, path: str, digest: str) -> None:
        """As a workload's kept revision, or a job, names its image."""
        template = Template(process=HostProcess(image=ImageRun(digest=digest))).wire()
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(json.dumps({"template": template}))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Here]:
    monkeypatch.setenv("ANYTIER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with Fake() as fake:
        yield Here(tmp_path, fake)


async def test_it_is_unpacked_once_and_gone_with_the_last_that_wants_it(here: Here) -> None:
    digest = here.fake.image("1")
    here.fake.documents["2"] = here.fake.documents["1"]
    one = await here.up()
    folder = here.root / "images" / digest.removeprefix("sha256:")
    assert (one.digest, one.cmd, (folder / "rootfs" / "file").read_text()) == (digest, ["run"], "x")
    assert (here.root / "images").stat().st_mode & 0o777 == 0o700
    made = folder.stat().st_mtime_ns
    two = await here.up(":2")
    assert two == one and folder.stat().st_mtime_ns == made
    await here.down(":1", one)
    assert here.there() == {digest}
    await here.down(":2", two)
    assert not here.root.exists()


@pytest.mark.parametrize("path", ["workloads/web/r3.json", "jobs/migrate/job.json"])
async def test_what_a_kept_revision_names_stays(here: Here, path: str) -> None:
    digest = here.fake.image("1")
    one = await here.up()
    here.keep(path, digest)
    await here.down(":1", one)
    assert here.there() == {digest}
    (here.root / path).unlink()
    await images.tidy(await of(here.inputs()))
    assert here.there() == set() and not (here.root / "images").exists()


async def test_a_tag_that_moved_is_a_drift_that_the_next_update_mends(here: Here) -> None:
    first = here.fake.image("1")
    state = await here.up()
    inputs, resource = here.inputs(), ImageResource()
    second = here.fake.image("1", content="newer")
    found = await resource.read(here.context(), "", inputs, state)
    assert found is not None and (found[1].digest, found[1].latest) == (first, second)
    assert (
        resource.drifted(inputs, found[1]) == ["reference"] and resource.planned(found[1], inputs)["digest"] == second
    )
    now = await resource.update(here.context(), "", inputs, found[1], inputs)
    assert now.digest == second and resource.drifted(inputs, now) == [] and here.there() == {second}
    here.fake.broken = {"manifests/1": 500}
    again = await resource.read(here.context(), "", inputs, now)
    assert again is not None and again[1] == now and "stays" in here.sink.lines[-1]
    await here.down(":1", now)


async def test_what_is_gone_is_told_and_an_unknown_version_of_the_record_is_unpacked_anew(here: Here) -> None:
    digest = here.fake.image("1")
    state = await here.up()
    record = here.root / "images" / digest.removeprefix("sha256:") / "image.json"
    record.write_text('{"from": "the future"}')
    assert await ImageResource().read(here.context(), "", here.inputs(), state) is None
    place = await of(here.inputs())
    with pytest.raises(NotFound, match="no longer on the machine -> `pulumi up --refresh`"):
        await images.image_of(place, Template(process=HostProcess(image=ImageRun(digest=digest))))
    assert await here.up() == state and json.loads(record.read_text())["digest"] == digest
    await here.down(":1", state)


async def test_a_run_that_was_killed_half_way_is_begun_anew(here: Here) -> None:
    digest = here.fake.image("1")
    for name in (f"{digest[7:]}.new/rootfs", f"{digest[7:]}.parts", f"{'0' * 64}.new"):
        (here.root / "images" / name).mkdir(parents=True)
    state = await here.up()
    assert here.there() == {digest}
    await here.down(":1", state)


async def test_a_pull_that_fails_leaves_what_can_be_destroyed(here: Here) -> None:
    here.fake.image("1")
    here.fake.broken = {"manifests/1": 500}
    context = here.context()
    with pytest.raises(Unreachable):
        await ImageResource().create(context, here.inputs())
    assert context.last_made is not None
    assert ImageResource().drifted(here.inputs(), ImageOutputs()) == ["reference"]
    here.fake.broken = {}
    state = await ImageResource().update(context, "", here.inputs(), ImageOutputs(), here.inputs())
    assert here.there() == {state.digest}
    await here.down(":1", state)
    assert not here.root.exists()


def test_a_digest_is_known_before_anything_is_done(here: Here) -> None:
    digest = "sha256:" + "ab" * 32
    assert ImageResource().planned(None, here.inputs(f"@{digest}"))["digest"] == digest
    assert ImageResource().planned(None, here.inputs(":1")) == {}


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"reference": "Upper/x"}, "upper-case"),
        ({"reference": "u:p@r.test/x"}, "credentials"),
        ({"reference": ""}, "empty"),
        ({"supervisor": "supervisord"}, "root's own systemd"),
        ({"machine": {"kind": "ssh", "address": "h", "user": "me"}}, "root's own systemd"),
    ],
)
def test_bad_inputs_are_told_at_preview(here: Here, more: dict[str, Any], what: str) -> None:
    found = ImageResource().check(here.inputs(**more))
    assert len(found) == 1 and isinstance(found[0], Rejected) and what in str(found[0]) and found[0].do
