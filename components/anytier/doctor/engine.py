"""The Pulumi engine and the way it finds anytier's plugin. The clone's launcher is not run: it might set things up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, ok

HOST = "pulumi-language-python"
_SAID = {"path": "PATH", "release": "the official release", "modules": "pinned Go modules"}


def engine(subject: Subject) -> Iterator[Finding]:
    do = "make engine" if subject.clone else "install it: https://www.pulumi.com/docs/install/"
    program, source = _found()
    version = _version(program) if program else ""
    if program is None or not version:
        what = f"{program} does not run" if program else "there is no Pulumi engine"
        yield missing("engine", what, do)
        return
    wanted = metadata.version("pulumi")
    what = f"pulumi {version} from {source}: {program.parent}"
    if _numbers(version) < _numbers(wanted):
        yield missing("engine", f"{what} is older than the Python SDK, {wanted}", do)
    elif not (program.parent / HOST).exists() and shutil.which(HOST) is None:
        yield missing("engine", f"{what} has no {HOST}", do)
    else:
        yield ok("engine", what)


def _found() -> tuple[Path | None, str]:
    """The engine that set-up has chosen for this Python environment, else what is on PATH."""
    try:
        known = json.loads((Path(sys.prefix) / "anytier" / "engine.json").read_text(encoding="utf-8"))
        return Path(known["folder"]) / "pulumi", _SAID.get(known["source"], known["source"])
    except (OSError, ValueError, KeyError, TypeError):
        found = shutil.which("pulumi")
        return (Path(found), "PATH") if found else (None, "")


def _version(program: Path) -> str:
    env = {**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run([str(program), "version"], env=env, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def plugin(subject: Subject) -> Iterator[Finding]:
    """The folder that Pulumi.yaml names must hold the executable."""
    import yaml

    file = subject.project / "Pulumi.yaml"
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
        named = [item for item in loaded["plugins"]["providers"] if item["name"] == "anytier"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        named = []
    if not named:
        do = "under plugins.providers: {name: anytier, path: bin}, as `anytier init` writes it"
        yield missing("plugin", f"{file.name} does not name it", do)
        return
    program = subject.project / str(named[0].get("path", "")) / "pulumi-resource-anytier"
    if not program.is_file():
        yield missing(
            "plugin", f"there is no {program}", f"git checkout -- {os.path.relpath(program, subject.project)}"
        )
    elif not os.access(program, os.X_OK):
        yield missing("plugin", f"{program} is not executable", f"chmod +x {program}")
    else:
        yield ok("plugin", str(program))
