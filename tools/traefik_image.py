#!/usr/bin/env python3
"""Puts Traefik into a copy of the tests' bundle (tools/kubernetes_bundle.py): an image of a program that is built from
the Go modules that tools/traefik pins. The bundle itself, and all that it is made of, stay as they are.

Program and copy lie in the cache, named by all that they are made from.

    usage: tools/traefik_image.py [--cached | --program FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "components")]

import kubernetes_bundle  # noqa: E402
from anytier.bundle import archive, manifest  # noqa: E402
from bootstrap import modules  # noqa: E402
from bootstrap.engine import alone  # noqa: E402
from bootstrap.paths import Paths  # noqa: E402
from bootstrap.say import SetupError, clock, run  # noqa: E402

MODULE = "traefik"  # in tools/
TRAEFIK = "github.com/traefik/traefik/v3"
LEGO = "github.com/go-acme/lego/v5"
NAMES = "providers/dns"  # in lego: the clients of all name services, which no test needs and not every proxy has
FILE, PLACE = "images/traefik.tar", "usr/local/bin/traefik"


def main() -> int:
    parser = argparse.ArgumentParser(description="put Traefik, built from pinned Go modules, into a copy of the bundle")
    parser.add_argument("--program", type=Path, help="take this program instead of building it")
    parser.add_argument("--cached", action="store_true", help="build nothing: 1 if the program is not there yet")
    args = parser.parse_args()
    if args.cached:
        return 0 if place(Paths.here()).is_file() else 1
    try:
        paths = Paths.here()
        print(added(paths, kubernetes_bundle.ensure(paths), args.program))
    except (SetupError, OSError) as error:
        print(f"traefik  {error}", file=sys.stderr)
        return 1
    return 0


def added(paths: Paths, bundle: Path, given: Path | None = None) -> Path:
    """The folder of a bundle that has all of this one and the image. SetupError says what is in the way."""
    program = given or ensure(paths)
    made_from = (bundle / manifest.FILE).read_bytes() + Path(__file__).read_bytes() + str(program).encode()
    target = paths.cache / f"{bundle.name}-traefik-{hashlib.sha256(made_from).hexdigest()[:12]}"
    with alone(target.parent):
        if (target / manifest.FILE).is_file():
            return target
        stage = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
        try:
            fill(stage / "whole", bundle, program)
            shutil.rmtree(target, ignore_errors=True)
            (stage / "whole").rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def fill(target: Path, bundle: Path, program: Path) -> None:
    """A copy of the bundle that shares its files, with the image and a manifest of its own."""
    shutil.copytree(bundle, target, copy_function=shared)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        layer = archive.layer(Path(scratch) / "layer", {PLACE: program})
        entry = {"Env": [kubernetes_bundle.PATH], "Entrypoint": [f"/{PLACE}"]}
        parts = archive.made([layer], entry, kubernetes_bundle.go_arch())
        archive.write(target / FILE, [reference()], parts)
    old = manifest.Bundle.read(bundle)
    files = {**old.files, FILE: manifest.checksum(target / FILE)}
    images = {**{file: list(names) for file, names in old.images.items()}, FILE: [reference()]}
    (target / manifest.FILE).unlink()  # it is the other's, too
    manifest.write(target, manifest.Manifest(kubernetes=old.version, arch=old.arch, files=files, images=images))


def shared(source: str, target: str) -> str:
    """The same file under another name; a copy where the two are on different disks."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def reference() -> str:
    return f"docker.io/library/traefik:v{version()}"


def version() -> str:
    """`3.7.13`, of the module's go.mod."""
    return pinned(TRAEFIK)


def pinned(module: str) -> str:
    text = (ROOT / "tools" / MODULE / "go.mod").read_text()
    found = re.search(rf"^\s*{re.escape(module)} v(\S+)", text, re.MULTILINE)
    assert found is not None  # a test holds it
    return found[1]


def place(paths: Paths) -> Path:
    """Where its built program lies, or will."""
    made = hashlib.sha256()
    for file in sorted(path for path in (ROOT / "tools" / MODULE).rglob("*") if path.is_file()):
        made.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return paths.cache / f"traefik-program-{version()}-{made.hexdigest()[:12]}" / "traefik"


def ensure(paths: Paths) -> Path:
    """The program, built now if the cache does not have it."""
    target = place(paths)
    with alone(target.parent.parent):
        if not target.is_file():
            build(paths, target)
    return target


def build(paths: Paths, target: Path) -> None:
    """Beside its module's go.mod there is another one for this, which leads to lego without the name services."""
    go = modules.toolchain(paths, [MODULE])
    module = ROOT / "tools" / MODULE
    target.parent.mkdir(parents=True, exist_ok=True)
    with (
        clock("traefik", f"building Traefik {version()} from pinned Go modules", "10 minutes on two cores"),
        tempfile.TemporaryDirectory(dir=target.parent) as scratch,
    ):
        argv = [go.program, "mod", "download", "-json", f"{LEGO}@v{pinned(LEGO)}"]
        lego = json.loads(run(argv, modules.DO, env=go.env, cwd=module))["Dir"]
        own = without_names(Path(lego), module, Path(scratch))
        stamp = f"-ldflags=-s -w -X {TRAEFIK}/pkg/version.Version={version()}"
        options = [f"-modfile={own}", "-mod=readonly", "-trimpath", "-buildvcs=false", stamp]
        done = Path(scratch) / "traefik"
        run(
            [go.program, "build", *options, "-o", str(done), f"{TRAEFIK}/cmd/traefik"],
            modules.DO,
            env=go.env,
            cwd=module,
        )
        done.rename(target)


def without_names(lego: Path, module: Path, scratch: Path) -> Path:
    """A go.mod like the module's own, with a copy of lego that has the module's `dns` in the place of its package."""
    copy = scratch / "lego"
    shutil.copytree(lego, copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)  # a module's folders are read-only, and so cannot be emptied
    for file in (copy / NAMES).glob("*.go"):
        file.unlink()
    shutil.copyfile(module / "dns" / "dns.go", copy / NAMES / "dns.go")
    (scratch / "go.mod").write_text(f"{(module / 'go.mod').read_text()}\nreplace {LEGO} => {copy}\n")
    shutil.copyfile(module / "go.sum", scratch / "go.sum")
    return scratch / "go.mod"


if __name__ == "__main__":
    sys.exit(main())
