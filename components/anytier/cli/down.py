"""`anytier down`: `pulumi destroy` without questions. The stack itself and its history stay."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="a file stacks/Pulumi.STACK.yaml")


def run(args: argparse.Namespace) -> int:
    from anytier.cli.stack import STACK_NOT_FOUND, run_pulumi, stack_config

    stack_config(args.stack)
    # With its preview, which is where a stack that is protected refuses: the engine would else take the app down first.
    code = run_pulumi(["destroy", "--stack", args.stack, "--yes"])
    return 0 if code in (0, STACK_NOT_FOUND) else 1
