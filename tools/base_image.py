#!/usr/bin/env python3
"""Makes sure that a base image of the example apps is on this machine's Docker daemon.

It pulls the image where a registry can be reached; where none can, it makes a stand-in with the same name from Debian
packages (mmdebstrap), labelled so that nobody mistakes it for the official one. Standard library only; no part of
anytier needs it.

    usage: tools/base_image.py [--image IMAGE] [--rebuild] [--stack STACK]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast
from urllib.parse import quote, urlencode

IMAGE = "python:3.11-slim"
ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = re.compile(r"anytier:app: (\./)?apps/")
BASE = re.compile(r"^ARG BASE_IMAGE=(\S+)$", re.MULTILINE)
SUITE = "bookworm"  # its python3 is 3.11, as the tag says
LABEL = "dev.anytier.stand-in"


class Recipe(NamedTuple):
    """What a stand-in is made of. Raise `number` with any change, so that an old cached tarball is not taken."""

    number: int
    variant: str  # of mmdebstrap's
    packages: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


RECIPES = {
    IMAGE: Recipe(
        1,
        "essential",
        ("python3", "ca-certificates"),
        # the official image has its interpreter in /usr/local/bin, under both names
        ('ln -s /usr/bin/python3 "$1/usr/local/bin/python3"', 'ln -s /usr/bin/python3 "$1/usr/local/bin/python"'),
        ("ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", 'CMD ["python3"]'),
    ),
    "debian:bookworm-slim": Recipe(1, "apt", changes=('CMD ["bash"]',)),
}


class Daemon(http.client.HTTPConnection):
    """HTTP over the daemon's unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def main() -> int:
    parser = argparse.ArgumentParser(description="have the base image of the example apps on the Docker daemon")
    parser.add_argument("--image", choices=RECIPES, help=f"its name (default: {IMAGE}, or what the stack's app needs)")
    parser.add_argument("--rebuild", action="store_true", help="make the stand-in anew, also when the image is there")
    parser.add_argument("--stack", help="do nothing unless this stack runs an example app on this machine's daemon")
    args = parser.parse_args()
    try:
        images = needed_by(args.stack) if args.stack else [args.image or IMAGE]
        for image in images:
            if not args.stack or not present(image):
                print(ensure(image, rebuild=args.rebuild))
    except (OSError, RuntimeError) as error:
        print(f"base image: {error}", file=sys.stderr)
        return 1
    return 0


def needed_by(stack: str) -> list[str]:
    """Of a stack whose file names the tier docker, an app of ours, and no other daemon than this machine's."""
    try:
        text = (ROOT / "stacks" / f"Pulumi.{stack}.yaml").read_text()
    except OSError:
        return []
    lines = [line.split("#")[0].replace('"', "").replace("'", "").strip() for line in text.splitlines()]
    local = os.environ.get("DOCKER_HOST", "unix://").startswith("unix://")
    elsewhere = any(line.startswith("anytier:docker") for line in lines)
    apps = [line.partition(": ")[2] for line in lines if EXAMPLE.match(line)]
    if "anytier:tier: docker" not in lines or not apps or not local or elsewhere:
        return []
    files = sorted((ROOT / apps[0]).parent.glob("*/Dockerfile"))
    named = {base for file in files for base in BASE.findall(file.read_text())}
    return sorted(named & RECIPES.keys()) or [IMAGE]


def ensure(image: str = IMAGE, *, rebuild: bool = False) -> str:
    """Have `image` on the daemon; the answer says how it came there."""
    if not rebuild and present(image):
        return f"{image}: already on this daemon"
    reason = "asked to rebuild" if rebuild else pull(image)
    if reason is None:
        return f"{image}: pulled"
    tarball = cached_tarball(image, rebuild=rebuild)
    import_tarball(tarball, image)
    return f"{image}: could not be pulled ({reason}); a stand-in was made from Debian packages ({LABEL}=true)"


def present(image: str) -> bool:
    status, _ = call("GET", f"/images/{quote(image)}/json", timeout=10)
    return status == 200


def pull(image: str) -> str | None:
    """None when it worked, else the daemon's reason."""
    name, _, tag = image.partition(":")
    query = urlencode({"fromImage": name, "tag": tag or "latest"})
    try:
        status, body = call("POST", f"/images/create?{query}", timeout=300)
    except TimeoutError:
        return "the registry did not answer"
    errors = [line["error"] for line in json_lines(body) if "error" in line]
    if status == 200 and not errors:
        return None
    return errors[0] if errors else str(next(iter(json_lines(body)), {}).get("message", f"HTTP {status}"))


def cached_tarball(image: str = IMAGE, *, rebuild: bool = False) -> Path:
    recipe = RECIPES[image]
    target = cache_dir() / f"base-{re.sub('[^a-z0-9]+', '-', image)}-{recipe.number}.tar"
    if rebuild or not target.exists():
        make_tarball(target, recipe)
    return target


def make_tarball(target: Path, recipe: Recipe) -> None:
    if shutil.which("mmdebstrap") is None:
        raise RuntimeError("no registry can be reached and mmdebstrap is not installed -> apt-get install mmdebstrap")
    target.parent.mkdir(parents=True, exist_ok=True)
    print(f"making a stand-in base image from Debian {SUITE} packages (about 20 s, once) ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch) / "base.tar"
        command = ["mmdebstrap", "--quiet", f"--variant={recipe.variant}"]
        command += [f"--include={','.join(recipe.packages)}"] if recipe.packages else []
        command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale", "info")]
        command += [f"--customize-hook={hook}" for hook in recipe.hooks]
        done = subprocess.run([*command, SUITE, str(made)], check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"mmdebstrap failed: {done.stderr.strip()[-500:]}")
        os.replace(made, target)


def import_tarball(tarball: Path, image: str) -> None:
    name, _, tag = image.partition(":")
    changes = (f"LABEL {LABEL}=true", *RECIPES[image].changes)
    query = urlencode(
        [("fromSrc", "-"), ("repo", name), ("tag", tag or "latest"), *(("changes", change) for change in changes)]
    )
    with tarball.open("rb") as body:
        status, answer = call("POST", f"/images/create?{query}", timeout=300, body=body)
    errors = [line["error"] for line in json_lines(answer) if "error" in line]
    if status != 200 or errors:
        raise RuntimeError(f"the daemon did not import the stand-in: {errors or answer[:300]!r}")


def cache_dir() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("ANYTIER_CACHE_DIR") or home / "anytier")


def docker_socket() -> str:
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        raise RuntimeError(f"DOCKER_HOST={host}: only a local unix socket is served here")
    return host.removeprefix("unix://")


def call(method: str, path: str, *, timeout: float, body: IO[bytes] | None = None) -> tuple[int, bytes]:
    connection = Daemon(docker_socket(), timeout)
    headers = {"Content-Type": "application/x-tar"} if body else {}
    if body:
        headers["Content-Length"] = str(os.fstat(body.fileno()).st_size)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise RuntimeError(f"no Docker daemon at {docker_socket()} ({error.strerror}) -> start it") from error
    finally:
        connection.close()


def json_lines(body: bytes) -> Iterator[dict[str, str]]:
    for line in body.decode(errors="replace").splitlines():
        try:
            yield cast("dict[str, str]", json.loads(line))
        except ValueError:
            continue


if __name__ == "__main__":
    sys.exit(main())
