"""`anytier matrix` as a process."""

from __future__ import annotations

import json

from tests.cli.console import anytier

from anytier.capabilities import TABLE


def test_a_tier_and_a_field_can_be_picked() -> None:
    done = anytier("matrix", "--tier", "docker", "--field", "livenessProbe.grpc")
    assert done.code == 0
    assert "  docker no: no gRPC prober here; instead: use tcpSocket" in done.out and "local" not in done.out


def test_a_concrete_path_falls_under_its_row() -> None:
    done = anytier("matrix", "--tier", "docker", "--field", "workloads.web.scale.replicas")
    assert done.out == "workloads.web.scale.replicas\n  docker yes\n"


def test_a_path_that_is_no_field_gets_the_nearest_one() -> None:
    done = anytier("matrix", "--field", "workloads.web.scale.replcas")
    assert done.code == 1 and "did you mean 'workloads.*.scale.replicas'?" in done.err


def test_a_program_gets_every_row_with_its_reasons() -> None:
    found = json.loads(anytier("matrix", "--json").out)
    assert {row["field"] for row in found} == set(TABLE)
    assert all(cell["note"] for row in found for cell in row["tiers"].values() if cell["status"] != "native")


def test_an_unknown_tier_is_wrong_usage() -> None:
    done = anytier("matrix", "--tier", "dcoker")
    assert done.code == 2 and "(did you mean 'docker'?)" in done.err
