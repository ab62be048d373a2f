"""A Pulumi project for tests whose clouds are stood in: its files, its plugins, the engine's commands."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.standins.installed import sdks
from tests.standins.world import FOLDER, World

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for a command, on a machine that does much else
PROVIDERS = ("aws", "gcp", "azure-native")
PLUGIN = """\
#!/bin/sh
exec {python} -P -c 'import sys; sys.path[:0] = ["{root}", "{root}/components"]
from anytier.provider.protocol import import_alone
import_alone()
import asyncio
from tests.standins.plugin import serve
asyncio.run(serve("{name}"))' "$@"
"""
# What kubectl and its like call for a token; it hands out what the control file says instead.
CREDENTIAL = """\
#!/bin/sh
exec {python} -P -c 'import sys; sys.path[:0] = ["{root}", "{root}/components"]
from tests.standins.credential import main
main()' "$@"
"""
COMMANDS = ("aws", "gke-gcloud-auth-plugin", "kubelogin", "az")


def plugins(folder: Path) -> Path:
    """A folder with the three plugins, for `plugins.providers[].path`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PROVIDERS:
        _script(folder / f"pulumi-resource-{name}", PLUGIN, name=name)
    return folder


def commands(folder: Path) -> Path:
    """A folder for PATH with the clouds' commands by which a cluster or a registry is logged in to."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS:
        _script(folder / name, CREDENTIAL)
    return folder


def provider_lines(folder: Path) -> str:
    """The section of Pulumi.yaml that has the engine find the plugins in a folder."""
    lines = "".join(f"    - {{name: {name}, path: {folder}}}\n" for name in PROVIDERS)
    return f"plugins:\n  providers:\n{lines}"


def _script(file: Path, text: str, **more: str) -> None:
    file.write_text(text.format(python=shlex.quote(sys.executable), root=ROOT, **more))
    file.chmod(0o755)


def _ended(process: subprocess.Popen[str]) -> str:
    """All that a command printed, at its end. One that does not come to it is killed, with what it started."""
    try:
        return process.communicate(timeout=PATIENCE)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise


@dataclass(frozen=True)
class Run:
    """How a command of the engine ended. `out` is all that it printed."""

    code: int
    out: str
    seconds: float


class Project:
    """One stack. `world` is the folder of its clouds."""

    def __init__(self, folder: Path, env: Mapping[str, str], config: Mapping[str, str], name: str = "test") -> None:
        self.folder = folder
        self.world = World(folder / "world")
        self.backend = folder / "backend"
        self.backend.mkdir()
        plugins(folder / "plugins")
        self.env = {
            **env,
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_STACK": name,
            FOLDER: str(self.world.folder),
            "PYTHONPATH": os.pathsep.join([*sdks(), *filter(None, [env.get("PYTHONPATH")])]),
        }
        for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
            self.env.pop(variable, None)
        (folder / "Pulumi.yaml").write_text(f"name: {name}\nruntime: python\n{provider_lines(Path('plugins'))}")
        self.config(config)
        self.program("")
        self.run("stack", "init", name)

    def config(self, values: Mapping[str, str]) -> None:
        lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in values.items())
        file = self.folder / "Pulumi.test.yaml"
        salt = (
            [line for line in file.read_text().splitlines() if line.startswith("encryptionsalt")]
            if file.exists()
            else []
        )
        file.write_text("\n".join([*salt, f"config:\n{lines}" if lines else ""]))

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(textwrap.dedent(text))

    def run(self, *args: str, check: bool = True) -> Run:
        process = self._start(*args)
        began = time.monotonic()
        out = _ended(process)
        done = Run(process.returncode, out, time.monotonic() - began)
        # The engine's word for a plugin that had not ended five seconds after it was told to.
        assert "exited prematurely" not in out, out
        if check and done.code:
            raise AssertionError(f"pulumi {' '.join(args)}: exit {done.code}\n{out}")
        return done

    def up(self, *args: str, check: bool = True) -> Run:
        return self.run("up", "--yes", "--skip-preview", *args, check=check)

    def destroy(self, *args: str, check: bool = True) -> Run:
        return self.run("destroy", "--yes", "--skip-preview", *args, check=check)

    def preview(self, *args: str) -> dict[str, dict[str, dict[str, Any]]]:
        """Its steps by the resource's name and what is done; the engine's own are left out."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for step in json.loads(self.run("preview", "--json", *args).out)["steps"]:
            if "pulumi:" not in step["urn"].split("::")[2]:
                found.setdefault(step["urn"].rpartition("::")[2], {})[step["op"]] = step
        return found

    def interrupted_up(self, seen: str) -> Run:
        """`up`, and Ctrl-C once it has begun with the resource of a name; the seconds count from there."""
        before = len(self.world.journal())
        process = self._start("up", "--yes", "--skip-preview")
        limit = time.monotonic() + PATIENCE
        while (
            process.poll() is None
            and seen not in [line["name"] for line in self.world.journal()[before:]]
            and time.monotonic() < limit
        ):
            time.sleep(0.05)
        time.sleep(0.3)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out = _ended(process)
        return Run(process.returncode, out, time.monotonic() - began)

    def state(self) -> dict[str, dict[str, Any]]:
        """Recorded resources by name, secrets as they lie in the file."""
        (file,) = self.backend.glob(f".pulumi/stacks/**/{self.env['PULUMI_STACK']}.json")
        resources = json.loads(file.read_text())["checkpoint"]["latest"].get("resources") or []
        found = [item for item in resources if not item["type"].startswith("pulumi:")]
        return {item["urn"].rpartition("::")[2]: item for item in found}

    def pending(self) -> list[Any]:
        """Operations of which the engine does not know how they ended."""
        (file,) = self.backend.glob(f".pulumi/stacks/**/{self.env['PULUMI_STACK']}.json")
        return list(json.loads(file.read_text())["checkpoint"]["latest"].get("pending_operations") or [])

    def recorded(self) -> str:
        """Everything in the backend's files, as text."""
        return "\n".join(file.read_text(errors="replace") for file in self.backend.rglob("*") if file.is_file())

    def _start(self, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["pulumi", *args, "--non-interactive"],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
