#!/usr/bin/env python3
"""Builds the API servers that tests hold objects against beside those of a bundle: of the minors that only the managed
tiers have. From the Go modules that tools/kube-apiserver-* pin, into the cache, named by all that each is made from.

    usage: tools/api_servers.py [MINOR...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "components")]

import kubernetes_bundle as bundle  # noqa: E402
from bootstrap import modules  # noqa: E402
from bootstrap.engine import alone  # noqa: E402
from bootstrap.paths import Paths  # noqa: E402
from bootstrap.say import SetupError, clock, run  # noqa: E402

NAME = "kube-apiserver"
PACKAGE = f"k8s.io/kubernetes/cmd/{NAME}"
MINORS = ("1.35", "1.36", "1.37")


def main() -> int:
    parser = argparse.ArgumentParser(description="build API servers from pinned Go modules")
    parser.add_argument("minors", nargs="*", metavar="MINOR", help=f"of {', '.join(MINORS)}; all if none is given")
    wanted = parser.parse_args().minors or MINORS
    try:
        for minor in wanted:
            print(ensure(Paths.here(), minor))
    except (SetupError, OSError) as error:
        print(f"servers  {error}", file=sys.stderr)
        return 1
    return 0


def ensure(paths: Paths, minor: str) -> Path:
    """The program, built now if the cache does not have it. SetupError says what is in the way."""
    if minor not in MINORS:
        raise SetupError(f"there is no module for {minor}", f"one of {', '.join(MINORS)}")
    target = place(paths, minor)
    with alone(target.parent):
        if not target.is_file():
            build(paths, target, minor)
    return target


def place(paths: Paths, minor: str) -> Path:
    """Where it lies, or will: in a folder that tells its version."""
    return paths.cache / f"{NAME}-{version(minor)}-{modules.digest(module(minor), ROOT)[:12]}" / NAME


def version(minor: str) -> str:
    """`1.35.4`, of the module's go.mod."""
    return modules.pinned(module(minor), "k8s.io/kubernetes")


def module(minor: str) -> Path:
    return ROOT / "tools" / f"{NAME}-{minor}"


def build(paths: Paths, target: Path, minor: str) -> None:
    go = modules.toolchain(paths, [module(minor).name])
    target.parent.mkdir(parents=True, exist_ok=True)
    said = version(minor)
    # Under another name until it is whole: what is there is taken for built.
    half = target.with_suffix(".half")
    options = [
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        f"-ldflags=-s -w {bundle.stamps(said)}",
        "-o",
        str(half),
    ]
    with clock("servers", f"building the API server {said} from pinned Go modules", "5 minutes on two cores"):
        run([go.program, "build", *options, PACKAGE], bundle.DO, env=go.env, cwd=module(minor))
    half.rename(target)


if __name__ == "__main__":
    sys.exit(main())
