"""`anytier scale`: replicas go into the stack's config, then it deploys. The spec says how many elsewhere."""

from __future__ import annotations

import argparse

from anytier.cli.day2 import stack_argument

MOST = 1000  # as in the stack's config


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("wanted", nargs="+", metavar="WORKLOAD=REPLICAS", help="such as web=3; 0 stops it")


def run(args: argparse.Namespace) -> int:
    from anytier.cli.day2 import deployed, pick
    from anytier.cli.stack import run_pulumi

    workloads = deployed(args.stack)
    wanted = [parse(text) for text in args.wanted]
    for name, _ in wanted:
        pick(workloads, name)
    for name, replicas in wanted:
        code = run_pulumi(["config", "set", "--stack", args.stack, "--path", f"anytier:scale.{name}", str(replicas)])
        if code:
            return code
    return run_pulumi(["up", "--stack", args.stack, "--yes", "--skip-preview"])


def parse(text: str) -> tuple[str, int]:
    """`web=3` -> ("web", 3). UsageError for anything else."""
    import re

    from anytier.errors import UsageError

    name, _, count = text.partition("=")
    if not name or not re.fullmatch(r"[0-9]{1,4}", count) or int(count) > MOST:
        raise UsageError(text, "is not WORKLOAD=REPLICAS", f"such as web=3, from 0 to {MOST}")
    return name, int(count)
