"""`anytier exec`: run a command beside the app, in the environment of one of its instances."""

from __future__ import annotations

import argparse

from anytier.cli.day2 import stack_argument


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("--index", type=int, help="which replica (default: the first that runs)")
    parser.add_argument("--machine", help="on which machine, where there are several (default: the first)")
    parser.add_argument("workload", help="which workload")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments, after `--`")


def run(args: argparse.Namespace) -> int:
    """Exit code: the command's own."""
    import asyncio

    from anytier.cli.day2 import backend, deployed, machine_of, pick
    from anytier.errors import NotFound, UsageError

    workloads = deployed(args.stack)
    pick(workloads, args.workload)
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        raise UsageError("COMMAND", "is missing", f"anytier exec -s {args.stack} {args.workload} -- COMMAND")

    async def call() -> int:
        place = backend(workloads)
        try:
            for instance in await place.instances():
                there = args.machine in (None, machine_of(instance))
                wanted = instance.workload == args.workload and args.index in (None, instance.index) and there
                if wanted and instance.state == "running":
                    return await place.exec(instance, command)
            raise NotFound(args.workload, "no such instance runs", f"`anytier status -s {args.stack}` shows what does")
        finally:
            await place.close()

    return asyncio.run(call())
