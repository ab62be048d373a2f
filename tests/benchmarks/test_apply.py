"""The benchmark of many workloads: both sides put the same objects there, and only the great number has limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from anytier.capabilities import check
from anytier.render.kubernetes import Target, render
from anytier.spec import App
from anytier.spec.load import diagnose
from anytier.spec.walk import used_fields
from benchmarks.cases import apply


def test_its_app_is_valid_on_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(apply.yaml.safe_dump(apply.spec(3)))
    app, found = diagnose(tmp_path / "app.yaml", "kubeadm")
    assert app is not None and found == [] and check(used_fields(app), "kubeadm") == []


def test_what_is_applied_by_hand_begins_with_the_namespace_and_has_every_workload() -> None:
    items = apply.objects(render(App.model_validate(apply.spec(3)), Target(apply.NS, addresses=("10.0.0.11",)), Path()))
    kinds = [item.object["kind"] for item in items]
    assert kinds[0] == "Namespace" and kinds.count("Deployment") == 3 and kinds.count("Service") == 3


@pytest.mark.parametrize(("size", "verdicts"), [(2, {"no limit"}), (200, {"missed", "no limit"})])
def test_only_many_are_held_against_limits(size: int, verdicts: set[str]) -> None:
    mine = [{"made": 30.0, "preview": 20.0, "gone": 5.0}]
    theirs = [{"made": 10.0, "ready": 12.0, "preview": 4.0, "gone": 5.0}]
    found = apply.rows_of(size, {"anytier": mine, "kubectl": theirs})
    assert {row.verdict for row in found} == verdicts
    assert [row.ratio for row in found] == [3.0, 2.5, 5.0, 1.0]
