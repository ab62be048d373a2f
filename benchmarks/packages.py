"""The Python programs that anytier is measured beside: each in an environment of its own, by a lock file with hashes.

They are kept in anytier's cache by the content of their lock, and are no part of what set-up installs.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bootstrap import packages
from bootstrap.engine import alone
from bootstrap.paths import Paths
from bootstrap.say import clock, run

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Package:
    """`name` is the folder below tools/ that holds requirements.lock, `main` the distribution whose version is told."""

    name: str
    main: str

    @property
    def lock(self) -> Path:
        return HERE / "tools" / self.name / "requirements.lock"

    @property
    def version(self) -> str:
        return packages.pins(self.lock.read_text())[self.main]


ANSIBLE = Package("ansible", "ansible-core")
PYINFRA = Package("pyinfra", "pyinfra")


def ensure(package: Package) -> Path:
    """The folder with its commands, installed now if the cache does not have it. SetupError if it cannot be."""
    paths = Paths.here()
    digest = hashlib.sha256(package.lock.read_bytes()).hexdigest()[:12]
    target = paths.tools / f"{package.name}-{package.version}-{digest}"
    with alone(paths.tools):
        if not (target / "whole").exists():
            shutil.rmtree(target, ignore_errors=True)
            with clock("bench", f"installing {package.main} {package.version} for itself alone", "30 s"):
                run([sys.executable, "-m", "venv", str(target)], "apt-get install python3-venv, then again")
                run([*packages.pip(target / "bin" / "python"), "-r", str(package.lock)], packages.INDEX)
            (target / "whole").touch()
    return target / "bin"
