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
    parser.add_argument("-w", "--workload", help="only this workload (needed with a revision if there are several)")


def run(args: argparse.Namespace) -> int:
    import json

    from anytier.cli.day2 import deployed, pick
    from anytier.cli.stack import run_pulumi
    from anytier.names import ROLLBACK_ENV

    workloads = deployed(args.stack)
    chosen = [pick(workloads, args.workload)] if args.workload else workloads
    pins = plan(chosen, args.revision, args.stack)
    for name, revision in pins.items():
        print(f"{name}: back to r{revision}")
    code = run_pulumi(
        ["up", "--stack", args.stack, "--yes", "--skip-preview"], extra_env={ROLLBACK_ENV: json.dumps(pins)}
    )
    if code == 0:
        print(f"The next `pulumi up -s {args.stack}` deploys the spec again: mend it first.")
    return code


def plan(workloads: list[Deployed], revision: str | None, stack: str) -> dict[str, int]:
    """Workload -> revision to go back to. Those without an earlier revision are left alone, unless none is left."""
    from anytier.errors import ConfigError, NotFound

    if revision is not None and not revision.lstrip("r").isdigit():
        raise ConfigError("revision", f"{revision!r} is not a revision", "a number such as 7 or r7")
    wanted = int(revision.lstrip("r")) if revision else None
    if wanted is not None and len(workloads) > 1:
        raise ConfigError(
            "--workload", "is needed: revisions are counted by workload", "anytier rollback REVISION -w NAME"
        )
    pins = {}
    for item in workloads:
        kept = [int(entry["revision"]) for entry in item.history]
        earlier = [number for number in kept if number < item.revision]
        if wanted is not None and wanted not in kept:
            raise NotFound(f"{item.name} r{wanted}", "is not kept", f"one of {', '.join(f'r{n}' for n in kept)}")
        if wanted is not None or earlier:
            pins[item.name] = wanted if wanted is not None else max(earlier)
    if not pins:
        raise NotFound(f"stack {stack}", "has no earlier revision", "")
    return pins
