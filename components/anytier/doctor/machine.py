"""This machine: Python, what is installed in it, and room on the disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata, util
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, ok

OLDEST = (3, 11)
ENOUGH = 2**30  # bytes
# distribution -> the module that it brings
BASE = {"pulumi": "pulumi", "pydantic": "pydantic", "PyYAML": "yaml", "shtab": "shtab"}


def python(subject: Subject) -> Iterator[Finding]:
    what = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info >= OLDEST:
        yield ok("python", what)
    else:
        yield missing("python", f"{what} is too old", "install Python 3.11 or newer")


def packages(subject: Subject) -> Iterator[Finding]:
    yield installed(BASE, install(subject, ""))


def installed(wanted: dict[str, str], do: str) -> Finding:
    gone = [name for name, module in wanted.items() if util.find_spec(module) is None]
    if gone:
        return missing("packages", f"not installed: {', '.join(gone)}", do)
    return ok("packages", ", ".join(f"{name} {metadata.version(name)}" for name in wanted))


def install(subject: Subject, extra: str) -> str:
    """The command that installs what a tier needs."""
    if subject.clone:
        return f"python3 tools/setup.py --stack {subject.stack}" if subject.stack else "python3 tools/setup.py"
    return f"pip install 'anytier[{extra}]'" if extra else "pip install anytier"


def disk(subject: Subject) -> Iterator[Finding]:
    yield from room([subject.project])


def room(folders: Iterable[Path]) -> Iterator[Finding]:
    for folder in folders:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        what = f"{free / 2**30:.1f} GiB free at {there}"
        yield (
            ok("disk", what)
            if free >= ENOUGH
            else missing("disk", what, f"free some space: `du -xh {there} | sort -h`")
        )
