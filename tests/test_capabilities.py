"""The capability table: every tier in every row, lookup by the nearest row, and what a check refuses."""

from __future__ import annotations

import pytest

from anytier import capabilities as c
from anytier.report import matrix


@pytest.mark.parametrize("path", sorted(c.TABLE))
def test_every_row_has_every_tier_and_explains_what_is_not_native(path: str) -> None:
    assert tuple(c.TABLE[path]) == c.TIERS
    for cell in [cell for base in c.TABLE[path].values() for cell in (base, *base.modes.values())]:
        if cell.status != "native":
            assert cell.note, path
        if cell.status == "unsupported":
            assert cell.instead, path


def test_a_tier_that_is_not_built_says_so() -> None:
    assert c.lookup("workloads.web.scale.replicas", "eks").status == "planned"


def test_lookup_takes_the_nearest_row_above() -> None:
    assert c.lookup("workloads.web.containers.web.livenessProbe.httpGet.path", "docker").status == "emulated"
    assert c.lookup("workloads.web.containers.web.livenessProbe.grpc.port", "docker").status == "unsupported"


def test_a_value_can_have_a_row_of_its_own() -> None:
    path = "workloads.web.update.strategy"
    assert c.lookup(path, "docker", value="canary").status == "planned"
    assert c.lookup(path, "docker", value="rolling").status == "emulated"


def test_a_mode_overrides_its_tier() -> None:
    path = "workloads.web.containers.web.resources.limits.cpu"
    assert c.lookup(path, "local", "systemd").status == "native"
    assert c.lookup(path, "local", "supervisord").status == "unsupported"


def test_a_finding_names_the_field_the_tier_the_reason_and_the_way_out() -> None:
    [finding] = c.check([(("workloads", "web", "placement", "hosts"), None), (("kind",), "App")], "docker")
    text = str(finding.error())
    for part in ("workloads.web.placement.hosts", "docker", "there is one machine", "overrides"):
        assert part in text


def test_a_field_without_a_row_is_a_defect() -> None:
    with pytest.raises(KeyError):
        c.lookup("nothing.like.this", "docker")


def test_the_matrix_prints_every_row_in_every_form() -> None:
    text, page = matrix.as_text(c.TIERS), matrix.as_markdown()
    for path in c.TABLE:
        assert path in text and f"`{path}`" in page
    assert [row["field"] for row in matrix.as_json(c.TIERS)] == sorted(c.TABLE)
