"""How figures are taken, on a trial without an engine: what counts, what is left out, what a failure does."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.measure.fakes import Place, Trial, WeighedPlace

from anytier.conformance.check import Failed
from anytier.conformance.patch import version
from anytier.conformance.places.base import Weight
from anytier.measure import steps
from anytier.measure.session import Session


def session(trial: Trial, repeat: int = 3, **options: Any) -> Session:
    return Session(trial, repeat, time.monotonic() + 60, lambda text: None, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "SETTLED", 0.0)
    monkeypatch.setattr(steps, "WINDOW", 0.01)
    monkeypatch.setattr(steps, "HEALED_WITHIN", 0.1)


def test_where_the_tier_makes_nothing_the_app_goes_between_two_samples() -> None:
    trial = Trial()
    one = session(trial)
    steps.deploy(one)
    assert trial.did == ["up v1", "destroy", "up v1", "destroy", "up v1"]
    assert one.samples == {"deploy": [2.0, 2.0, 2.0]}


def test_a_place_that_is_made_is_made_once_and_told_apart_from_the_app() -> None:
    trial = Trial()
    trial.place.tier = "kubeadm"
    begun = time.time()
    app = {"type": "anytier:index:App", "parent": "stack"}
    trial.resources = {
        "stack": {"type": "pulumi:pulumi:Stack", "created": stamp(begun + 9)},
        "machine": {"type": "anytier:host:Machine", "custom": True, "parent": "stack", "created": stamp(begun + 1.5)},
        "app": app,
        "objects": {
            "type": "kubernetes:apps/v1:Deployment",
            "custom": True,
            "parent": "part",
            "created": stamp(begun + 8),
        },
        "part": {"type": "anytier:runtime:Kubernetes", "parent": "app"},
        "provider": {
            "type": "pulumi:providers:kubernetes",
            "custom": True,
            "parent": "stack",
            "created": stamp(begun + 7),
        },
    }
    one = session(trial)
    steps.deploy(one)
    assert one.samples["create"] == [pytest.approx(1.5, abs=0.2)]
    assert one.samples["deploy"] == [pytest.approx(0.5, abs=0.2)]
    assert trial.did == ["up v1"]


def stamp(seconds: float) -> str:
    """As the engine writes it: nanoseconds, and a Z."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123Z"


def test_a_place_of_which_nothing_says_when_has_no_figure() -> None:
    assert steps.made_after(0, {"a": {"type": "x:y:Z", "custom": True}}) is None


def test_what_ended_between_two_looks_is_not_counted_and_what_began_is() -> None:
    before = {"a": Weight("one", 1, 1.0), "b": Weight("two", 1, 5.0)}
    after = {"a": Weight("one", 1, 1.25), "c": Weight("three", 1, 0.5)}
    assert steps.spent(before, after) == {"a": 0.25, "c": 0.5}


def test_the_platform_is_the_sum_of_its_processes_by_name() -> None:
    one = session(Trial(WeighedPlace()), 2)
    steps.platform(one)
    assert one.samples["platform.memory"] == [13.0, 13.0]
    assert one.parts["platform.memory"] == {"proxy": 10.0, "shim": 3.0}
    assert "PSS" in one.notes["platform.memory"]
    assert len(one.samples["platform.cpu"]) == 2 and min(one.samples["platform.cpu"]) > 0


def test_a_place_that_nobody_can_look_into_has_no_such_figure() -> None:
    with pytest.raises(Failed, match="nobody can look"):
        steps.platform(session(Trial(Place())))


def test_memory_says_where_shares_could_not_be_seen() -> None:
    assert "RSS" in steps.kind_of_memory([Weight("a", 1, 0), Weight("b", 1, 0, shares=False)])


def test_each_update_is_another_version_and_its_losses_are_counted() -> None:
    trial = Trial()
    trial.lost = 2
    one = session(trial)
    steps.update(one)
    assert trial.did == ["up v2", "up v3", "up v4"]
    assert one.samples == {"update": [2.0] * 3, "update.lost": [2.0] * 3}
    assert one.figures()["update.lost"].value == 2
    assert one.notes["update.lost"] == "the last time 2 of 40 requests lost (40 keep-alive)"


def test_an_update_that_does_not_serve_is_no_figure() -> None:
    class Stuck(Trial):
        def start(self, name: str) -> None:
            super().start(name)
            self.reports[name]["version"] = "v1"

    with pytest.raises(Failed, match="versions that serve"):
        steps.update(session(Stuck()))


def test_no_instance_is_killed_twice() -> None:
    trial = Trial()
    trial.up({"workloads": {"app": {"containers": {"app": {"variables": {"CONF_VERSION": "v1"}}}}}})
    one = session(trial)
    steps.killed_process(one)
    assert trial.did == ["up v1", "kill a", "kill b", "up v2", "kill a"]
    assert all(0 <= sample < 0.1 for sample in one.samples["recovery.process"])
    steps.killed_instance(one)
    assert trial.did[5:] == ["kill b", "up v3", "kill a", "kill b"]


def test_who_has_to_go_may_still_answer_after_a_new_version_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anytier.measure.session.time.sleep", lambda seconds: None)
    trial = Trial()
    trial.up(version("app", "v1"))
    trial.going = 2
    one = session(trial)
    steps.killed_process(one)
    assert len(one.samples["recovery.process"]) == one.repeat and "up v2" in trial.did
    trial.gone = 1 << 30
    with pytest.raises(Failed, match="3 instances"):
        session(trial, clock=iter(range(1 << 20)).__next__).serving()


def test_nobody_comes_back_and_that_is_told() -> None:
    trial = Trial()
    trial.place.heals = False
    trial.up({"workloads": {"app": {"containers": {"app": {"variables": {"CONF_VERSION": "v1"}}}}}})
    with pytest.raises(Failed, match="no new instance answered"):
        steps.killed_process(session(trial))


def test_a_place_that_is_elsewhere_is_not_loaded() -> None:
    trial = Trial()
    trial.place.address = "203.0.113.7"
    with pytest.raises(Failed, match="load goes to this machine only"):
        steps.requests(session(trial))


def test_no_sample_is_begun_when_time_is_over() -> None:
    now = iter([0.0, 5.0, 11.0])
    said: list[str] = []
    one = Session(Trial(), 3, 10.0, said.append, clock=lambda: next(now))  # type: ignore[arg-type]
    assert list(one.rounds()) == [0, 1]
    assert "2 of 3 samples" in said[0]
    with pytest.raises(Failed, match="no time was left"):
        list(Session(Trial(), 3, -1.0, clock=lambda: 0.0).rounds())  # type: ignore[arg-type]
