"""What replaces, said twice and independently: by each tier's list, which its tests hold changes against, and by the
facts that the stood-in clouds go by. Neither may miss what the tier sets."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from anytier.recording.stack import plan
from anytier.report.plan.graph import Graph
from anytier.tiers import aksfacts, eksplan, gkeplan

ROOT = Path(__file__).parents[2]
FACTS = Path(__file__).parent / "facts"
SDKS = {"eks": "pulumi_aws", "gke": "pulumi_gcp", "aks": "pulumi_azure_native"}
CLOUD = {"eks": "aws", "gke": "gcp", "aks": "azure-native"}
LISTS: Mapping[str, Mapping[str, Collection[str]]] = {
    "eks": eksplan.REPLACES,
    "gke": gkeplan.REPLACES,
    "aks": aksfacts.REPLACES,
}
CHANGED = ("replaces", "replacesWhenChanged")
MODES: Mapping[str, list[dict[str, Any]]] = {
    "eks": [{}, {"mode": "auto"}, {"nat": "none"}],
    "gke": [{}, {"mode": "autopilot"}],
    "aks": [{}],
}


@cache
def facts(tier: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FACTS / f"{CLOUD[tier]}.json").read_text())["resources"]
    return found


def said(about: Mapping[str, Any], *keys: str) -> set[str]:
    """Paths, without the star that stands for all below one."""
    return {path.removesuffix(".*") for key in keys for path in about.get(key, ())}


def within(path: str, others: Collection[str]) -> bool:
    """Whether a path is one of others, or below one."""
    return any(path == other or path.startswith(f"{other}.") for other in others)


def paths(tree: Any, path: str = "") -> Iterator[str]:
    """The dotted path of every value that is set, however deep; elements of lists without their numbers."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            below = f"{path}.{key}" if path else key
            yield below
            yield from paths(value, below)
    elif isinstance(tree, list):
        for value in tree:
            yield from paths(value, path)


@cache
def planned(tier: str, mode: str) -> Graph:
    config = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{tier}.yaml").read_text())["config"]
    return plan(ROOT, tier, {**config, f"anytier:{tier}": json.loads(mode)}).graph


@pytest.mark.parametrize("tier", LISTS)
def test_whatever_a_tier_says_to_replace_does_so_by_the_facts(tier: str) -> None:
    for type, properties in LISTS[tier].items():
        known = said(facts(tier)[type], *CHANGED, "replacesWhenTakenAway")
        unknown = {path for path in properties if not within(path, known) and not any(within(k, [path]) for k in known)}
        assert unknown == set(), type


def test_what_azure_refuses_to_change_on_a_pool_is_the_same_in_both() -> None:
    known = facts("aks")["azure-native:containerservice:AgentPool"]["fixed"]
    assert sorted(known) == [name for name in sorted(aksfacts.FIXED_ON_A_POOL) if name != "name"]  # it is the pool


@pytest.mark.parametrize("tier", LISTS)
def test_whatever_a_tier_sets_and_the_facts_replace_is_in_its_list(tier: str) -> None:
    pytest.importorskip(SDKS[tier], reason="make test-clouds")
    for options in MODES[tier]:
        for node in planned(tier, json.dumps(options)).resources:
            if node.type not in LISTS[tier]:
                continue
            about = facts(tier)[node.type]
            names = {*about.get("identity", ()), "resourceGroupName", "region"}  # of the thing itself: chosen once
            known = said(about, *CHANGED)  # nothing that is set here is ever taken away
            found = {path for path in paths(node.inputs) if within(path, known) and path not in names}
            missed = {path for path in found if not within(path, [*LISTS[tier][node.type], *node.ignore_changes])}
            assert missed == set(), f"{node.type} {node.name}"
