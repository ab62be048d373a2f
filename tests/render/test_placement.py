"""Placement: even, steady, with the fewest moves, and only where it fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.placement import Placement, assign, counts, fitting, turned, unknown_hosts


@dataclass(frozen=True)
class Machine:
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)


FLEET = [Machine("a", {"disk": "ssd", "rack": "1"}), Machine("b", {"disk": "ssd"}), Machine("c")]
NAMES = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=5, unique=True)
PREVIOUS = st.dictionaries(st.integers(0, 12), st.sampled_from("abcdefgh"), max_size=12)


@pytest.mark.parametrize(
    ("placement", "found"),
    [
        ({}, ["a", "b", "c"]),
        ({"hosts": ["c", "a"]}, ["a", "c"]),
        ({"labels": {"disk": "ssd"}}, ["a", "b"]),
        ({"labels": {"disk": "ssd", "rack": "1"}}, ["a"]),
        ({"labels": {"disk": "ssd"}, "hosts": ["b", "c"]}, ["b"]),
        ({"labels": {"disk": "hdd"}}, []),
        ({"hosts": ["d"]}, []),
    ],
)
def test_any_of_the_names_and_all_of_the_labels(placement: dict[str, object], found: list[str]) -> None:
    assert fitting(FLEET, Placement.model_validate(placement)) == found


def test_a_name_that_no_machine_has_is_told() -> None:
    assert unknown_hosts(FLEET, Placement(hosts=["a", "x", "y"])) == ["x", "y"]


@given(NAMES, st.integers(0, 12), PREVIOUS)
def test_every_index_is_on_a_machine_that_fits_and_shares_are_even(
    fits: list[str], count: int, previous: dict[int, str]
) -> None:
    found = assign(fits, count, previous)
    assert list(found) == list(range(count)) and set(found.values()) <= set(fits)
    shares = [counts(found).get(name, 0) for name in fits]
    assert max(shares) - min(shares) <= 1


@given(NAMES, st.integers(0, 12), PREVIOUS)
def test_what_is_placed_well_stays(fits: list[str], count: int, previous: dict[int, str]) -> None:
    found = assign(fits, count, previous)
    assert assign(fits, count, found) == found
    assert assign(list(reversed(fits)), count, found) == found, "the order of the list moves nobody"


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True), st.integers(1, 5), PREVIOUS)
def test_no_even_way_moves_fewer(fits: list[str], count: int, previous: dict[int, str]) -> None:
    def moves(way: Mapping[int, str]) -> int:
        return sum(way[index] != previous.get(index, way[index]) for index in way)

    def even(way: Mapping[int, str]) -> bool:
        shares = [list(way.values()).count(name) for name in fits]
        return max(shares) - min(shares) <= 1

    ways = [dict(enumerate(names)) for names in product(fits, repeat=count)]
    fewest = min(moves(way) for way in ways if even(way))
    assert moves(assign(fits, count, previous)) == fewest


@given(NAMES, st.integers(1, 12), PREVIOUS)
def test_what_shares_data_is_together_and_stays_where_most_of_it_is(
    fits: list[str], count: int, previous: dict[int, str]
) -> None:
    found = assign(fits, count, previous, "together")
    (name,) = set(found.values())
    there = [previous[index] for index in range(count) if previous.get(index) in fits]
    assert there.count(name) == max(map(there.count, fits))
    assert assign(fits, count, found, "together") == found


@given(NAMES)
def test_one_on_each(fits: list[str]) -> None:
    assert sorted(assign(fits, len(fits), {}, "each").values()) == sorted(fits)


@given(NAMES, st.integers(1, 6), st.integers(0, 6), st.integers(1, 12))
def test_who_scales_out_and_in_again_moves_nobody(fits: list[str], few: int, more: int, left: int) -> None:
    small = assign(fits, few, {})
    large = assign(fits, few + more, small)
    assert {index: large[index] for index in small} == small
    fewer = assign(fits, min(left, few + more), large)
    assert all(large[index] == name for index, name in fewer.items())


def test_a_machine_more_takes_its_share_and_no_more() -> None:
    assert assign(["a", "b", "c"], 4, {0: "a", 1: "b", 2: "a", 3: "b"}) == {0: "a", 1: "b", 2: "a", 3: "c"}


def test_a_machine_less_gives_its_own_to_the_others() -> None:
    assert assign(["a", "b"], 3, {0: "a", 1: "b", 2: "c"}) == {0: "a", 1: "b", 2: "a"}


@given(NAMES, st.text(max_size=20))
def test_workloads_begin_with_different_machines(fits: list[str], workload: str) -> None:
    found = turned(fits, workload)
    assert sorted(found) == sorted(fits) and turned(fits, workload) == found


def test_single_instances_do_not_all_end_up_on_the_first_machine() -> None:
    firsts = {turned(["a", "b", "c"], f"workload-{number}")[0] for number in range(12)}
    assert firsts == {"a", "b", "c"}
