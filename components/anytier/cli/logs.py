"""`anytier logs`: what the instances of a stack print, each line with the instance's name before it."""

from __future__ import annotations

import argparse
from typing import Any

from anytier.cli.day2 import stack_argument


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("workload", nargs="?", help="only this workload")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted")
    parser.add_argument("-n", "--tail", type=int, default=100, metavar="N", help="last N lines of each (default 100)")


def run(args: argparse.Namespace) -> int:
    import asyncio

    from anytier.cli.day2 import backend, deployed, pick

    workloads = deployed(args.stack)
    if args.workload:
        pick(workloads, args.workload)

    async def show() -> None:
        place = backend(workloads)
        try:
            found = [i for i in await place.instances() if args.workload in (None, i.workload)]
            names = {i.id: f"{i.workload}.{i.index}" for i in found}
            width = max((len(name) for name in names.values()), default=0)
            await asyncio.gather(*(_print(place, i, names[i.id].ljust(width), args) for i in found))
        finally:
            await place.close()

    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        return 0
    return 0


async def _print(place: Any, instance: Any, name: str, args: argparse.Namespace) -> None:
    async for line in place.logs(instance, args.follow, args.tail):
        print(f"{name}  {line}", flush=args.follow)
