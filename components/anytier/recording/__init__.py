"""A Pulumi program run against a monitor that records: what it would register, as a graph. Nothing is reached or made.

There is no engine, no plugin and no credential. What a provider would answer is invented (`packages/`) where a program
reads on in it, and unknown elsewhere, as in a preview of a stack that is not there yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi.runtime import mocks
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.settings import configure, reset_options
from pulumi.runtime.stack import run_in_stack

from anytier import planning
from anytier.errors import AnytierError
from anytier.recording.monitor import Monitor
from anytier.report.plan.graph import Graph

LONGEST = 120.0  # seconds: a recording takes one or two


@dataclass(frozen=True)
class Recording:
    """The graph, and what the program had to say beside it."""

    graph: Graph
    warnings: tuple[str, ...] = ()


def record(
    program: Callable[[], Any],
    *,
    stack: str,
    project: str = "anytier",
    config: Mapping[str, str] | None = None,
    folder: Path | None = None,
    longest: float = LONGEST,
) -> Recording:
    """What `program` would register. Its errors come out as they are.

    `config` in the engine's form: `namespace:key` to text. `folder`: the project's, which texts of the graph name
    `<project>`, so that two clones have the same graph. Pulumi's state is the process's: one recording at a time.
    """
    monitor, engine = Monitor(stack, project, config or {}, folder), _Engine()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        reset_options()
        configure(_settings(monitor, engine, stack, project, folder))
        set_all_config(dict(config or {}))
        with planning.only(), no_collection():
            loop.run_until_complete(_ended(run_in_stack(program), longest))
    finally:
        set_all_config({})
        reset_options()
        _settled(loop)
        asyncio.set_event_loop(None)
        loop.close()
    return Recording(monitor.graph(), tuple(engine.warnings))


class _Engine(mocks.MockEngine):
    """Keeps what the program warns of; the rest of its log says nothing that the graph does not."""

    def __init__(self) -> None:
        super().__init__(None)
        self.warnings: list[str] = []

    def Log(self, request: Any) -> None:
        if request.severity == engine_pb2.WARNING:
            self.warnings.append(request.message)


def _settings(monitor: Any, engine: _Engine, stack: str, project: str, folder: Path | None) -> mocks.MockSettings:
    """As `set_mocks` makes them, but without its stack: `run_in_stack` makes the one that takes the exports."""
    untyped: Any = mocks.MockSettings
    made: mocks.MockSettings = untyped(
        monitor=monitor,
        monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),
        engine=engine,
        project=project,
        stack=stack,
        root_directory=str(folder or Path.cwd()),
        dry_run=True,
        organization=None,
    )
    return made


def _settled(loop: asyncio.AbstractEventLoop) -> None:
    """Nothing is left of a program that failed: outputs that nobody will ever resolve wait in their tasks."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


async def _ended(running: Any, longest: float) -> None:
    """The program's own end. AnytierError where it does not come to one."""
    task = asyncio.ensure_future(running)
    done, _ = await asyncio.wait({task}, timeout=longest)
    if done:
        task.result()
        return
    others = [item for item in asyncio.all_tasks() if item is not asyncio.current_task()]
    for item in others:
        item.cancel()
    await asyncio.wait(others, timeout=1)
    what = f"the program did not end within {longest:g} s"
    raise AnytierError("plan", what, "it waits for something that no plan can give it")


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Without the garbage collector, as a program runs: it looks through everything only for the process to end."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
