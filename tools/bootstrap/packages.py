"""The virtual environment and what is in it: exactly a lock file's pins, by hash; only what is missing is installed."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

from bootstrap.paths import Paths
from bootstrap.say import SetupError, clock, line, run

BUILT = "libvirt-python"  # comes as source only
INDEX = "is the package index reachable? pip's own settings (pip config list) say which one is used"
HINTS = {"libvirt": "apt-get install libvirt-dev pkg-config gcc python3-dev, then again"}
PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def pins(lock: str) -> dict[str, str]:
    """Package -> version of a lock file's text."""
    return {name.lower(): version for name, version in PIN.findall(lock)}


def ensure(paths: Paths, extra: str) -> None:
    """Everything of requirements/<extra>.lock is installed."""
    lock = paths.lock(extra)
    if not lock.is_file():
        known = ", ".join(sorted(file.stem for file in lock.parent.glob("*.lock") if file.stem != "go"))
        raise SetupError(f"there is nothing to install for {extra!r} yet", f"one of {known}")
    make(paths)
    wanted, have = pins(lock.read_text()), installed(paths)
    if any(have.get(name) != version for name, version in wanted.items()):
        install(paths, lock, extra, len(wanted))
        note(paths).write_text(json.dumps({**have, **wanted}))
    # The launcher (tools/launch.sh) looks at this file's age.
    (paths.notes / f"ready-{extra}").touch()


def make(paths: Paths) -> None:
    """.venv with this Python; made anew if it is of another version or its Python is gone."""
    wanted = f"version = {platform.python_version()}\n"
    config = paths.venv / "pyvenv.cfg"
    if paths.python.exists() and config.is_file() and wanted in config.read_text() and paths.notes.is_dir():
        return
    if importlib.util.find_spec("ensurepip") is None:
        raise SetupError("this Python cannot make virtual environments", "apt-get install python3-venv, then again")
    with clock("python", f"making .venv with Python {platform.python_version()}", "5 s"):
        run([sys.executable, "-m", "venv", "--clear", str(paths.venv)], "apt-get install python3-venv, then again")
    paths.notes.mkdir()


def install(paths: Paths, lock: Path, extra: str, count: int) -> None:
    with clock("python", f"installing {count} packages for {extra}", "10 to 60 s"):
        run(
            [*pip(paths.python), "-r", str(lock)],
            HINTS.get(extra, INDEX),
        )


def pip(python: Path) -> list[str]:
    """Installs from a lock file. It holds every dependency and each file's hash: nothing is resolved, nothing built,
    save what has to fit a C library of the machine."""
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--only-binary=:all:"]
    return [str(python), "-m", "pip", "install", *options, f"--no-binary={BUILT}"]


def note(paths: Paths) -> Path:
    return paths.notes / "packages.json"


def installed(paths: Paths) -> dict[str, str]:
    """What set-up has installed. Not asked of pip: that alone would take longer than all the rest."""
    try:
        found: dict[str, str] = json.loads(note(paths).read_text())
    except (OSError, ValueError):
        return {}
    return found


def expose(paths: Paths) -> None:
    """`anytier` and its plugin run from the clone itself: a path file and two scripts, so that nothing is built."""
    write(paths.site / "anytier.pth", f"{paths.root / 'components'}\n")
    for name, module in (("anytier", "anytier.cli.__main__"), ("pulumi-resource-anytier", "anytier.provider.__main__")):
        text = f"{starts_with(paths.python)}\nimport sys\nfrom {module} import main\nsys.exit(main())\n"
        write(paths.venv / "bin" / name, text, 0o755)


def compile_all(paths: Paths) -> None:
    """Python's own cache of the clone's modules. Where a caller forbids Python to write it (PYTHONDONTWRITEBYTECODE, as
    many container images do), every run would else compile them anew. It is only a cache: without it all works."""
    command = [str(paths.python), "-m", "compileall", "-q", str(paths.root / "components")]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def starts_with(python: Path) -> str:
    """The first lines of a script for this Python. A kernel takes no blank and no long path there, a shell does."""
    if " " not in str(python) and len(str(python)) < 120:
        return f"#!{python}"
    return f"#!/bin/sh\n'''exec' {shlex.quote(str(python))} \"$0\" \"$@\"\n' '''"


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write only what differs, so that a second run touches nothing."""
    if path.is_file() and path.read_text() == text:
        return
    path.write_text(text)
    path.chmod(mode)


def extras_of(paths: Paths, stack: str) -> list[str]:
    """What a stack needs: that of its tier and, where it has machines made for it, what makes them."""
    tier = tier_of(paths, stack)
    told = re.sub(r"(^|\s)#.*", "", (paths.stacks / f"Pulumi.{stack}.yaml").read_text(), flags=re.MULTILINE)
    makes = re.search(r"(^|[\s{,])[\"']?libvirt[\"']?:(?=[\s{]|$)", told)
    return [tier, *(["libvirt"] if makes and tier != "libvirt" else [])]


def tier_of(paths: Paths, stack: str) -> str:
    """The tier that a stack's file names."""
    file = paths.stacks / f"Pulumi.{stack}.yaml"
    if not file.is_file():
        known = ", ".join(sorted(found.name.split(".")[1] for found in paths.stacks.glob("Pulumi.*.yaml")))
        raise SetupError(f"there is no stack {stack!r}: no file stacks/{file.name}", f"one of {known or 'none yet'}")
    found = re.search(r"^ +[\"']?anytier:tier[\"']?: *[\"']?([a-z]+)", file.read_text(), re.MULTILINE)
    if found is None:
        raise SetupError(f"stacks/{file.name} names no tier", "add under config:  anytier:tier: local")
    if not paths.lock(found[1]).is_file():
        line("python", f"tier {found[1]} needs nothing that could be installed here")
        return "local"
    return found[1]
