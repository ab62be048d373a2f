"""Variants are patches: what a patch does not name stays, and nothing that is passed in changes."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from anytier.conformance.patch import behaviour, container, merged, replicas, version, workload

leaves = st.one_of(st.booleans(), st.integers(), st.text(max_size=5), st.lists(st.integers(), max_size=3))
trees = st.recursive(leaves, lambda below: st.dictionaries(st.sampled_from("abcd"), below, max_size=4), max_leaves=12)
mappings = st.dictionaries(st.sampled_from("abcd"), trees, max_size=4)


def test_a_patch_replaces_values_merges_mappings_and_removes_by_none() -> None:
    base = {"keep": 1, "list": [1, 2], "map": {"x": 1, "y": 2}, "gone": {"z": 1}}
    patch = {"list": [3], "map": {"y": None, "new": {"deep": True}}, "gone": None}
    assert merged(base, patch) == {"keep": 1, "list": [3], "map": {"x": 1, "new": {"deep": True}}}


def test_later_patches_win() -> None:
    assert merged({}, version("app", "v2"), version("app", "v3")) == version("app", "v3")


def test_helpers_name_the_container_of_the_workload() -> None:
    assert workload("app", {"scale": {"replicas": 3}}) == replicas("app", 3)
    assert container("app", {"image": "x"}) == {"workloads": {"app": {"containers": {"app": {"image": "x"}}}}}
    variables = behaviour("app", "exit")["workloads"]["app"]["containers"]["app"]["variables"]
    assert variables == {"CONF_BEHAVIOUR": "exit", "CONF_VERSION": "bad"}


@given(mappings, mappings)
def test_merging_is_pure_and_settles(base: dict[str, Any], patch: dict[str, Any]) -> None:
    before = copy.deepcopy((base, patch))
    once = merged(base, patch)
    assert (base, patch) == before
    assert merged(once, patch) == once
    assert merged(base, {}) == base
    assert merged(base, base) == base


@given(mappings, mappings)
def test_what_a_patch_names_is_there_afterwards(base: dict[str, Any], patch: dict[str, Any]) -> None:
    result = merged(base, patch)
    assert set(result) == set(base) | set(patch)
    for key in base.keys() - patch.keys():
        assert result[key] == base[key]
