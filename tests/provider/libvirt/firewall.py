"""The chains that libvirtd makes for its networks and leaves behind when it ends: known before, and removed after."""

from __future__ import annotations

import shutil
import subprocess
from itertools import product

TABLES = ("filter", "nat", "mangle")
PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
Chain = tuple[str, str, str]  # (program, table, chain)


def chains() -> set[Chain]:
    """libvirt's own, in the tables of both protocols."""
    found = set()
    for program, table in product(("iptables", "ip6tables"), TABLES):
        names = [line.split()[1] for line in _said(program, table, "-S") if line.startswith("-N LIBVIRT_")]
        found |= {(program, table, name) for name in names}
    return found


def remove(gone: set[Chain]) -> None:
    """These chains, and the rules that lead to them."""
    for program, table in {(program, table) for program, table, _ in gone}:
        names = {name for one, other, name in gone if (one, other) == (program, table)}
        for line in _said(program, table, "-S"):
            if line.startswith("-A ") and line.split()[-1] in names:
                _said(program, table, "-D", *line.split()[1:])
        for verb in ("-F", "-X"):
            for name in sorted(names):
                _said(program, table, verb, name)


def _said(program: str, table: str, *argv: str) -> list[str]:
    path = shutil.which(program, path=PATH)
    if path is None:
        return []
    done = subprocess.run([path, "-w", "-t", table, *argv], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()
