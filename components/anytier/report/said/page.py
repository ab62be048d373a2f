"""docs/errors.md: every message of `sayings`, by the part of anytier that says it. Pure but for `collected` and `main`.

`python -m anytier.report.said.page docs/errors.md` writes it anew; a test holds it fresh.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anytier
from anytier.report.said.sayings import HOLE, Saying, read, telling

PACKAGE = Path(anytier.__file__).parent


@dataclass(frozen=True)
class Area:
    """`about` is the heading of docs/troubleshooting.md, as a link's fragment, that says more."""

    title: str
    parts: tuple[str, ...]
    about: str


# A message is in the first area that one of its parts begins.
AREAS: tuple[Area, ...] = (
    Area("Set-up", ("tools/",), "setting-up"),
    Area("The app spec", ("spec/", "packages.py", "render/context.py", "render/traffic.py"), "the-spec"),
    Area("A stack's config", ("config.py", "tiers/", "hypervisors/", "policy/", "program.py"), "the-stack"),
    Area("What is rendered", ("render/", "runtimes/"), "what-the-tier-cannot-do"),
    Area("Rollouts", ("rollout/", "provider/kubernetes/reasons.py", "provider/kubernetes/rollout.py"), "rollouts"),
    Area("Images", ("provider/oci/", "provider/docker/push.py", "provider/docker/pull.py"), "images"),
    Area("Docker", ("provider/docker/",), "docker"),
    Area("Machines", ("provider/host/", "provider/ssh.py"), "machines"),
    Area("Virtual machines", ("provider/libvirt/",), "virtual-machines"),
    Area("A cluster of one's own", ("provider/kubeadm/", "bundle/"), "a-cluster-of-ones-own"),
    Area("Kubernetes", ("provider/kubernetes/",), "kubernetes"),
    Area("The plugin itself", ("provider/",), "pulumi-itself"),
    Area("The command line", ("cli/", "report/", "recording/"), "the-command-line"),
    Area("`anytier doctor`", ("doctor/",), "first"),
    Area("The suite and measuring", ("conformance/", "measure/"), "the-command-line"),
)

_HEAD = """# Every error message

Made by `python -m anytier.report.said.page docs/errors.md`, which reads the source. `…` is what a run puts in: a name,
a number, or what a daemon, an API or a registry said in its own words. [troubleshooting.md](troubleshooting.md) says
how to read an error, and more about those that people meet most. Fields that a tier cannot carry have their reasons in
[capabilities.md](capabilities.md), broken rules of the policy pack theirs in [policy.md](policy.md).

The last column is the [kind](troubleshooting.md#the-kinds) of the error.
"""


def collected(package: Path = PACKAGE) -> list[Saying]:
    """Of the package, and in a clone of set-up, too."""
    found = [item for name, file in _files(package, "") for item in read(name, file.read_text(encoding="utf-8"))]
    setup = package.parents[1] / "tools" / "bootstrap"
    tools = [item for name, file in _files(setup, "tools/") for item in read(name, file.read_text(encoding="utf-8"))]
    return found + tools


def _files(folder: Path, before: str) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.rglob("*.py")):
        yield before + file.relative_to(folder).as_posix(), file


def area_of(file: str) -> Area | None:
    return next((area for area in AREAS if file.startswith(area.parts)), None)


def as_markdown(sayings: Iterable[Saying]) -> str:
    """The whole page. Where one message has several remedies they stand in one row."""
    rows: dict[str, dict[tuple[str, ...], list[str]]] = {area.title: {} for area in AREAS}
    for item in sorted(sayings, key=lambda item: (item.what.lstrip(f"{HOLE}'\" ").lower(), item)):
        area = area_of(item.file)
        if area is None:
            raise LookupError(f"{item.file}: no area of AREAS is for it")
        apart = "" if telling(item.what) or item.path else item.do  # two of them would have nothing in common
        remedies = rows[area.title].setdefault((item.what, item.path, item.kind, apart), [])
        if item.do and item.do not in remedies:
            remedies.append(item.do)
    lines = [_HEAD]
    for area in AREAS:
        if rows[area.title]:
            lines += [f"## {area.title}", "", f"[More](troubleshooting.md#{area.about})", ""]
            lines += ["| what it says | what to do | kind |", "|---|---|---|", *_rows(rows[area.title]), ""]
    return "\n".join(lines)


def _rows(found: dict[tuple[str, ...], list[str]]) -> Iterator[str]:
    for (what, path, kind, _), remedies in found.items():
        said = f"`{path}`: {cell(what)}" if path and "`" not in path else cell(what)
        yield f"| {said} | {' *or* '.join(map(cell, remedies))} | {kind} |"


def cell(text: str) -> str:
    """A message in a table: its own code spans stay, nothing else in it means anything."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(
        piece.replace("|", "\\|") if number % 2 else re.sub(r"([\\*_<>|\[\]`~#])", r"\\\1", piece)
        for number, piece in enumerate(pieces)
    )


def main(argv: list[str]) -> int:
    (file,) = map(Path, argv)
    file.write_text(as_markdown(collected()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
