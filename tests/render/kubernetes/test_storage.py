"""Volumes as claims: size, class, access, and where there is no storage at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.render.kubernetes.samples import TARGET, objects, rendered, spec

from anytier.errors import CapabilityError, SpecError


def claim(**more: Any) -> dict[str, Any]:
    found: dict[str, Any] = objects(spec(resources={"data": {"type": "volume", **more}}))["volume/data"]["spec"]
    return found


def test_a_claim_is_small_and_of_the_default_class_unless_said() -> None:
    assert claim() == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    made = claim(**{"class": "fast"}, params={"size": "10Gi"})
    assert (made["storageClassName"], made["resources"]["requests"]["storage"]) == ("fast", "10Gi")


@pytest.mark.parametrize(
    ("params", "path"),
    [({"sise": "1Gi"}, "sise"), ({"size": 10}, "size"), ({"size": "10"}, "size"), ({"access": "all"}, "access")],
)
def test_parameters_that_mean_nothing_are_refused(params: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as told:
        claim(params=params)
    assert told.value.path == f"resources.data.params.{path}" and told.value.do


def test_no_storage_is_told_at_once() -> None:
    app = spec(resources={"data": {"type": "volume"}})
    with pytest.raises(CapabilityError, match=r"resources\.data"):
        rendered(app, replace(TARGET, offers=frozenset()))
    assert rendered(app, replace(TARGET, offers=frozenset(), storage_class="mine"))
