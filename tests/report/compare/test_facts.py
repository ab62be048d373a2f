"""The data: nothing is missing, everything says where it is from, and no price is made up as it goes."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from anytier.capabilities import MODES, TIERS
from anytier.report.compare import facts
from anytier.report.compare.facts import KEYS, PATCHES, prices

ROOT = Path(__file__).parents[3]
DAY = datetime.date(2026, 11, 28)


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_has_every_fact_with_its_source(tier: str) -> None:
    found = facts.facts(tier)
    assert found.tier == tier and set(found.facts) == set(KEYS)
    assert set(found.modes) <= set(MODES.get(tier, ()))
    named = {fact.source for mode in (found.facts, *found.modes.values()) for fact in mode.values()}
    assert named == set(found.sources), "a source that no fact names, or the other way round"
    for mode in found.modes.values():
        assert set(mode) <= set(KEYS)
    for key in PATCHES:
        for name in (None, *MODES.get(tier, ())):
            assert found.of(key, name).by is not None


@pytest.mark.parametrize("tier", TIERS)
def test_a_source_can_be_looked_up_and_is_dated(tier: str) -> None:
    for source in (*facts.facts(tier).sources.values(), *prices().sources.values()):
        assert source.date is not None and datetime.date(2026, 1, 1) <= source.date <= DAY, source
        if source.url is None:
            assert (ROOT / source.name).is_file(), source
        else:
            assert source.url.startswith("https://"), source


def test_what_is_said_to_be_unknown_is_unknown() -> None:
    for tier in TIERS:
        for key in KEYS:
            cell = facts.cell(tier, None, key)
            assert cell.known == (cell.text != "unknown")
            assert cell.known or cell.note, "what is unknown says why"
            assert not key.startswith("need.") or cell.known == (cell.meets is not None)


def test_prices_are_above_nothing_and_of_known_tiers() -> None:
    found = prices()
    assert found.hours == 730
    for tier, table in found.machines.items():
        assert tier in TIERS and table.source in found.sources
        for region, types in table.regions.items():
            assert types and all(0.01 < price < 10 for price in types.values()), region
    for item in found.alike:
        assert found.machine(item.tier, item.region, item.type)


def test_what_has_no_price_has_none() -> None:
    found = prices()
    assert found.machine("eks", "eu-central-1", "m7g.large") is None
    assert found.machine("eks", "mars-1", "m6i.large") is None
    assert found.machine("docker", "eu-central-1", "m6i.large") is None
    assert found.control_plane("aks", "premium") is None


def test_a_mode_differs_where_it_is_said_to() -> None:
    assert facts.cell("eks", "standard", "scale.machines").by == "none"
    assert facts.cell("eks", "auto", "scale.machines").by == "provider"
    assert facts.cell("eks", "auto", "sla") == facts.cell("eks", None, "sla")
