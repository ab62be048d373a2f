"""Every resource that a managed tier registers, in each of its modes, against the types of the cloud's own SDK: a name
that it does not know, a wrong type, a missing input. As the stood-in plugins would refuse it, without an engine."""

from __future__ import annotations

from functools import cache

import pytest
from tests.policy.test_stacks import ARM, AUTOMATIC, SDKS, planned
from tests.standins.check import check
from tests.standins.clouds.aws import Aws
from tests.standins.clouds.azure import Azure
from tests.standins.clouds.base import Cloud, Scene
from tests.standins.clouds.gcp import Gcp
from tests.standins.shapes import Sdk

from anytier.policy.plan import resources
from anytier.provider.values import plain

CLOUDS: dict[str, Cloud] = {"eks": Aws(), "gke": Gcp(), "aks": Azure()}
WHERE = {"region": "r", "project": "my-project-123", "location": "westeurope"}
STACKS = [
    *((tier, options) for tier in SDKS for options in ({}, ARM)),
    ("eks", {"mode": "auto"}),
    ("gke", {"mode": "autopilot"}),
    ("aks", AUTOMATIC),
]


@cache
def sdk(tier: str) -> Sdk:
    return Sdk(SDKS[tier])


@pytest.mark.parametrize("stack", STACKS, ids=lambda stack: "-".join([stack[0], *stack[1]]))
def test_the_sdk_knows_every_property_that_it_is_given_and_misses_none(stack: tuple[str, dict[str, object]]) -> None:
    tier, options = stack
    graph, _ = planned(tier, options)
    cloud, scene = CLOUDS[tier], Scene(dict(WHERE))
    looked_at = 0
    for item in resources(graph.model_dump(mode="json", by_alias=True)):
        if not item.type.startswith(f"{cloud.name}:"):
            continue
        shape = sdk(tier).resource(item.type)
        assert shape is not None and item.type in cloud.facts, item.type
        given = {key: value for key, value in plain(item.props).items() if value is not None}
        assert check(shape, cloud.defaults(shape, given, scene)) == [], f"{item.type} {item.name}"
        looked_at += 1
    assert looked_at > 5
