"""What a throw-away stack tells a place that it makes itself, without an engine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.check import Failed
from anytier.conformance.trial import Answer, Run, Trial


class There:
    """A place that is there already."""

    tier, mode, address, containers = "docker", None, "127.0.0.1", True


class Made(There):
    """One that the stack makes."""

    def __init__(self) -> None:
        self.heard: list[Mapping[str, Any]] = []

    def told(self, outputs: Mapping[str, Any]) -> bool:
        self.heard.append(outputs)
        self.address = outputs.get("url", "")
        return "url" in outputs

    def exposed(self, ns: str, port: int) -> str:
        return f"{ns} {port}"


class Acted(Trial):
    """`says`: what each run of `up` is followed by as the stack's outputs; None for a run that fails."""

    def __init__(self, place: Any, *says: dict[str, str] | None) -> None:
        super().__init__(Path("/nowhere"), place, {}, {})
        self.app_dir.mkdir()
        self.says, self.asked = iter(says), list[str]()
        self.now: dict[str, str] | None = {}

    def pulumi(self, *args: str, fails: bool = False, **more: Any) -> Run:  # type: ignore[override]
        if args[0] == "up":
            self.now = next(self.says)
            if self.now is None and not fails:
                raise Failed("it broke")
            return Run("up", int(self.now is None), "", 1.0)
        self.asked.append(args[1])
        return Run("output", 0, f"warning: something\n{json.dumps(self.now or {})}", 1.0)

    def request(self, path: str, **more: Any) -> Answer:
        self.asked.append(f"{more['address']} {more['port']}")
        return Answer(404, "", {})


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    yield
    for trial in made:
        trial.forget()
    made.clear()


made: list[Trial] = []


def acted(place: Any, *says: dict[str, str] | None) -> Acted:
    made.append(Acted(place, *says))
    trial: Any = made[-1]
    assert isinstance(trial, Acted)
    return trial


def test_a_place_is_told_once_and_waited_for() -> None:
    place = Made()
    trial = acted(place, {"url": "lb"}, {"url": "another"})
    trial.up()
    trial.up()
    assert place.heard == [{"url": "lb"}] and trial.asked == ["output", f"lb {trial.port}"]
    assert trial.exposed(9000) == f"{trial.ns} 9000" and trial.asked[-1] == f"{trial.ns} 9000 9000"


def test_half_of_a_deployment_is_told_too() -> None:
    place = Made()
    trial = acted(place, None, {"url": "lb"})
    with pytest.raises(Failed, match="it broke"):
        trial.up()
    assert place.heard == [{}] and not trial.told
    trial.up()
    assert trial.told and place.address == "lb"


def test_a_place_that_was_there_before_is_told_nothing() -> None:
    trial = acted(There(), {"url": "lb"})
    trial.up()
    assert trial.asked == [] and trial.exposed(9000) == "127.0.0.1"


def test_what_changes_is_told_also_where_it_stands_far_above_the_end() -> None:
    looks = [" ~  anytier:index:App shop refreshing "] * 50
    lines = [" +  kubernetes:core/v1:Service web create", *looks, *(f"    {number} unchanged" for number in range(60))]
    told = Run("preview", 1, "\n".join(lines), 1.0).tail(5)
    assert told.splitlines() == ["$ preview", lines[0], "...", *lines[-5:]]
    assert Run("preview", 1, "\n".join(lines[-5:]), 1.0).tail(5).splitlines() == ["$ preview", *lines[-5:]]
