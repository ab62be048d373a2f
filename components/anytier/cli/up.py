"""`anytier up`: `pulumi up` without questions, and the address at the end. Makes the stack where it is missing."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", required=True, help="a file stacks/Pulumi.STACK.yaml")


def run(args: argparse.Namespace) -> int:
    from anytier.cli.stack import STACK_NOT_FOUND, run_pulumi, stack_config, stack_outputs
    from anytier.names import UP_ENV

    stack_config(args.stack)  # a mistyped name must not make a stack
    # With a look at what really runs: after a reboot, say, the state alone would show nothing to do. What cannot be
    # looked at is left to the update: a machine that is off is started, one that left the list is let go.
    command, env = ["up", "--stack", args.stack, "--yes", "--skip-preview", "--refresh"], {UP_ENV: "1"}
    code = run_pulumi(command, extra_env=env)
    if code == STACK_NOT_FOUND and run_pulumi(["stack", "init", args.stack], quiet=True) == 0:
        code = run_pulumi(command, extra_env=env)
    if code:
        return 1
    url = stack_outputs(args.stack).get("url")
    if url:
        print(f"\nserving at {url}")
    return 0
