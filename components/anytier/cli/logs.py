"""`anytier logs`: what the instances of a stack print, each line with the instance's name before it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from anytier.cli.day2 import stack_argument

if TYPE_CHECKING:
    import asyncio

    from anytier.cli.day2 import Backend, InstanceRow

# How often `--follow` looks for instances that a rollout or a restart brought.
EVERY = 2.0


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("workload", nargs="?", help="only this workload")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until interrupted, with new instances too")
    parser.add_argument("-n", "--tail", type=count, default=100, metavar="N", help="last N lines of each (default 100)")


def count(text: str) -> int:
    """argparse turns the ValueError into its own message."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def run(args: argparse.Namespace) -> int:
    """Interrupting `--follow` is how it ends, so that is a success."""
    import asyncio

    from anytier.cli.day2 import deployed, pick

    workloads = deployed(args.stack)
    if args.workload:
        pick(workloads, args.workload)
    names = [args.workload] if args.workload else [item.name for item in workloads]

    async def show() -> None:
        from anytier.cli.day2 import backend

        place = backend(workloads)
        try:
            await (follow if args.follow else once)(place, names, args.tail)
        finally:
            await place.close()

    try:
        asyncio.run(show())
    except KeyboardInterrupt:
        if not args.follow:
            raise
    return 0


async def once(place: Backend, names: Sequence[str], tail: int) -> None:
    """One instance after the other, so that its lines stay together."""
    found = [item for item in await place.instances() if item.workload in names]
    width = max((len(label(item)) for item in found), default=0)
    for item in found:
        await copy(place, item, width, False, tail)


async def follow(place: Backend, names: Sequence[str], tail: int) -> None:
    """All instances at once, whichever there are, until this is cancelled or the reader of our output is gone."""
    import asyncio

    tasks: dict[str, asyncio.Task[None]] = {}
    seen: set[str] = set()
    try:
        while not nobody_reads():
            found = {item.id: item for item in await place.instances() if item.workload in names}
            width = max((len(label(item)) for item in found.values()), default=0)
            for id in tasks.keys() - found.keys():
                tasks.pop(id).cancel()
            for id in found.keys() - tasks.keys():
                tasks[id] = asyncio.create_task(copy(place, found[id], width, True, 0 if id in seen else tail))
            seen |= found.keys()
            await asyncio.sleep(EVERY)
            for id in [id for id, task in tasks.items() if task.done()]:
                tasks.pop(id).result()  # an error there ends all of it; a log that ended may go on after a restart
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


def nobody_reads() -> bool:
    """Whether the other end of a pipe is closed, which a writer with nothing to say would never learn."""
    import select
    import sys

    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def label(item: InstanceRow) -> str:
    from anytier.cli.day2 import machine_of

    machine = machine_of(item)
    return f"{item.workload}.{item.index}" + (f"@{machine}" if machine else "")


async def copy(place: Backend, item: InstanceRow, width: int, follow: bool, tail: int) -> None:
    from contextlib import aclosing

    name = label(item).ljust(width)
    async with aclosing(place.logs(item, follow, tail)) as lines:
        async for line in lines:
            print(f"{name}  {line}", flush=follow)
