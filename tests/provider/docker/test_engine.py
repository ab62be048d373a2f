"""Images, networks and volumes under the real engine, by the real plugin, on a real daemon: one stack a story."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from anytier.render.context import context_hash

from .ground import Ground

pytestmark = [pytest.mark.docker, pytest.mark.engine]

ROOT = Path(__file__).parents[3]
PLUGIN = f"""#!/bin/sh
exec {sys.executable} -P -c 'import sys; sys.path[:0] = ["{ROOT}/components"]
from anytier.provider.__main__ import main
main()' "$@"
"""
PROGRAM = """
    import json, os, signal, pulumi

    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    class Thing(pulumi.CustomResource):
        def __init__(self, kind, props, opts):
            super().__init__(f"anytier:docker:{kind}", kind.lower(), {"ref": None, **props}, opts)

    for kind, (props, id) in json.load(open("things.json")).items():
        made = Thing(kind, props, pulumi.ResourceOptions(import_=id))
        if kind == "Image":
            pulumi.export("ref", pulumi.get(made, "ref"))
"""


class Project:
    """One stack with at most one resource of each kind."""

    def __init__(self, folder: Path, env: dict[str, str], ns: str) -> None:
        self.folder, self.ns = folder, ns
        (folder / "bin").mkdir()
        (folder / "bin" / "pulumi-resource-anytier").write_text(PLUGIN)
        (folder / "bin" / "pulumi-resource-anytier").chmod(0o755)
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text(
            "name: test\nruntime: python\nplugins:\n  providers:\n    - {name: anytier, path: ./bin}\n"
        )
        (folder / "__main__.py").write_text(textwrap.dedent(PROGRAM))
        (folder / "context").mkdir()
        (folder / "context" / "Dockerfile").write_text("FROM scratch\nCOPY file /file\n")
        (folder / "context" / "file").write_text(ns)
        self.socket = folder / "docker.sock"
        self.socket.symlink_to("/var/run/docker.sock")
        self.env = {**env, "PULUMI_BACKEND_URL": f"file://{folder}/state"}
        self.select("one")

    def select(self, stack: str) -> None:
        self.env["PULUMI_STACK"] = stack
        self.run("stack", "init", stack)

    def things(self, imported: bool = False, **changes: dict[str, Any]) -> None:
        """What the program asks for; `imported`: by its id."""
        context = self.folder / "context"
        endpoint = {"host": f"unix://{self.socket}"}
        found: dict[str, dict[str, Any]] = {
            "Network": {"name": self.ns},
            "Volume": {"name": f"{self.ns}-data", "labels": {}, "retain": False},
            "Image": {
                "name": f"{self.ns}/app",
                "build": {"context": str(context), "dockerfile": "Dockerfile", "args": {}},
                "contextHash": context_hash(context, "Dockerfile", {}, None),
            },
        }
        data = {
            kind: ({"endpoint": endpoint, **props, **changes.get(kind, {})}, self._id(props) if imported else None)
            for kind, props in found.items()
        }
        (self.folder / "things.json").write_text(json.dumps(data))

    def _id(self, props: dict[str, Any]) -> str:
        return f"unix://{self.socket}|{props['name']}"

    def run(self, *args: str, fails: bool = False) -> str:
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive"],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        said = f"{done.stdout}\n{done.stderr}"
        assert (done.returncode != 0) == fails, f"pulumi {args}: exit {done.returncode}\n{said}"
        assert "Traceback" not in said
        return said

    def up(self, *args: str, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", *args, fails=fails)

    def state(self) -> dict[str, Any]:
        """Recorded things by kind."""
        found = json.loads(self.run("stack", "export"))["deployment"].get("resources", [])
        return {item["type"].rpartition(":")[2]: item for item in found if item["type"].startswith("anytier:docker:")}


@pytest.fixture
def project(tmp_path: Path, pulumi_env: dict[str, str], ground: Ground) -> Project:
    return Project(tmp_path, pulumi_env, ground.ns)


async def there(ground: Ground) -> list[bool]:
    """Whether the network, the volume and an image are on the daemon."""
    networks = await ground.there.get("networks", filters={"name": [f"^{ground.ns}$"]})
    volume = await ground.there.find(f"volumes/{ground.ns}-data")
    return [bool(networks), volume is not None, bool(await ground.images())]


async def test_life_of_the_three(project: Project, ground: Ground) -> None:
    project.things()
    shown = project.up()
    assert "step 2/" in shown  # the builder's steps, in the engine's display
    assert await there(ground) == [True, True, True]
    first = project.state()
    assert first["Image"]["outputs"]["ref"].startswith("sha256:")
    assert "unchanged" in project.up("--expect-no-changes")
    project.run("preview", "--refresh", "--expect-no-changes")

    # the sources elsewhere, and the same: nothing to do
    shutil.move(project.folder / "context", project.folder / "moved")
    shutil.copytree(project.folder / "moved", project.folder / "context", symlinks=True)
    project.things(Image={"build": {"context": str(project.folder / "moved"), "dockerfile": "Dockerfile", "args": {}}})
    assert "unchanged" in project.up("--expect-no-changes")

    (project.folder / "context" / "file").write_text("changed")
    project.things(Volume={"retain": True})
    project.up()
    second = project.state()
    assert second["Image"]["outputs"]["ref"] != first["Image"]["outputs"]["ref"]
    assert second["Volume"]["id"] == first["Volume"]["id"]
    project.things()
    project.up()

    # behind our back
    ground.docker("network", "rm", ground.ns)
    ground.docker("volume", "rm", f"{ground.ns}-data")
    ground.docker("rmi", second["Image"]["outputs"]["ref"])
    assert await there(ground) == [False, False, False]
    project.run("preview", "--refresh", "--expect-no-changes", fails=True)
    project.run("refresh", "--yes")
    assert project.state() == {}
    project.up()
    assert await there(ground) == [True, True, True]

    project.run("destroy", "--yes", "--skip-preview")
    assert await there(ground) == [False, False, False]
    assert project.state() == {}


async def test_import_by_id_into_an_empty_stack_shows_nothing(project: Project, ground: Ground) -> None:
    project.things()
    project.up()
    refs = project.state()["Image"]["outputs"]["ref"]
    project.select("two")
    project.things(imported=True)
    assert "3 imported" in project.up()
    assert project.state()["Image"]["outputs"]["ref"] == refs
    project.things()
    project.run("preview", "--refresh", "--expect-no-changes")
    project.run("destroy", "--yes", "--skip-preview")
    assert await there(ground) == [False, False, False]
    project.env["PULUMI_STACK"] = "one"
    project.run("destroy", "--yes", "--skip-preview")  # of what is already gone


async def test_a_daemon_that_is_away_changes_nothing(project: Project, ground: Ground) -> None:
    project.things()
    project.up()
    before = project.state()
    project.socket.unlink()
    for command in (("refresh", "--yes"), ("destroy", "--yes", "--skip-preview")):
        said = project.run(*command, fails=True)
        assert f"docker unix://{project.socket}: nothing listens there" in said
        assert "systemctl start docker" in said
        assert project.state() == before
    project.socket.symlink_to("/var/run/docker.sock")
    project.run("destroy", "--yes", "--skip-preview")
    assert await there(ground) == [False, False, False]


@pytest.mark.parametrize(
    ("kind", "props", "what"),
    [
        ("Network", {"name": "a/b"}, "name: 'a/b' cannot be a name on a Docker daemon"),
        ("Volume", {"name": "../../etc"}, "name: '../../etc' cannot be a name on a Docker daemon"),
        ("Image", {"build": None, "contextHash": None, "pull": "me:s3cret@registry.example/app"}, "holds credentials"),
        ("Image", {"build": None, "contextHash": None, "pull": "Python"}, "pull: 'Python' has upper-case letters"),
        ("Image", {}, "line 2: COPY --link needs BuildKit"),
    ],
)
def test_bad_input_is_told_at_preview_without_a_daemon(
    project: Project, kind: str, props: dict[str, Any], what: str
) -> None:
    project.socket.unlink()
    if not props:
        (project.folder / "context" / "Dockerfile").write_text("FROM scratch\nCOPY --link file /\n")
    project.things(**{kind: props})
    assert what in project.run("preview", fails=True)


async def test_a_build_that_fails_is_gone_on_with(project: Project, ground: Ground) -> None:
    dockerfile = project.folder / "context" / "Dockerfile"
    good = dockerfile.read_text()
    dockerfile.write_text(good + "RUN false\n")
    project.things()
    said = project.up(fails=True)
    assert "step 3/7 failed, `RUN false`" in said
    assert project.state()["Image"]["outputs"]["ref"] == ""  # what it left on the way is on record
    assert await there(ground) == [True, True, False]
    dockerfile.write_text(good)
    project.things()
    project.up()
    assert await there(ground) == [True, True, True]
    project.run("destroy", "--yes", "--skip-preview")
    assert await there(ground) == [False, False, False]
