"""Differences are found at the leaves, and mean what the fields say."""

from __future__ import annotations

from typing import Annotated, Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field
from tests.provider.test_values import TREES

from anytier.frozen import Frozen
from anytier.marks import UNKNOWN
from anytier.provider.diff import Change, by_path, diff, drift, forced, ignored_paths, top_level
from anytier.provider.fields import Behaviour, behaviour, delete_first, ignored, normalise, replaces, secret


class Endpoint(Frozen):
    host: str = ""
    key: Annotated[str, secret] = ""


class Port(Frozen):
    number: Annotated[int, delete_first] = 0
    label: Annotated[str, ignored] = ""


class Inputs(Frozen):
    endpoint: Annotated[Endpoint | None, replaces] = None
    ports: list[Port] = Field(default_factory=list)
    by_name: dict[str, Port] = Field(default_factory=dict)
    tags: dict[str, str] = Field(default_factory=dict)
    case: Annotated[str, normalise(str.lower)] = ""
    anything: Any = None


def kinds(old: dict[str, Any], new: dict[str, Any], *ignore: str) -> dict[str, str]:
    return {path: item.name for path, item in by_path(diff(Inputs, old, new, ignored_paths(ignore))).items()}


def test_changes_are_named_by_their_leaves() -> None:
    old = {"tags": {"a.b": "1", "gone": "x"}, "anything": {"deep": [1, 2]}}
    new = {"tags": {"a.b": "2", "come": "y"}, "anything": {"deep": [1, 3, 4]}}
    assert kinds(old, new) == {
        'tags["a.b"]': "UPDATE",
        "tags.gone": "DELETE",
        "tags.come": "ADD",
        "anything.deep[1]": "UPDATE",
        "anything.deep[2]": "ADD",
    }


def test_a_behaviour_holds_for_everything_below() -> None:
    assert kinds({"endpoint": {"host": "a"}}, {"endpoint": {"host": "b"}}) == {"endpoint.host": "UPDATE_REPLACE"}
    assert behaviour(Inputs, ("endpoint", "key")) == Behaviour(replaces=True, secret=True)


def test_a_behaviour_counts_inside_of_what_is_added_or_removed() -> None:
    (change,) = diff(Inputs, {"ports": []}, {"ports": [{"number": 80}]})
    assert (change.name, change.delete_first) == ("ADD_REPLACE", True)
    (change,) = diff(Inputs, {"byName": {"web": {"number": 80}}}, {"byName": {}})
    assert (change.path, change.name) == (("byName", "web"), "DELETE_REPLACE")


def test_ignored_fields_are_no_difference() -> None:
    assert kinds({"ports": [{"label": "a"}]}, {"ports": [{"label": "b"}]}) == {}
    assert kinds({"ports": []}, {"ports": [{"label": "b"}]}) == {}


def test_equal_in_normal_form_is_equal() -> None:
    assert kinds({"case": "ABC"}, {"case": "abc"}) == {}
    assert kinds({"case": "ABC"}, {"case": "abd"}) == {"case": "UPDATE"}


def test_unknown_may_be_a_change() -> None:
    assert kinds({"case": "a"}, {"case": UNKNOWN}) == {"case": "UPDATE"}
    assert kinds({"endpoint": {"host": "a"}}, {"endpoint": UNKNOWN}) == {"endpoint": "UPDATE_REPLACE"}


def test_true_is_not_one() -> None:
    assert kinds({"anything": True}, {"anything": 1}) == {"anything": "UPDATE"}
    assert kinds({"anything": [0]}, {"anything": [False]}) == {"anything[0]": "UPDATE"}


def test_the_user_can_ignore_places() -> None:
    old, new = {"tags": {"a": "1", "b": "1"}, "case": "x"}, {"tags": {"a": "2", "b": "2"}, "case": "y"}
    assert kinds(old, new, "tags") == {"case": "UPDATE"}
    assert kinds(old, new, "tags.a", "case") == {"tags.b": "UPDATE"}
    assert kinds({"ports": [{"number": 1}]}, {"ports": [{"number": 2}]}, "ports[*].number") == {}


def test_a_resource_can_force_a_replacement() -> None:
    changes = diff(Inputs, {"tags": {"a": "1"}, "case": "a"}, {"tags": {"a": "2"}, "case": "b"})
    assert {item.path: item.name for item in forced(changes, [("tags",), ("other",)])} == {
        ("tags", "a"): "UPDATE_REPLACE",
        ("case",): "UPDATE",
        ("other",): "UPDATE_REPLACE",
    }


def test_drift_is_a_change_where_there_is_none() -> None:
    changes = [Change(("tags", "a"), "ADD")]
    assert drift(changes, [("tags",), ("case",)]) == [*changes, Change(("case",), "UPDATE")]
    assert top_level([*changes, Change(("tags", "b"), "ADD")]) == ["tags"]


@given(TREES)
def test_nothing_differs_from_itself(tree: dict[str, Any]) -> None:
    known = {key: value for key, value in tree.items() if "UNKNOWN" not in repr(value)}
    assert diff(Inputs, known, known) == []


@given(st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), st.text()))
def test_every_difference_and_nothing_else_is_reported(old: dict[str, str], new: dict[str, str]) -> None:
    differing = {key for key in {*old, *new} if old.get(key) != new.get(key)}
    assert {item.path[-1] for item in diff(Inputs, {"tags": old}, {"tags": new})} == differing
