"""A small Pulumi project for tests of the plugin under the real engine: one stack, its things given as data."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from tests.provider.inmemory import Place

ROOT = Path(__file__).parents[2]
PROGRAM = """
    import json, os, pulumi, signal

    # As anytier's own program does: a failed run interrupts the program, and Python's traceback is no news.
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))

    class Thing(pulumi.CustomResource):
        def __init__(self, name, props, opts):
            outputs = dict.fromkeys(["url", "generation", "banner"])
            super().__init__("anytier:test:Thing", name, {**outputs, **props}, opts)

    class Machine(pulumi.CustomResource):
        url = "of none"

        def __init__(self, name, props, opts):
            super().__init__("anytier:libvirt:Domain", name, props, opts)

    class Group(pulumi.ComponentResource):
        def __init__(self):
            super().__init__("test:index:Group", "group", {})

    def value(given):
        if isinstance(given, dict):
            if "$secret" in given:
                return pulumi.Output.secret(given["$secret"])
            if "$of" in given:
                return pulumi.get(made[given["$of"]], given["get"])
            return {key: value(item) for key, item in given.items()}
        return given

    made, group = {}, Group()
    for name, thing in json.load(open("things.json")).items():
        opts = thing.pop("opts", {})
        if "custom_timeouts" in opts:
            opts["custom_timeouts"] = pulumi.CustomTimeouts(**opts["custom_timeouts"])
        opts["depends_on"] = [made[other] for other in opts.get("depends_on", [])]
        opts = pulumi.ResourceOptions(parent=group, **opts)
        kind = Machine if thing.pop("machine", False) else Thing
        made[name] = kind(name, {key: value(item) for key, item in thing.items()}, opts)
        pulumi.export(name, made[name].url)
"""
PLUGIN = """\
#!/bin/sh
exec {python} -P -c 'import sys; sys.path[:0] = ["{root}", "{root}/components"]
from anytier.provider.protocol import import_alone
import_alone()
from anytier.provider.serve import main
from tests.provider.inmemory import REGISTRY
main(sys.argv[1:], REGISTRY, "1.2.3")' "$@"
"""


def plugin_script(folder: Path) -> Path:
    """An executable that serves the test's registry."""
    folder.mkdir(exist_ok=True)
    file = folder / "pulumi-resource-anytier"
    file.write_text(PLUGIN.format(python=shlex.quote(sys.executable), root=ROOT))
    file.chmod(0o755)
    return file


class Stack:
    """Files, one stack, and the engine's commands."""

    def __init__(self, folder: Path, env: dict[str, str], name: str = "test") -> None:
        self.folder = folder
        self.place = Place(folder / "place")
        self.backend = folder / "backend"
        self.backend.mkdir()
        self.env = {
            **env,
            "PULUMI_BACKEND_URL": f"file://{self.backend}",
            "PULUMI_STACK": name,
            "ANYTIER_TEST_PLACE": str(self.place.root),
        }
        plugin_script(folder / "bin")
        (folder / "Pulumi.yaml").write_text(
            f"name: {name}\nruntime: python\nplugins:\n  providers:\n    - {{name: anytier, path: ./bin}}\n"
        )
        (folder / "__main__.py").write_text(textwrap.dedent(PROGRAM))
        self.things({})
        self.run("stack", "init", name)

    def things(self, things: dict[str, Any]) -> None:
        (self.folder / "things.json").write_text(json.dumps(things))

    def run(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["pulumi", *args, "--non-interactive"],
            cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"pulumi {' '.join(args)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def up(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--yes", "--skip-preview", *args, check=check)

    def preview(self, *args: str) -> list[dict[str, Any]]:
        """The steps that concern things."""
        steps = json.loads(self.run("preview", "--json", *args).stdout)["steps"]
        return [step for step in steps if step["urn"].split("::")[2].endswith("anytier:test:Thing")]

    def state(self) -> dict[str, dict[str, Any]]:
        """Recorded things by name, secrets as they lie in the file."""
        resources = json.loads(self.run("stack", "export").stdout)["deployment"].get("resources", [])
        return {item["urn"].rpartition("::")[2]: item for item in resources if item["type"] == "anytier:test:Thing"}

    def pending(self) -> list[Any]:
        return list(json.loads(self.run("stack", "export").stdout)["deployment"].get("pending_operations") or [])

    def interrupted_up(self, wait_for: str) -> tuple[subprocess.CompletedProcess[str], float]:
        """`up`, and Ctrl-C as soon as the place's journal holds a line; also the seconds it took to come back."""
        process = subprocess.Popen(
            ["pulumi", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=self.folder, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        journal, limit = self.place.root / "journal", time.monotonic() + 20
        while not (journal.exists() and wait_for in journal.read_text()) and time.monotonic() < limit:
            time.sleep(0.05)
        time.sleep(0.2)
        began = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=30)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err), time.monotonic() - began
