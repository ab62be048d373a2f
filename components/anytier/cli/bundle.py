"""`anytier bundle`: all software of a Kubernetes cluster in one folder, for machines without the internet."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    what = "build: download everything, held against its published checksums; verify: hold every file against its own"
    parser.add_argument("action", choices=("build", "verify"), help=what)
    parser.add_argument("dir", nargs="?", metavar="DIR", help="with verify: a bundle's folder")
    parser.add_argument("-o", "--output", metavar="DIR", help="with build: the folder to fill")
    parser.add_argument("--kubernetes", metavar="VERSION", help="such as 1.34.2 (default: what anytier is tested with)")
    parser.add_argument("--arch", default="amd64", help="of the machines: amd64 (default) or arm64")
    parser.add_argument("--mirror", metavar="URL", default="", help="below it lie dl.k8s.io/... and github.com/...")
    parser.add_argument("--registry", metavar="HOST", default="", help="has each image below its own registry's name")


def run(args: argparse.Namespace) -> int:
    from anytier.errors import UsageError

    if args.action == "build":
        if args.dir or not args.output:
            raise UsageError("--output", "is where a bundle is built", "`anytier bundle build -o DIR`")
        return build(args)
    if args.output or not args.dir:
        raise UsageError("DIR", "is what is verified", "`anytier bundle verify DIR`")
    return verify(args)


def build(args: argparse.Namespace) -> int:
    from pathlib import Path

    from anytier.bundle import fetch, software

    version = (args.kubernetes or software.KUBERNETES).removeprefix("v")
    made = fetch.fill(
        Path(args.output).expanduser(), version, args.arch, puller(args.arch), Lines().say,
        mirror=args.mirror, registry=args.registry,
    )  # fmt: skip
    print(f"{made.path}: Kubernetes {made.version} for {made.arch}, {len(made.files)} files, {len(made.images)} images")
    return 0


def verify(args: argparse.Namespace) -> int:
    from anytier.bundle.manifest import Bundle

    made = Bundle.read(args.dir, args.dir)
    made.complete(args.dir)
    made.verify(Lines().say)
    print(f"{made.path}: Kubernetes {made.version} for {made.arch}; {len(made.files)} files are as they should be")
    return 0


def puller(arch: str) -> Callable[[str, str, Path, Callable[[str, int, int], None]], None]:
    """By the registry client of the plugin; blobs that are in its cache are not asked for again."""
    import asyncio

    from anytier.bundle.software import ARCHES
    from anytier.provider.oci.save import save

    def pull(asked: str, named: str, target: Path, say: Callable[[str, int, int], None]) -> None:
        asyncio.run(save(asked, named, ARCHES[arch], target, lambda done, total: say(named, done, total)))
        say(named, 1, 1)

    return pull


class Lines:
    """What is being worked on: one line a file, with a figure that moves where it is a terminal."""

    def __init__(self) -> None:
        import sys

        self.live = sys.stdout.isatty()
        self.told: dict[str, int] = {}

    def say(self, what: str, done: int, total: int) -> None:
        """Each tenth of it once."""
        step = 10 * done // total if total else done >> 23
        if self.told.get(what) == step:
            return
        self.told[what] = step
        size = (
            f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if total > 1 else f"{done / 1e6:.1f} MB" if total == 0 else ""
        )
        whole = bool(total) and done >= total
        if self.live:
            print(f"\r\033[K{'done' if whole else '...':<5} {what} {size}", end="\n" if whole else "", flush=True)
        elif whole:
            print(f"done  {what} {size}".rstrip(), flush=True)
