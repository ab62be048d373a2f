#!/usr/bin/env python3
"""Gets the SDKs of Amazon's, Google's and Microsoft's clouds into a folder of the cache, for the tests of their tiers.

They are half a gigabyte that no other test needs, and in an environment they make the engine look for their plugins in
every run. So they are in none: who wants them has the folder on its path.

    usage: tools/clouds.py [--cached]      prints the folder; with --cached only one that is there, or ends with 1
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT / "tools")]

from bootstrap.engine import alone  # noqa: E402
from bootstrap.paths import Paths  # noqa: E402
from bootstrap.say import SetupError, clock, run  # noqa: E402

SDKS = {"eks": "pulumi-aws", "gke": "pulumi-gcp", "aks": "pulumi-azure-native"}
DO = "is a Python package index reachable? `pip config list` says which one is used"


def main() -> int:
    if "--cached" in sys.argv[1:]:
        found = place(Paths.here())
        if found.is_dir():
            print(found)
        return 0 if found.is_dir() else 1
    try:
        there = place(Paths.here()).is_dir()
        with contextlib.redirect_stdout(sys.stderr):  # what is said meanwhile is no part of the answer
            made = ensure(Paths.here())
            if not there:
                compile_used(made)
        print(made)
    except (SetupError, OSError) as error:
        print(f"clouds   {error}", file=sys.stderr)
        return 1
    return 0


def ensure(paths: Paths) -> Path:
    """The folder, filled now if the cache does not have it. SetupError if that cannot be."""
    target = place(paths)
    with alone(paths.cache):
        if target.is_dir():
            return target
        stage = Path(tempfile.mkdtemp(prefix=".making-", dir=paths.cache))
        try:
            (stage / "pins.txt").write_text(pins())
            # What they need is in the environment already; compiled is what is used.
            options = ["--quiet", "--no-deps", "--no-compile", "--require-hashes", "--target", str(stage / "made")]
            with clock("clouds", "getting the SDKs of three clouds", "1 minute"):
                run([sys.executable, "-m", "pip", "install", *options, "-r", str(stage / "pins.txt")], DO)
            (stage / "made").rename(target)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
    return target


def compile_used(sdks: Path) -> None:
    """Bytecode of what a plan of each tier imports, a tenth of it all. Where none is written (PYTHONDONTWRITEBYTECODE,
    as in many container images), every run would else compile it anew. It is only a cache: without it all works."""
    path = os.pathsep.join([str(ROOT / "components"), str(sdks)])
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with clock("clouds", "compiling what is used of them", "20 seconds"):
        for tier in SDKS:
            command = [sys.executable, "-m", "anytier", "plan", "--stack", tier]
            subprocess.run(command, cwd=ROOT, env={**env, "PYTHONPATH": path}, capture_output=True, check=False)


def place(paths: Paths) -> Path:
    """Named by all that is in it."""
    return paths.cache / f"clouds-{hashlib.sha256(pins().encode()).hexdigest()[:12]}"


def pins() -> str:
    return "".join(pin(extra, name) for extra, name in SDKS.items())


def pin(extra: str, name: str) -> str:
    """Its lines of requirements/<extra>.lock: version and hashes."""
    text = (ROOT / "requirements" / f"{extra}.lock").read_text()
    found = re.search(rf"^{re.escape(name)}==[^\\\n]*(?:\\\n[^\\\n]*)*\n", text, re.MULTILINE)
    assert found is not None  # a test holds it
    return found[0]


if __name__ == "__main__":
    sys.exit(main())
