#!/usr/bin/env python3
"""Puts addons into a copy of the tests' bundle (tools/kubernetes_bundle.py): images of programs that are built from the
Go modules that tools/<addon> pins. The bundle itself, and all that it is made of, stay as they are.

Programs and copies lie in the cache, named by all that they are made from. It prints the folder of the copy last.

    usage: tools/addon_images.py [--cached] ADDON...
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "components")]

import kubernetes_bundle  # noqa: E402
from anytier.bundle import archive, manifest  # noqa: E402
from bootstrap import modules  # noqa: E402
from bootstrap.engine import alone  # noqa: E402
from bootstrap.paths import Paths  # noqa: E402
from bootstrap.say import SetupError, clock, run  # noqa: E402

KUBE_ROUTER = "github.com/cloudnativelabs/kube-router/v2"
METRICS = "sigs.k8s.io/metrics-server"
TRAEFIK = "github.com/traefik/traefik/v3"
LEGO = "github.com/go-acme/lego/v5"
NAMES = "providers/dns"  # in lego: the clients of all name services, which no test needs and not every proxy has

# (Go, the addon's folder in tools, a folder to write to) -> a go.mod to build with in the place of the folder's own.
Prepare = Callable[[modules.Go, Path, Path], Path]


class Addon(NamedTuple):
    """An image with one program, which lies at `place` there.

    source    Go module whose pin is the version, and so the image's tag
    package   of the program; with the module's path
    image     reference, less its tag
    stamp     variable that tells the program its version, and what is written there before it
    usual     how long a build takes
    packages  of Debian, unpacked below the program
    links     symbolic links beside it -> where they lead
    """

    source: str
    package: str
    image: str
    place: str
    stamp: str
    usual: str
    packages: tuple[str, ...] = ()
    links: Mapping[str, str] = {}
    prepare: Prepare | None = None


def main() -> int:
    parser = argparse.ArgumentParser(description="put addons, built from pinned Go modules, into a copy of the bundle")
    parser.add_argument("names", nargs="+", choices=ADDONS, metavar="ADDON", help=", ".join(ADDONS))
    parser.add_argument("--cached", action="store_true", help="build nothing: 1 if a program is not there yet")
    args = parser.parse_args()
    paths = Paths.here()
    if args.cached:
        return 0 if all(place(paths, name).is_file() for name in args.names) else 1
    try:
        print(added(paths, kubernetes_bundle.ensure(paths), args.names))
    except (SetupError, OSError) as error:
        print(f"addons   {error}", file=sys.stderr)
        return 1
    return 0


def added(paths: Paths, bundle: Path, names: Iterable[str], given: Mapping[str, Path] | None = None) -> Path:
    """The folder of a bundle that has all of this one and these addons' images, in whichever order they are named.

    `given`: programs that are not to be built. SetupError says what is in the way.
    """
    have = given or {}
    programs = {name: have.get(name) or ensure(paths, name) for name in sorted({*names})}
    target = folder(paths, bundle, programs)
    with alone(target.parent):
        if (target / manifest.FILE).is_file():
            return target
        stage = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
        try:
            fill(stage / "whole", bundle, programs)
            shutil.rmtree(target, ignore_errors=True)
            (stage / "whole").rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def folder(paths: Paths, bundle: Path, programs: Mapping[str, Path]) -> Path:
    """Where such a copy lies, or will."""
    made_from = hashlib.sha256((bundle / manifest.FILE).read_bytes() + Path(__file__).read_bytes())
    made_from.update("\n".join(str(program) for program in programs.values()).encode())
    return paths.cache / "-".join((bundle.name, *programs, made_from.hexdigest()[:12]))


def fill(target: Path, bundle: Path, programs: Mapping[str, Path]) -> None:
    """A copy of the bundle that shares its files, with the images and a manifest of its own."""
    shutil.copytree(bundle, target, copy_function=shared)
    old = manifest.Bundle.read(bundle)
    files, images = dict(old.files), {file: list(references) for file, references in old.images.items()}
    for name, program in programs.items():
        file = f"images/{name}.tar"
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            archive.write(target / file, [reference(name)], parts(ADDONS[name], program, Path(scratch)))
        files[file], images[file] = manifest.checksum(target / file), [reference(name)]
    (target / manifest.FILE).unlink()  # it is the other's, too
    manifest.write(target, manifest.Manifest(kubernetes=old.version, arch=old.arch, files=files, images=images))


def parts(addon: Addon, program: Path, scratch: Path) -> archive.Parts:
    own = archive.layer(scratch / "layer", {addon.place: program}, addon.links)
    base = [kubernetes_bundle.debian(scratch, addon.packages)] if addon.packages else []
    entry = {"Env": [kubernetes_bundle.PATH], "Entrypoint": [f"/{addon.place}"]}
    return archive.made([*base, own], entry, kubernetes_bundle.go_arch())


def shared(source: str, target: str) -> str:
    """The same file under another name; a copy where the two are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def reference(name: str) -> str:
    return f"{ADDONS[name].image}:v{version(name)}"


def version(name: str) -> str:
    """`3.7.13`, of the addon's go.mod."""
    return modules.pinned(module(name), ADDONS[name].source)


def module(name: str) -> Path:
    return ROOT / "tools" / name


def place(paths: Paths, name: str) -> Path:
    """Where its built program lies, or will."""
    return paths.cache / f"{name}-program-{version(name)}-{modules.digest(module(name), ROOT)[:12]}" / name


def ensure(paths: Paths, name: str) -> Path:
    """The program, built now if the cache does not have it. SetupError says what is in the way."""
    target = place(paths, name)
    with alone(target.parent):  # not of all the cache: who wants none of this does not wait for it
        if not target.is_file():
            build(paths, name, target)
    return target


def build(paths: Paths, name: str, target: Path) -> None:
    addon, go, own = ADDONS[name], modules.toolchain(paths, [name]), module(name)
    stamp = f"-ldflags=-s -w -X {addon.stamp}{version(name)}"
    with (
        clock("addons", f"building {name} {version(name)} from pinned Go modules", addon.usual),
        tempfile.TemporaryDirectory(dir=target.parent) as scratch,
    ):
        other = [f"-modfile={addon.prepare(go, own, Path(scratch))}"] if addon.prepare else []
        options = [*other, "-mod=readonly", "-trimpath", "-buildvcs=false", stamp]
        done = Path(scratch) / name
        run([go.program, "build", *options, "-o", str(done), addon.package], modules.DO, env=go.env, cwd=own)
        done.rename(target)


# one addon only


def without_names(go: modules.Go, own: Path, scratch: Path) -> Path:
    """Traefik's go.mod, which leads to lego without the clients of name services."""
    argv = [go.program, "mod", "download", "-json", f"{LEGO}@v{modules.pinned(own, LEGO)}"]
    lego = json.loads(run(argv, modules.DO, env=go.env, cwd=own))["Dir"]
    return replaced(Path(lego), own, scratch)


def replaced(lego: Path, own: Path, scratch: Path) -> Path:
    """A go.mod like the module's own, with a copy of lego that has the module's `dns` in the place of its package."""
    copy = scratch / "lego"
    shutil.copytree(lego, copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # a module's folders are read-only, and so cannot be emptied
    for file in (copy / NAMES).glob("*.go"):
        file.unlink()
    shutil.copyfile(own / "dns" / "dns.go", copy / NAMES / "dns.go")
    (scratch / "go.mod").write_text(f"{(own / 'go.mod').read_text()}\nreplace {LEGO} => {copy}\n")
    shutil.copyfile(own / "go.sum", scratch / "go.sum")
    return scratch / "go.mod"


# Name, which is that of a folder in tools, too -> what is made there.
ADDONS = {
    "kube-router": Addon(
        source=KUBE_ROUTER,
        package=f"{KUBE_ROUTER}/cmd/kube-router",
        image="docker.io/cloudnativelabs/kube-router",
        place="usr/local/bin/kube-router",
        stamp=f"{KUBE_ROUTER}/pkg/version.Version=v",
        usual="5 minutes on two cores",
        packages=("iptables", "ipset", "kmod"),
        links=kubernetes_bundle.TABLE_LINKS | kubernetes_bundle.KMOD,
    ),
    "traefik": Addon(
        source=TRAEFIK,
        package=f"{TRAEFIK}/cmd/traefik",
        image="docker.io/library/traefik",
        place="usr/local/bin/traefik",
        stamp=f"{TRAEFIK}/pkg/version.Version=",
        usual="10 minutes on two cores",
        prepare=without_names,
    ),
    "metrics-server": Addon(
        source=METRICS,
        package=f"{METRICS}/cmd/metrics-server",
        image="registry.k8s.io/metrics-server/metrics-server",
        place="metrics-server",
        stamp="k8s.io/client-go/pkg/version.gitVersion=v",  # it tells this one of its own
        usual="3 minutes on two cores",
    ),
}


if __name__ == "__main__":
    sys.exit(main())
