"""The engine's Kubernetes plugin, for stacks on clusters: official where it can be downloaded, else from Go modules.

It lies where the engine keeps its plugins, so that no run looks for it on the network: on PATH it would be found too,
but with a warning in every run.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from bootstrap import modules
from bootstrap.engine import Engine, alone
from bootstrap.paths import Paths
from bootstrap.pins import KUBERNETES_PLUGIN
from bootstrap.release import archive_arch, within
from bootstrap.say import SetupError, clock, line, run, short

NAME = "pulumi-resource-kubernetes"
MODULE = "github.com/pulumi/pulumi-kubernetes/provider/v4"
EMBEDDED = ("schema.json", "terraform-mapping.json")  # in the module, below cmd/
ARCHIVES = "https://get.pulumi.com/releases/plugins"
EXTRAS = ("kubernetes", "kubeadm", "eks", "gke", "aks")  # of tiers whose stacks need it


def ensure(paths: Paths, engine: Engine, extra: str, build: Callable[[Paths, Path], None] | None = None) -> None:
    """The plugin is there for stacks of this extra. Says nothing where it was there."""
    if extra not in EXTRAS or (home() / NAME).is_file():
        return
    try:
        if not downloaded(engine):
            place(made(paths, build or compiled), home())
    except SetupError:
        (paths.notes / f"ready-{extra}").unlink(missing_ok=True)  # the launcher comes again
        raise
    line("plugin", f"kubernetes {KUBERNETES_PLUGIN}: {short(home())}")


def home(root: Path | None = None) -> Path:
    """The folder in which the engine looks for it. `root` is the engine's home, if not the user's."""
    root = root or Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    return root / "plugins" / f"resource-kubernetes-v{KUBERNETES_PLUGIN}"


def downloaded(engine: Engine) -> bool:
    """The engine's own way. False where its server cannot be reached."""
    arch = archive_arch(platform.machine(), amd="amd64")
    name = f"{NAME}-v{KUBERNETES_PLUGIN}-{sys.platform}-{arch}.tar.gz"
    if arch is None or not within(f"{ARCHIVES}/{name}", method="HEAD", want=False):
        line("plugin", "Pulumi's Kubernetes plugin cannot be downloaded from here")
        return False
    program = str(Path(engine.folder) / "pulumi")
    with clock("plugin", f"downloading Pulumi's Kubernetes plugin {KUBERNETES_PLUGIN}", "10 to 60 s"):
        run([program, "plugin", "install", "resource", "kubernetes", KUBERNETES_PLUGIN], "run it again")
    return (home() / NAME).is_file()


def cached(paths: Paths) -> Path:
    return paths.tools / f"pulumi-kubernetes-{KUBERNETES_PLUGIN}"


def made(paths: Paths, build: Callable[[Paths, Path], None]) -> Path:
    """The folder in the cache that holds the plugin, built now if it is not there."""
    target = cached(paths)
    with alone(paths.tools):
        if (target / NAME).is_file():
            return target
        stage = paths.tools / f".making-{target.name}"
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir()
        try:
            build(paths, stage)
            shutil.rmtree(target, ignore_errors=True)
            stage.rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def compiled(paths: Paths, stage: Path) -> None:
    """From the module that tools/pulumi-kubernetes pins, with the files that its own build embeds."""
    source = paths.root / "tools" / "pulumi-kubernetes"
    go = modules.toolchain(paths, ("pulumi-kubernetes",))
    work = stage / "source"
    shutil.copytree(source, work)
    run([go.program, "mod", "download", MODULE], modules.DO, env=go.env, cwd=work)
    listing = [go.program, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", MODULE]
    found = Path(run(listing, modules.DO, env=go.env, cwd=work).strip())
    for name in EMBEDDED:
        shutil.copyfile(found / "cmd" / NAME / name, work / name)
    with clock("plugin", "building Pulumi's Kubernetes plugin from pinned Go modules", "5 to 9 minutes on two cores"):
        modules.compile_(go, work, ".", stage / NAME, "")
    shutil.rmtree(work)


def place(folder: Path, target: Path) -> None:
    """Into the engine's folder, whole or not at all. A link costs no space, where both are on one disk."""
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".anytier-{os.getpid()}")
    shutil.rmtree(stage, ignore_errors=True)
    stage.mkdir()
    try:
        try:
            os.link(folder / NAME, stage / NAME)
        except OSError:
            shutil.copy2(folder / NAME, stage / NAME)
        if target.exists():
            shutil.rmtree(target)
        stage.rename(target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
