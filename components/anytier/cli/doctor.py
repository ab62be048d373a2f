"""`anytier doctor`: what this machine and its stacks have and lack, and the command that mends it. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from anytier.doctor.check import Finding, Subject


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", help="only this stack (default: every stack of the project)")
    parser.add_argument("--json", action="store_true", help="machine-readable: a list of findings")
    parser.epilog = "exit codes: 0 nothing is missing; 1 something is; 2 wrong usage"


def run(args: argparse.Namespace) -> int:
    import json

    from anytier.cli.stack import project_dir, stack_config, stack_names

    project = project_dir()
    if args.stack:
        stack_config(args.stack)  # a mistyped name is told as such
    stacks = [args.stack] if args.stack else stack_names(project)
    found: list[Finding] = []
    for item in examine(project, stacks):
        found.append(item)
        if not args.json:
            show(item, found[-2] if len(found) > 1 else None)
    if args.json:
        print(json.dumps([vars(item) for item in found], indent=2))
    else:
        tell(found)
    return 1 if any(item.status == "missing" for item in found) else 0


def examine(project: Path, stacks: Iterable[str]) -> Iterator[Finding]:
    """First the machine, then each stack; one by one, so that a slow daemon holds nothing else up."""
    from dataclasses import replace

    from anytier.doctor.check import Subject
    from anytier.doctor.registry import MACHINE, STACK, TIER, check

    for where in MACHINE.values():
        yield from check(where)(Subject(project))
    for stack in stacks:
        subject = subject_of(project, stack)
        for where in (*STACK.values(), *TIER.get(subject.tier, {}).values()):
            for item in check(where)(subject):
                yield replace(item, stack=stack)


def subject_of(project: Path, stack: str) -> Subject:
    from anytier import config
    from anytier.cli.stack import stack_config
    from anytier.doctor.check import Subject
    from anytier.errors import AnytierError, leaves

    try:
        values = config.from_yaml(stack_config(stack))
        return Subject(project, stack, values, config.read(values))
    except (AnytierError, ExceptionGroup) as error:
        found = tuple(item for item in leaves(error) if isinstance(item, AnytierError))
        if len(found) < len(leaves(error)):
            raise
        return Subject(project, stack, errors=found)


_SIGNS = {"ok": ("ok", "32"), "missing": ("MISSING", "1;31"), "note": ("note", "33")}


def show(item: Finding, before: Finding | None) -> None:
    from anytier.cli.terminal import colors
    from anytier.report.text import clean

    if item.stack and (before is None or before.stack != item.stack):
        print(f"\nstack {clean(item.stack)}")
    sign, color = _SIGNS[item.status]
    label = f"{sign:<8}"
    print(
        f"  {f'{chr(27)}[{color}m{label}{chr(27)}[0m' if colors() else label}{item.check:<11} {clean(item.what)}",
        flush=True,
    )
    if item.do and item.status != "ok":
        print(f"  {'':<8}{'':<11} -> {clean(item.do)}", flush=True)


def tell(found: list[Finding]) -> None:
    gone = [item for item in found if item.status == "missing"]
    stacks = list(dict.fromkeys(item.stack for item in gone if item.stack))
    where = f" (stacks {', '.join(stacks)})" if stacks else ""
    print(f"\n{len(gone)} missing{where}" if gone else "\nnothing is missing")
