"""A forge, and a scratch repository with the pipeline's own files and a small project."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_plan import SPEC
from tests.pipeline.forge import Forge, serving
from tests.pipeline.runner import ROOT, Runner

# What the steps need of a clone, and what the action's cache goes by.
FILES = (".github/actions/preview", ".github/workflows/preview.yml", "docs/ci", "tools/preview.sh")
PINS = ("tools/bootstrap/pins.py", "requirements/docker.lock", "tools/pulumi/go.sum")


@dataclass(frozen=True)
class Scratch:
    """`folder` is a clone with branch main; a pull request is a branch of it, and its merge a ref."""

    folder: Path

    def git(self, *args: str) -> str:
        who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(["git", "-C", str(self.folder), *who, *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def write(self, name: str, text: str) -> None:
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "-q", "--allow-empty", "-m", "a change")
        return self.git("rev-parse", "HEAD")

    def pull(self) -> str:
        """What is checked out becomes the head of a pull request, which GitHub keeps under a ref; its commit."""
        head = self.commit()
        self.git("update-ref", "refs/pull/7/head", head)
        return head

    def merged(self) -> str:
        """The commit that merges the pull request into main."""
        head = self.git("rev-parse", "refs/pull/7/head")
        self.git("checkout", "-q", "--detach", "main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", head)
        self.git("update-ref", "refs/pull/7/merge", "HEAD")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def forge() -> Iterator[Forge]:
    with serving() as made:
        yield made


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    made = Scratch(tmp_path / "origin")
    made.folder.mkdir()
    made.git("init", "-q", "-b", "main")
    for name in (*FILES, *PINS):
        source, target = ROOT / name, made.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    made.write("Pulumi.yaml", "name: shop\nruntime: python\nstackConfigDir: stacks\n")
    made.write("__main__.py", "open('was-run', 'w')\n")
    made.write("app.yaml", SPEC)
    for name, port in (("one", 8001), ("two", 8002)):
        config = f"config: {{anytier:app: app.yaml, anytier:tier: docker, anytier:port: {port}}}\n"
        made.write(f"stacks/Pulumi.{name}.yaml", config)
    made.commit()
    # GitHub serves any commit of a repository and the refs of pull requests.
    made.git("config", "uploadpack.allowAnySHA1InWant", "true")
    return made


@pytest.fixture
def runner(tmp_path: Path, scratch: Scratch, forge: Forge) -> Runner:
    (tmp_path / "runner").mkdir()
    more: dict[str, Any] = {
        "ANYTIER": str(Path(sys.executable).with_name("anytier")),
        "PYTHONPATH": str(ROOT / "components"),
        "ANYTIER_RETRY_SECONDS": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if clouds := os.environ.get("ANYTIER_CLOUDS"):
        more["PYTHONPATH"] += os.pathsep + clouds
    return Runner(tmp_path / "runner", scratch.folder, forge, more)
