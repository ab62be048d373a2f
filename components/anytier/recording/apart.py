"""Recordings side by side, each stack's in a process of its own, with a time limit each.

What all need is imported once, before processes fork off; what a stack needs (the SDK of a cloud takes longer than its
plan) once for all recordings of it. One that kills its process or takes too long fails alone: the next get another.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Mapping, Sequence
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
    """`left`: the keys of its tasks that have not come yet; the first is the one it is at, `until` then."""

    left: list[str]
    process: BaseProcess
    pipe: Connection
    until: float


@dataclass
class _All:
    """`waiting`: keys of tasks, those of one stack together."""

    waiting: list[list[str]]
    running: list[_Running] = field(default_factory=list)
    made: dict[str, Made] = field(default_factory=dict)


def record_all(tasks: Mapping[str, Task], jobs: int, seconds: float) -> dict[str, Made]:
    """What came of each task, by its key. At most `jobs` at the same time, each `seconds` long."""
    context = multiprocessing.get_context("fork")
    state = _All(by_stack(tasks))
    try:
        while state.waiting or state.running:
            while state.waiting and len(state.running) < max(jobs, 1):
                keys = state.waiting.pop(0)
                here, there = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=([tasks[key] for key in keys], there), daemon=True)
                process.start()
                there.close()
                state.running.append(_Running(keys, process, here, time.monotonic() + seconds))
            _collect(state, seconds)
    finally:
        for item in state.running:
            _ended(item)
    return {key: state.made[key] for key in tasks}


def by_stack(tasks: Mapping[str, Task]) -> list[list[str]]:
    """Keys of the tasks that have a stack's name in common, in the order in which the stacks come."""
    found: dict[str, list[str]] = {}
    for key, task in tasks.items():
        found.setdefault(task.stack, []).append(key)
    return list(found.values())


def _collect(state: _All, seconds: float) -> None:
    """Wait for the next that ends, or whose time is up."""
    left = min(item.until for item in state.running) - time.monotonic()
    ready = wait([item.pipe for item in state.running], max(left, 0))
    for item in list(state.running):
        made, lives = None, True
        if item.pipe in ready:
            made, lives = _received(item)
        elif time.monotonic() >= item.until:
            made, lives = Made(errors=(f"took longer than {seconds:g} s -> give it more by --timeout",)), False
        if made is not None:
            state.made[item.left.pop(0)] = made
            item.until = time.monotonic() + seconds
        if not (lives and item.left):
            _ended(item)
            state.running.remove(item)
            state.waiting[:0] = [item.left] if item.left else []


def _received(item: _Running) -> tuple[Made, bool]:
    """What came of the task that it was at, and whether it goes on."""
    try:
        text, errors, warnings, broken = item.pipe.recv()
    except EOFError:
        item.process.join(5)
        return Made(errors=(f"the process that planned it ended with {item.process.exitcode}",)), False
    graph = parse(text, "plan") if text else None
    return Made(graph, tuple(errors), tuple(warnings), tuple(map(Broken.model_validate, broken))), True


def _ended(item: _Running) -> None:
    item.process.kill()
    item.process.join()
    item.pipe.close()


def _work(tasks: Sequence[Task], pipe: Connection) -> None:
    """In the process, one after the other."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY if most == resource.RLIM_INFINITY else min(MEMORY, most), most))
    for task in tasks:
        _record(task, pipe)


def _record(task: Task, pipe: Connection) -> None:
    """Texts only go back, and a mistake of ours is told as one."""
    try:
        found = plan(task.project, task.stack, task.config)
        broken = judged(found.graph, task.config) if task.judge else ()
        pipe.send((found.graph.text(), (), found.warnings, [item.model_dump() for item in broken]))
    except Exception as error:
        pipe.send(("", [_said(item) for item in leaves(error)], (), ()))


def _said(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"takes more than {MEMORY >> 30} GiB of memory -> mend what its files repeat"
    return str(error) if isinstance(error, AnytierError) else f"{type(error).__name__}: {error} (a bug of anytier)"
