"""Which Debian packages are installed: dpkg's answer on any machine, and its database on this one.

Reads only, needs no root, and nothing of a package's name reaches a shell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from anytier.packages import Package

STATUS = Path("/var/lib/dpkg/status")
_FORMAT = "${Package}\t${db:Status-Status}\t${Version}\n"
_HERE = re.compile(r"^Package: (?P<name>\S+)$.*?^Status: \S+ \S+ installed$.*?^Version: (?P<version>\S+)$", re.M | re.S)


def query(names: Iterable[str]) -> list[str]:
    """The command that says of these what is installed. It ends with 1 where one is not known."""
    return ["dpkg-query", "--show", f"--showformat={_FORMAT}", "--", *names]


def parse_query(text: str) -> dict[str, str]:
    """Its answer: name -> version. One that is half installed, or has but left its configuration, is not installed."""
    lines = (line.split("\t") for line in text.splitlines())
    return {line[0]: line[2] for line in lines if len(line) == 3 and line[1] == "installed"}


def parse_status(text: str, names: Sequence[str]) -> dict[str, str]:
    """The same of dpkg's database, whose records are parted by empty lines."""
    found: dict[str, str] = {}
    wanted = set(names)
    for record in text.split("\n\n"):
        head = record.lstrip("\n")
        name = head.partition("\n")[0].removeprefix("Package: ").strip()
        if name in wanted and (match := _HERE.match(head)):
            found[match["name"]] = match["version"]
    return found


def installed_here(names: Sequence[str]) -> dict[str, str] | None:
    """What of these is installed on this machine; None where dpkg does not keep its packages."""
    try:
        return parse_status(STATUS.read_text(encoding="utf-8", errors="replace"), names)
    except OSError:
        return None


def by_hand(lacking: Iterable[Package], root: bool) -> str:
    """The command by which a person installs them."""
    before = [] if root else ["sudo"]
    return shlex.join([*before, "apt-get", "install", "--no-install-recommends", *map(str, lacking)])


def list_of(asked: Mapping[Package, str], installed: Mapping[str, str]) -> str:
    """What is lacking, each with who asks for it, for a person."""
    told = []
    for item, path in asked.items():
        here = installed.get(item.name)
        told.append(f"{item}{f' ({here} is there)' if here else ''}{f', for {path}' if path else ''}")
    return "; ".join(told)
