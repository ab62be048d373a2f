"""What the SDK would not take is refused, with the path to it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.standins.check import check
from tests.standins.shapes import Shape

from anytier.marks import UNKNOWN


def needed(kind: Any) -> dict[str, Any]:
    return {"kind": kind, "required": True}


def free(kind: Any) -> dict[str, Any]:
    return {"kind": kind, "required": False}


SHAPE = Shape(
    {
        "name": needed("string"),
        "count": free("integer"),
        "ratio": free("number"),
        "on": free("boolean"),
        "tags": free(["map", "string"]),
        "parts": free(["list", ["object", "Part"]]),
        "kind": free(["enum", ["a", "b"]]),
        "either": free(["union", ["string", ["object", "Part"]]]),
        "free": free("any"),
    },
    {},
    {"Part": {"size": needed("integer"), "deeper": free(["object", "Part"])}},
)


def test_what_is_right_passes() -> None:
    whole = {
        "name": "x",
        "count": 3,
        "ratio": 1,
        "on": False,
        "tags": {"a.b": "c"},
        "parts": [{"size": 1, "deeper": {"size": 2}}],
        "kind": "a",
        "either": {"size": 1},
        "free": [1, {"a": None}],
        "__defaults": ["name"],
    }
    assert check(SHAPE, whole) == []
    assert check(SHAPE, {"name": UNKNOWN, "parts": [UNKNOWN, {"size": UNKNOWN}]}) == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"cuont": 1}, "cuont: is not known to the SDK; did you mean count?"),
        ({"zzz": 1}, "zzz: is not known to the SDK"),
        ({"count": "1"}, "count: must be integer, not a string"),
        ({"count": 1.5}, "count: must be integer, not a number"),
        ({"count": True}, "count: must be integer, not a boolean"),
        ({"on": "true"}, "on: must be boolean, not a string"),
        ({"ratio": "1"}, "ratio: must be number, not a string"),
        ({"tags": ["a"]}, "tags: must be a map, not a list"),
        ({"tags": {"a.b": 1}}, 'tags["a.b"]: must be string, not a number'),
        ({"parts": {"size": 1}}, "parts: must be a list, not an object"),
        ({"parts": [{"size": 1}, {}]}, "parts[1].size: is required"),
        ({"parts": [{"size": 1, "deeper": {"size": "x"}}]}, "parts[0].deeper.size: must be integer, not a string"),
        ({"kind": "c"}, "kind: must be one of a, b"),
        ({"either": 3}, "either: must be string, not a number"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(more: dict[str, Any], said: str) -> None:
    assert check(SHAPE, {"name": "x", **more}) == [said]


def test_nothing_where_something_is_needed() -> None:
    assert check(SHAPE, {}) == check(SHAPE, {"name": None}) == ["name: is required"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_value_is_either_right_or_told_without_being_shown(value: Any) -> None:
    for name in SHAPE.inputs:
        for line in check(SHAPE, {"name": "x", name: value}):
            assert line.partition(":")[0].startswith(name)
            assert not isinstance(value, str) or len(value) < 12 or value not in line
