"""The app that is measured is the conformance app without what waits on purpose, and a valid spec."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from anytier.conformance.pace import paced
from anytier.conformance.patch import merged
from anytier.measure.lean import lean
from anytier.measure.session import ONE_BY_ONE
from anytier.spec.load import load

APP = Path(__file__).parents[2] / "apps" / "conformance"
SPEC: dict[str, Any] = yaml.safe_load((APP / "app.yaml").read_text())


def test_it_is_a_valid_spec_of_one_workload(tmp_path: Path) -> None:
    shutil.copytree(APP, tmp_path / "app")
    (tmp_path / "app" / "app.yaml").write_text(json.dumps(merged(lean(SPEC), ONE_BY_ONE)))
    app = load(tmp_path / "app" / "app.yaml")
    assert list(app.workloads) == ["app"] and app.workloads["app"].scale.replicas == 2
    assert not app.jobs and not app.resources
    assert [route.workload for route in app.routes] == ["app"]


def test_it_keeps_probes_files_and_secrets_and_what_it_is_given_stays_as_it_was() -> None:
    before = copy.deepcopy(SPEC)
    container = lean(SPEC)["workloads"]["app"]["containers"]["app"]
    whole = SPEC["workloads"]["app"]["containers"]["app"]
    assert {key: container[key] for key in container if key != "variables"} == {
        key: whole[key] for key in whole if key != "variables"
    }
    assert set(whole["variables"]) - set(container["variables"]) == {"CONF_PEER_ECHO", "CONF_PEER_STORE"}
    assert before == SPEC


def test_it_is_paced_as_the_suites_is() -> None:
    assert lean(paced(SPEC, 3))["workloads"] == paced(lean(SPEC), 3)["workloads"]
