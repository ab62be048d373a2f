"""`anytier rollback`: put an earlier revision back, by a normal `pulumi up` that pins it for this one run."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from anytier.cli.day2 import stack_argument

if TYPE_CHECKING:
    from anytier.cli.day2 import Deployed


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("revision", nargs="?", help="7 or r7 (default: the last good one before the current)")
    parser.add_argument("workload", nargs="?", help="only this one (needed with a revision if there are several)")
    parser.add_argument("-w", "--workload", dest="only", metavar="WORKLOAD", help="the same, without a revision")
    parser.add_argument("--list", action="store_true", help="only show the revisions that are kept")
    parser.add_argument("--json", action="store_true", help="with --list: machine-readable")


def run(args: argparse.Namespace) -> int:
    """The engine's exit code is 0 or not; ours is 1 for all that failed."""
    from anytier.cli.day2 import deployed, pick
    from anytier.errors import UsageError

    if args.json and not args.list:
        raise UsageError("--json", "goes with --list only", "`anytier rollback -s STACK --list --json`")
    workloads = deployed(args.stack)
    name = args.workload or args.only
    chosen = [pick(workloads, name)] if name else workloads
    if args.list:
        return show(chosen, args.json)
    return go_back(plan(chosen, args.revision, args.stack), args.stack)


def show(workloads: list[Deployed], json_wanted: bool) -> int:
    import json

    from anytier.cli.terminal import room
    from anytier.report.revisions import as_json, as_text

    print(json.dumps(as_json(workloads), indent=2) if json_wanted else as_text(workloads, room()))
    return 0


def go_back(pins: dict[str, int], stack: str) -> int:
    import json

    from anytier.cli.stack import run_pulumi
    from anytier.names import ROLLBACK_ENV

    for name, revision in pins.items():
        print(f"{name}: back to r{revision}", flush=True)
    env = {ROLLBACK_ENV: json.dumps(pins)}
    if run_pulumi(["up", "--stack", stack, "--yes", "--skip-preview"], extra_env=env):
        return 1
    print(f"The next `pulumi up -s {stack}` deploys the spec again: mend it first.")
    return 0


def plan(workloads: list[Deployed], revision: str | None, stack: str) -> dict[str, int]:
    """Workload -> revision to go back to. Those without an earlier revision are left alone, unless none is left."""
    from anytier.errors import NotFound, UsageError

    if revision is None:
        earlier = {item.name: last_good(item) for item in workloads}
        pins = {name: number for name, number in earlier.items() if number is not None}
        if not pins:
            do = f"`anytier rollback -s {stack} --list` shows what is kept"
            raise NotFound(f"stack {stack}", "has no earlier revision that was good", do)
        return pins
    number = parse(revision)
    if len(workloads) > 1:
        names = ", ".join(item.name for item in workloads)
        do = f"anytier rollback -s {stack} {revision} WORKLOAD, one of {names}"
        raise UsageError("WORKLOAD", "is needed: revisions are counted by workload", do)
    (item,) = workloads
    kept = [int(entry["revision"]) for entry in item.history]
    if number not in kept:
        raise NotFound(f"{item.name} r{number}", "is not kept", f"one of {', '.join(f'r{n}' for n in kept)}")
    return {item.name: number}


def parse(text: str) -> int:
    """`7` and `r7` -> 7."""
    import re

    from anytier.errors import UsageError

    if not re.fullmatch(r"r?[0-9]{1,9}", text):
        raise UsageError(
            "REVISION", f"{text!r} is not a revision", "a number such as 7 or r7; a workload alone is named by -w"
        )
    return int(text.removeprefix("r"))


def last_good(item: Deployed) -> int | None:
    """The newest kept revision before the current one whose rollout once ended well."""
    good = [int(entry["revision"]) for entry in item.history if entry.get("served", True)]
    return max((number for number in good if number < item.revision), default=None)
