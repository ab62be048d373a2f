"""`anytier up`: `pulumi up` without questions, and the address at the end. Makes the stack where it is missing."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="a file stacks/Pulumi.STACK.yaml")


def run(args: argparse.Namespace) -> int:
    from anytier.cli.stack import STACK_NOT_FOUND, run_pulumi, stack_config, stack_outputs

    stack_config(args.stack)  # a mistyped name must not make a stack
    # With a look at what really runs: after a reboot, say, the state alone would show nothing to do.
    command = ["up", "--stack", args.stack, "--yes", "--skip-preview", "--refresh"]
    code = run_pulumi(command)
    if code == STACK_NOT_FOUND and run_pulumi(["stack", "init", args.stack], quiet=True) == 0:
        code = run_pulumi(command)
    if code:
        return 1
    url = stack_outputs(args.stack).get("url")
    if url:
        print(f"\nserving at {url}")
    return 0
