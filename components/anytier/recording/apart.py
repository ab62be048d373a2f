"""Recordings side by side, each in a process of its own with a time limit: Pulumi's state is the process's.

What all need is imported once, before processes fork off. A process that dies or takes too long is that stack's
failure, and nobody else's.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from anytier.errors import AnytierError, leaves
from anytier.recording.judged import judged
from anytier.recording.stack import plan
from anytier.report.plan.broken import Broken
from anytier.report.plan.graph import Graph, parse

MEMORY = 4 << 30  # bytes of one process: a few lines of YAML can mean more than any machine has


@dataclass(frozen=True)
class Task:
    """One stack of a project. `config` as its file has it. `judge`: by the policy pack, too."""

    project: Path
    stack: str
    config: Mapping[str, Any]
    judge: bool = False


@dataclass(frozen=True)
class Made:
    """A graph, or the errors for want of one; each as `path: what -> do`. `broken`: of the policy."""

    graph: Graph | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    broken: tuple[Broken, ...] = ()


@dataclass
class _Running:
    process: BaseProcess
    pipe: Connection
    until: float


@dataclass
class _All:
    waiting: list[str]
    running: dict[str, _Running] = field(default_factory=dict)
    made: dict[str, Made] = field(default_factory=dict)


def record_all(tasks: Mapping[str, Task], jobs: int, seconds: float) -> dict[str, Made]:
    """What came of each task, by its key. At most `jobs` at the same time, each `seconds` long."""
    context = multiprocessing.get_context("fork")
    state = _All(list(tasks))
    try:
        while state.waiting or state.running:
            while state.waiting and len(state.running) < max(jobs, 1):
                key = state.waiting.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(tasks[key], there), daemon=True)
                process.start()
                there.close()
                state.running[key] = _Running(process, here, time.monotonic() + seconds)
            _collect(state, seconds)
    finally:
        for item in state.running.values():
            _ended(item)
    return {key: state.made[key] for key in tasks}


def _collect(state: _All, seconds: float) -> None:
    """Wait for the next that ends, or whose time is up."""
    left = min(item.until for item in state.running.values()) - time.monotonic()
    ready = wait([item.pipe for item in state.running.values()], max(left, 0))
    for key, item in list(state.running.items()):
        if item.pipe in ready:
            state.made[key] = _received(item)
        elif time.monotonic() >= item.until:
            state.made[key] = Made(errors=(f"took longer than {seconds:g} s -> give it more by --timeout",))
        else:
            continue
        _ended(item)
        del state.running[key]


def _received(item: _Running) -> Made:
    try:
        text, errors, warnings, broken = item.pipe.recv()
    except EOFError:
        item.process.join(5)
        return Made(errors=(f"the process that planned it ended with {item.process.exitcode}",))
    graph = parse(text, "plan") if text else None
    return Made(graph, tuple(errors), tuple(warnings), tuple(map(Broken.model_validate, broken)))


def _ended(item: _Running) -> None:
    item.process.kill()
    item.process.join()
    item.pipe.close()


def _work(task: Task, pipe: Connection) -> None:
    """In the process: texts only go back, and a mistake of ours is told as one."""
    try:
        _, most = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most), most))
        found = plan(task.project, task.stack, task.config)
        broken = judged(found.graph, task.config) if task.judge else ()
        pipe.send((found.graph.text(), (), found.warnings, [item.model_dump() for item in broken]))
    except Exception as error:
        pipe.send(("", [_said(item) for item in leaves(error)], (), ()))


def _said(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"takes more than {MEMORY >> 30} GiB of memory -> mend what its files repeat"
    return str(error) if isinstance(error, AnytierError) else f"{type(error).__name__}: {error} (a bug of anytier)"
