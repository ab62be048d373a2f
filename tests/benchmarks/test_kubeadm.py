"""The benchmark of clusters: both sides begin and end alike, and what ours deploys is what it says."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.tiers.test_kubeadm import filled

from anytier.bundle.manifest import Bundle
from anytier.capabilities import check
from anytier.spec.load import diagnose
from anytier.spec.walk import used_fields
from anytier.tiers.kubeadmargs import KubeadmArgs
from anytier.tiers.kubeadmplan import decide
from benchmarks.cases import kubeadm
from benchmarks.measure import CommandFailed


def box(number: int) -> Any:
    address = f"172.30.0.{number}"
    return SimpleNamespace(address=address, machine=lambda: {"address": address, "user": "root", "keyFile": "/k"})


def test_ours_is_a_cluster_of_these_machines_whose_first_takes_pods_too(tmp_path: Path) -> None:
    bundle = Bundle.read(filled(tmp_path / "bundle"))
    args = KubeadmArgs.model_validate(kubeadm.stack_config([box(2), box(3), box(4)], bundle))
    plan = decide(args, args.machines, [], bundle, "bench", "")
    assert [item.name for item in plan.members] == ["box1", "box2", "box3"]
    assert plan.control.address == "172.30.0.2" and all(item.pods for item in plan.members)


def test_its_app_is_valid_on_a_cluster_and_its_image_comes_with_the_bundle(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text(kubeadm.spec())
    app, found = diagnose(tmp_path / "app.yaml", "kubeadm")
    assert app is not None and found == [] and check(used_fields(app), "kubeadm") == []
    bundle = Bundle.read(filled(tmp_path / "bundle"))
    assert app.workloads["app"].containers["app"].image in bundle.references


def test_only_the_time_to_ready_is_held_against_a_limit() -> None:
    mine = [{"ready": 30.0, "whole": 40.0, "unchanged": 3.0}]
    found = kubeadm.rows(3, {"anytier": mine, "by hand": [{"ready": 20.0}]})
    assert [(row.verdict, row.mine) for row in found] == [("missed", 30.0), ("no limit", 40.0), ("no limit", 3.0)]


def test_a_run_that_failed_is_not_waited_for() -> None:
    running: Future[float] = Future()
    running.set_exception(CommandFailed("it failed"))
    with pytest.raises(CommandFailed, match="it failed"):
        kubeadm.until_ready([box(2)], 10**9, running)
