"""`anytier status`: what runs, in which revision, how healthy. Exit code 0 only if every workload is as wanted."""

from __future__ import annotations

import argparse

from anytier.cli.day2 import stack_argument


def configure(parser: argparse.ArgumentParser) -> None:
    stack_argument(parser)
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(args: argparse.Namespace) -> int:
    import asyncio
    import json

    from anytier.cli.day2 import at_this_moment, backend, deployed
    from anytier.cli.terminal import room
    from anytier.report.status import as_json, as_text, complete

    found = deployed(args.stack)

    async def look() -> tuple[list[object], dict[str, int]]:
        place = backend(found)
        try:
            wanted = await place.wanted() if any(item.counted for item in found) else {}
            return list(await place.instances()), dict(wanted)
        finally:
            await place.close()

    instances, wanted = asyncio.run(look())
    workloads = at_this_moment(found, wanted)
    print(json.dumps(as_json(workloads, instances), indent=2) if args.json else as_text(workloads, instances, room()))
    return 0 if complete(workloads, instances) else 1
