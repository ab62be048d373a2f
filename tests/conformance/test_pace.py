"""A slower place is given longer, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from anytier.conformance.pace import longer, paced
from anytier.conformance.trial import read_spec
from anytier.spec.load import diagnose

APP = Path(__file__).parents[2] / "apps" / "conformance"


@pytest.fixture
def spec() -> dict[str, Any]:
    return read_spec(APP / "app.yaml")


def test_at_pace_1_the_app_is_what_its_file_says(spec: dict[str, Any]) -> None:
    assert paced(spec, 1.0) == spec


@pytest.mark.parametrize("pace", [2.5, 10.0])
def test_the_app_of_a_slower_place_is_valid(spec: dict[str, Any], pace: float, tmp_path: Path) -> None:
    shutil.copytree(APP, tmp_path / "app")
    file = tmp_path / "app" / "app.yaml"
    file.write_text(json.dumps(paced(spec, pace)))
    app, found = diagnose(file)
    assert app is not None and found == []


def test_probes_and_deadlines_are_longer(spec: dict[str, Any]) -> None:
    before = json.dumps(spec)
    slow = paced(spec, 4.0)
    assert json.dumps(spec) == before
    app = slow["workloads"]["app"]
    wanted = {"periodSeconds": 4, "timeoutSeconds": 4, "initialDelaySeconds": 20, "failureThreshold": 3}
    assert {**app["containers"]["app"]["livenessProbe"], "httpGet": None} == {**wanted, "httpGet": None}
    assert app["update"] == {
        "maxParallel": 2,
        "minHealthyTime": "1500ms",
        "healthyDeadline": "40000ms",
        "progressDeadline": "160000ms",
        "drainTimeout": "40000ms",
    }
    assert slow["workloads"]["store"]["containers"]["store"]["stopGracePeriod"] == "32000ms"
    assert slow["jobs"]["before"]["timeout"] == "120000ms"


def test_nothing_but_times_differs(spec: dict[str, Any]) -> None:
    times = {"periodSeconds", "timeoutSeconds", "initialDelaySeconds", "stopGracePeriod", "timeout"}
    times |= {"healthyDeadline", "progressDeadline", "drainTimeout"}
    assert bare(paced(spec, 7.0), times) == bare(spec, times)


def bare(value: Any, left_out: set[str]) -> Any:
    if isinstance(value, dict):
        return {name: bare(item, left_out) for name, item in value.items() if name not in left_out}
    return [bare(item, left_out) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("text", "times", "wanted"), [("10s", 2, "20000ms"), ("1500ms", 3, "4500ms"), (8, 2, "16000ms")]
)
def test_a_duration_times_something(text: Any, times: float, wanted: str) -> None:
    assert longer(text, times) == wanted
