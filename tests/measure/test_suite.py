"""A run as a whole: what fails has no figure, whatever happens is taken down, and clouds want a login first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.measure.fakes import Trial, WeighedPlace

from anytier.conformance.check import Check, Result
from anytier.errors import AnytierError, ConfigError
from anytier.measure import steps as functions
from anytier.measure import suite
from anytier.measure.figures import chosen
from anytier.measure.session import Session
from anytier.measure.suite import Taken


@pytest.fixture(autouse=True)
def destroyed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The destroy of the conformance suite, written down. `status` is what comes of it."""
    how = {"status": "pass"}

    def judge(trial: Any, check: Check) -> Result:
        trial.did.append(check.id)
        return Result(check, how["status"], "a process is left", 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr("anytier.conformance.suite.judge", judge)
    return how


def run(trial: Trial, *only: str, repeat: int = 1) -> tuple[Taken, list[str]]:
    said: list[str] = []
    return suite.run(trial, chosen(only), repeat, 60, "here", said.append), said  # type: ignore[arg-type]


def test_what_was_taken_is_a_measurement_of_the_place() -> None:
    trial = Trial(WeighedPlace())
    taken, said = run(trial, "noop", "update")
    found = suite.measurement(trial, "here", taken)  # type: ignore[arg-type]
    assert taken.good and (found.stack, found.tier, found.mode) == ("here", "local", "supervisord")
    assert list(found.figures) == ["deploy", "noop", "update", "update.lost"]
    assert found.machine is not None and found.machine.memory == 2048 and taken.remarks.load == 0.1
    assert found.versions["machine"] == "one" and found.versions["pulumi"] == "v3.1"
    assert not {"date", "stack", "tier", "mode"} & set(found.versions)
    assert trial.did[-2:] == ["destroy", "forget"]
    assert list(trial.base["workloads"]) == ["app"]
    assert any(line.split() == ["noop", "2.00", "s"] for line in said)


def test_a_step_that_fails_has_no_figure_and_the_rest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def half(session: Session) -> None:
        session.take("noop", 1.0)
        raise KeyError("oops")

    monkeypatch.setattr(functions, "no_op", half)
    taken, said = run(Trial(), "noop", "update")
    assert not taken.good and list(taken.figures) == ["deploy", "update", "update.lost"]
    assert taken.remarks.failed == {"noop": "KeyError: 'oops'"}
    assert any("Traceback" in line for line in said)


def test_without_the_first_deploy_nothing_else_is_tried() -> None:
    trial = Trial(fails="up")
    taken, said = run(trial)
    assert list(taken.remarks.failed) == ["create, deploy"] and not taken.figures
    assert trial.did == ["make", "up v1", "destroy", "forget"]
    assert "         | its output" in said


def test_an_interruption_still_takes_everything_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(session: Session) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(functions, "no_op", stopped)
    trial = Trial()
    with pytest.raises(KeyboardInterrupt):
        run(trial, "noop")
    assert trial.did[-2:] == ["destroy", "forget"]


def test_a_stack_that_cannot_be_made_is_an_error_and_nothing_is_destroyed() -> None:
    trial = Trial(fails="make")
    with pytest.raises(AnytierError, match="run `anytier doctor`"):
        run(trial)
    assert trial.did == ["make", "forget"]


def test_what_could_not_be_taken_down_keeps_its_state_and_is_no_success(destroyed: dict[str, str]) -> None:
    destroyed["status"] = "fail"
    trial = Trial()
    taken, said = run(trial, "noop")
    assert taken.left == "a process is left" and not taken.good
    assert trial.did[-1] == "keep" and "could not be destroyed" in said[-1]


def test_a_machine_that_does_not_answer_is_no_machine() -> None:
    class Silent(WeighedPlace):
        def machine(self) -> dict[str, Any]:
            raise AnytierError("machine", "does not answer")

    assert suite.machine_of(Trial(Silent())) == (None, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(("load", "told"), [(0.9, False), (1.1, True), (None, False)])
def test_a_busy_machine_is_told_before_it_is_measured(load: float | None, told: bool) -> None:
    class Busy(WeighedPlace):
        def machine(self) -> dict[str, Any]:
            return {**super().machine(), "load": load}

    taken, said = run(Trial(Busy()), "noop")
    assert any("is busy" in line for line in said) == told and taken.remarks.load == load


@pytest.mark.parametrize("tier", ["eks", "gke", "aks"])
def test_a_cloud_wants_a_login_before_anything_is_made(
    tier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with pytest.raises(ConfigError, match="nobody is logged in"):
        suite.refuse_without_login(tier, {}, {})


def test_a_place_of_our_own_wants_none() -> None:
    suite.refuse_without_login("local", {}, {})
