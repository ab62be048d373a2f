"""Recordings side by side: each has its own process and its own time, and takes nobody else down."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import ConfigError
from anytier.recording import Recording, apart
from anytier.recording.apart import Made, Task, record_all
from anytier.report.plan.graph import Graph


def planned(project: Path, stack: str, config: dict[str, Any]) -> Recording:
    if stack == "wrong":
        raise ExceptionGroup("all", [ConfigError("a", "is wrong", "mend it"), ConfigError("b", "too")])
    if stack == "bug":
        raise ZeroDivisionError("ours")
    if stack == "dies":
        os._exit(3)
    if stack == "hungry":
        return Recording(Graph(project="p", stack=str(len(bytearray(2 * apart.MEMORY)))))
    if stack == "slow":
        time.sleep(300)
    return Recording(Graph(project="p", stack=stack, exports={"big": "x" * 300_000}), ("careful",))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Made]:
    monkeypatch.setattr(apart, "plan", planned)
    names = ("slow", "good", "wrong", "bug", "dies", "hungry", "other")
    return record_all({name: Task(tmp_path, name, {}) for name in names}, 2, 2)


def test_each_comes_to_its_own_end(made: dict[str, Made]) -> None:
    assert list(made) == ["slow", "good", "wrong", "bug", "dies", "hungry", "other"]
    for name in ("good", "other"):
        graph = made[name].graph
        assert graph is not None and graph.stack == name and made[name].warnings == ("careful",)
    assert made["wrong"].errors == ("a: is wrong -> mend it", "b: too")
    assert made["bug"].errors == ("ZeroDivisionError: ours (a bug of anytier)",)
    assert made["dies"].errors == ("the process that planned it ended with 3",)
    assert made["hungry"].errors == ("takes more than 4 GiB of memory -> mend what its files repeat",)
    assert made["slow"].errors == ("took longer than 2 s -> give it more by --timeout",)
    assert all((item.graph is None) == bool(item.errors) for item in made.values())


@pytest.mark.parametrize("bad", ["slow", "dies", "hungry"])
def test_what_comes_after_one_that_fails_is_recorded_all_the_same(
    bad: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two of one stack share a process, such as before and after a change."""

    def of_both(project: Path, stack: str, config: dict[str, Any]) -> Recording:
        assert stack == "app"
        return planned(project, config["like"], {})

    monkeypatch.setattr(apart, "plan", of_both)
    tasks = {name: Task(tmp_path, "app", {"like": name}) for name in ("good", bad, "other")}
    assert apart.by_stack(tasks) == [["good", bad, "other"]]
    made = record_all(tasks, 2, 2)
    assert list(made) == ["good", bad, "other"] and made[bad].graph is None and made[bad].errors
    assert all(made[name].graph is not None for name in ("good", "other"))


def test_those_of_one_stack_share_a_process_and_others_do_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def telling(project: Path, stack: str, config: dict[str, Any]) -> Recording:
        return Recording(Graph(project="p", stack=stack, exports={"process": os.getpid()}))

    monkeypatch.setattr(apart, "plan", telling)
    made = record_all({key: Task(tmp_path, key[0], {}) for key in ("a1", "b1", "a2", "b2")}, 2, 10)
    process = {key: item.graph.exports["process"] for key, item in made.items() if item.graph}
    assert process["a1"] == process["a2"] != process["b1"] == process["b2"] != os.getpid()


def test_nothing_to_do_is_done() -> None:
    assert record_all({}, 4, 1) == {}
