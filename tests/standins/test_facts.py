"""The facts about the clouds hang together, and the SDKs know what they speak of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.standins import plugin
from tests.standins.clouds import aws, azure, gcp
from tests.standins.clouds.base import CERTIFICATE, FACTS, Cloud, Scene, short
from tests.standins.installed import needs_sdks
from tests.standins.shapes import Sdk, Shape

IDS = {"aws": aws.IDS, "gcp": gcp.IDS, "azure-native": azure.IDS}
CLOUDS = sorted(plugin.CLOUDS)


@pytest.fixture(scope="module")
def sdks() -> dict[str, Sdk]:
    return {name: Sdk(plugin.cloud(name).package) for name in CLOUDS}


def known(shape: Shape, rule: str) -> bool:
    fields: Any = shape.inputs
    for step in rule.removesuffix(".*").split("."):
        if step not in fields:
            return False
        kind = fields[step]["kind"]
        while isinstance(kind, list) and kind[0] in ("list", "map"):
            kind = kind[1]
        fields = shape.objects.get(kind[1], {}) if isinstance(kind, list) and kind[0] == "object" else {}
    return True


@pytest.mark.parametrize("name", CLOUDS)
def test_facts_say_where_they_are_from_and_what_ids_look_like(name: str) -> None:
    file = json.loads((FACTS / f"{name}.json").read_text())
    assert file["source"] and file["date"]
    assert {short(token) for token in file["resources"]} == set(IDS[name])


@needs_sdks
@pytest.mark.parametrize("name", CLOUDS)
def test_the_sdk_knows_what_facts_speak_of(name: str, sdks: dict[str, Sdk]) -> None:
    cloud = plugin.cloud(name)
    for token, facts in cloud.facts.items():
        shape = sdks[name].resource(token)
        assert shape is not None, token
        keys = ("replaces", "replacesWhenTakenAway", "replacesWhenChanged", "fixed")
        rules = [rule for key in keys for rule in facts.get(key, ())]
        assert [rule for rule in rules if not known(shape, rule)] == [], token
        prop = cloud.name_property(token, shape)
        assert prop is None or prop in shape.inputs, token
    for token, holders in cloud.holders.items():
        assert token in cloud.facts
        for holder in holders:
            holding = sdks[name].resource(holder.type)
            assert holding is not None and known(holding, holder.path), holder


@needs_sdks
@pytest.mark.parametrize("name", CLOUDS)
def test_the_sdk_knows_the_functions_that_are_answered(name: str, sdks: dict[str, Sdk]) -> None:
    for token in plugin.cloud(name).answers():
        assert sdks[name].function(token) is not None, token


def test_a_cluster_is_what_the_test_says() -> None:
    scene = Scene({}, control={"clusters": {"prod-*": {"endpoint": "https://127.0.0.1:6443"}}})
    assert scene.cluster("prod-1") == {"endpoint": "https://127.0.0.1:6443"}
    assert scene.cluster("dev") == {}


def test_the_certificate_is_one() -> None:
    assert CERTIFICATE.startswith("-----BEGIN CERTIFICATE-----\n") and "PRIVATE" not in CERTIFICATE


@pytest.mark.parametrize("name", CLOUDS)
def test_a_cloud_keeps_its_contract(name: str) -> None:
    cloud = plugin.cloud(name)
    assert isinstance(cloud, Cloud) and cloud.name == name
    assert Path(FACTS / f"{cloud.name}.json").is_file()
    assert cloud.configured({"region": "r", "project": "p"}, {}) == []
    assert len(cloud.configured({"region": "r"}, {"credentials": False})) == 1
