"""The provider plugin's memory while the engine works on a stack with 500 of its resources.

The most that was ever resident (VmHWM) is read from the plugin's process while the engine runs: once as all are made,
once more as nothing is to be changed, which is when all are checked and compared.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable

from benchmarks.measure import LONGEST, CommandFailed, ending, peaks
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import UP, Stack, program

LIMIT = Limit("ours", 150)  # MB
COUNT = 500
MARKER = "anytier.provider.__main__"  # in the command line of the plugin's process
PROGRAM = """
    import pulumi

    class Made(pulumi.CustomResource):
        def __init__(self, index):
            super().__init__("anytier:{token}", f"made-{{index}}", {properties})

    for index in range({count}):
        Made(index)
"""


def secrets(options: Options) -> list[Row]:
    return measure(options, "index:Secret", '{"length": 32, "value": None}', "secrets")


def volumes(options: Options) -> list[Row]:
    properties = '{"endpoint": {}, "name": f"{pulumi.get_stack()}-{index}", "labels": {}, "retain": False}'
    return measure(options, "docker:Volume", properties, "volumes on Docker")


def measure(options: Options, token: str, properties: str, named: str) -> list[Row]:
    count = 20 if options.quick else COUNT
    with program(PROGRAM.format(token=token, properties=properties, count=count)) as stack:
        made = plugin_peak(stack, *UP)
        same = [plugin_peak(stack, *UP, "--expect-no-changes") for _ in range(min(options.repeat, 3))]
    return [
        Row(f"plugin memory, {count} {named} made", "MB", [made], limit=LIMIT),
        Row(f"plugin memory, {count} {named}, nothing to change", "MB", same, limit=LIMIT),
    ]


def plugin_peak(stack: Stack, *args: str) -> float:
    """Megabytes that the plugin took at most in this run of the engine."""
    command = stack.command(*args)
    with subprocess.Popen(
        command,
        cwd=stack.project,
        env=stack.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # the plugin is found among the processes of this session
    ) as engine:
        found: dict[int, int] = {}
        watch = threading.Thread(target=_watch, args=(engine.pid, found, lambda: engine.poll() is not None))
        watch.start()
        output, _ = engine.communicate(timeout=LONGEST)
        watch.join()
    if engine.returncode:
        raise CommandFailed(ending(command, engine.returncode, output))
    if not found:
        raise CommandFailed(f"no process of this run has {MARKER} in its command line")
    return max(found.values()) / 1e6


def _watch(session: int, found: dict[int, int], over: Callable[[], bool]) -> None:
    while not over():
        for pid, peak in peaks(session, MARKER).items():
            found[pid] = max(peak, found.get(pid, 0))
        time.sleep(0.1)
