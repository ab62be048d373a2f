"""What differs, and what of it replaces the resource."""

from __future__ import annotations

from typing import Any

import pytest
from tests.standins.changes import changes, replacing

from anytier.marks import UNKNOWN
from anytier.provider.values import path_text

FACTS = {
    "replaces": ["name", "net.family", "block", "labels.*", "items.size"],
    "replacesWhenTakenAway": ["secret"],
    "replacesWhenChanged": ["role"],
}


def seen(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    return {path_text(c.path): c.kind + ("!" if replacing(c, FACTS) else "") for c in changes(old, new)}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"name": "a"}, {"name": "a"}, {}),
        ({"name": "a"}, {"name": "b"}, {"name": "UPDATE!"}),
        ({"size": 1}, {"size": 2}, {"size": "UPDATE"}),
        ({"size": 1}, {"size": UNKNOWN}, {"size": "UPDATE"}),
        ({"name": "a"}, {"name": UNKNOWN}, {"name": "UPDATE!"}),
        ({"on": True}, {"on": 1}, {"on": "UPDATE"}),
        ({"net": {"family": "4", "x": 1}}, {"net": {"family": "6", "x": 1}}, {"net.family": "UPDATE!"}),
        ({"net": {"family": "4", "x": 1}}, {"net": {"family": "4", "x": 2}}, {"net.x": "UPDATE"}),
        ({}, {"net": {"x": 1}}, {"net": "ADD"}),
        ({}, {"net": {"family": "4"}}, {"net": "ADD!"}),  # what is below counts
        ({"block": {"x": 1}}, {"block": {"x": 2}}, {"block.x": "UPDATE"}),  # only whether it is there
        ({"block": {"x": 1}}, {}, {"block": "DELETE!"}),
        ({"labels": {"a": "1"}}, {"labels": {"a": "2"}}, {"labels.a": "UPDATE!"}),
        ({"labels": {}}, {"labels": {"a": "2"}}, {"labels.a": "ADD!"}),
        ({"items": [{"size": 1}]}, {"items": [{"size": 2}]}, {"items[0].size": "UPDATE!"}),
        ({"items": [{"n": 1}]}, {"items": [{"n": 1}, {"n": 2}]}, {"items[1]": "ADD"}),
        ({"secret": "k"}, {}, {"secret": "DELETE!"}),
        ({"secret": "k"}, {"secret": "l"}, {"secret": "UPDATE"}),
        ({}, {"role": "r"}, {"role": "ADD"}),
        ({"role": "r"}, {"role": "s"}, {"role": "UPDATE!"}),
        ({"__defaults": ["name"]}, {"__defaults": []}, {}),
        ({"size": None}, {}, {}),
    ],
)
def test_changes(old: dict[str, Any], new: dict[str, Any], found: dict[str, str]) -> None:
    assert seen(old, new) == found
