"""Property values survive the way to the engine and back, marks and all."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from anytier.marks import SECRET, SIGNATURE, UNKNOWN, UNKNOWN_STRINGS, Secret
from anytier.provider.values import (
    has_unknown,
    leaves,
    mark,
    parse_path,
    path_text,
    plain,
    read,
    secret_paths,
    texts,
    write,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LEAF = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.just(UNKNOWN)
)
TREE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner) | inner.map(lambda item: Secret(item)),
    max_leaves=20,
)
TREES = st.dictionaries(TEXT, TREE)


@given(TREES)
def test_a_tree_survives_the_wire(tree: dict[str, Any]) -> None:
    assert read(Struct.FromString(write(tree).SerializeToString())) == tree


@given(TREES)
def test_a_plain_tree_has_the_same_leaves_and_no_marks(tree: dict[str, Any]) -> None:
    assert list(secret_paths(plain(tree))) == []
    assert list(leaves(plain(tree))) == list(leaves(tree))
    assert has_unknown(plain(tree)) == has_unknown(tree)


@given(TREES)
def test_marks_can_be_put_back(tree: dict[str, Any]) -> None:
    wanted = set(secret_paths(tree))
    marked = mark(plain(tree), lambda path, _: path in wanted)
    assert set(secret_paths(marked)) == wanted


@pytest.mark.parametrize("sentinel", sorted(UNKNOWN_STRINGS))
def test_every_sentinel_of_the_engine_is_unknown(sentinel: str) -> None:
    struct = Struct()
    struct.update({"a": sentinel, "b": {SIGNATURE: SECRET, "value": sentinel}})
    assert read(struct) == {"a": UNKNOWN, "b": Secret(UNKNOWN)}


def test_whole_numbers_are_integers() -> None:
    struct = Struct()
    struct.update({"replicas": 2.0, "cpu": 0.5})
    found = read(struct)
    assert [type(found["replicas"]), type(found["cpu"])] == [int, float]


def test_an_integer_that_would_change_is_refused() -> None:
    with pytest.raises(ValueError, match="2\\^53"):
        write({"a": 2**53 + 1})


def test_a_secret_does_not_show_itself() -> None:
    assert "hunter2" not in repr({"a": [Secret("hunter2")]})


def test_texts_are_found_everywhere() -> None:
    assert texts({"a": [Secret({"b": "x"}), 1], "c": "y", "d": ""}) == {"x", "y"}


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\"), min_size=1) | st.integers(0, 99)
    )
)
def test_a_path_survives_its_text(path: list[str | int]) -> None:
    assert parse_path(path_text(tuple(path))) == tuple(path)


def test_paths_look_as_the_engine_writes_them() -> None:
    assert path_text(("template", "ports", 0, "web/http")) == 'template.ports[0]["web/http"]'
    assert parse_path("a.*[*].b") == ("a", "*", "*", "b")
