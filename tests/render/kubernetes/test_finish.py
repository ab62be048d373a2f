"""Tokens: what a rendered object asks for, and what is put in at the last moment."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.spec.strategies import raw_texts

from anytier.errors import SpecError
from anytier.render.kubernetes import finish, secrets_in, tokens_in
from anytier.render.kubernetes.finish import DIGITS, Live, content_hash, joined, sealed


@given(raw_texts)
def test_a_text_that_is_no_token_comes_out_as_it_was(text: str) -> None:
    assert finish(sealed({"a": [text, {"b": text}]}), {}) == {"a": [text, {"b": text}]}


@given(raw_texts, raw_texts, raw_texts)
def test_a_secret_is_put_in_whatever_stands_around_it_and_in_it(before: str, value: str, after: str) -> None:
    item = sealed({"a": joined(before, Live("${secrets.x}"), after)})
    dollars = len(before) - len(before.rstrip("$"))
    if dollars == 0:  # `joined` puts texts together; a dollar before a token would be its escape
        assert finish(item, {"x": value}) == {"a": before + value + after}


def test_what_has_no_value_is_named() -> None:
    with pytest.raises(SpecError, match=r"secrets\.gone"):
        finish({"a": "${secrets.gone}"}, {})


def test_every_token_is_told_also_those_in_hashes() -> None:
    content = {"a": Live("${secrets.one} ${secrets.two}"), "b": Live("${images.web/web}")}
    item = sealed({"name": joined("x-", content_hash(content)), "at": Live("${addresses.0}")})
    assert tokens_in(item) == {"secrets.one", "secrets.two", "images.web/web", "addresses.0"}
    assert secrets_in(item) == {"one", "two"}


def test_a_hash_is_the_same_wherever_it_stands_and_another_for_other_values() -> None:
    name = content_hash({"a": Live("${secrets.one}")})
    first, second = ({"name": joined("x-", name)}, {"deep": [{"ref": joined("", name)}]})
    one, two = finish(sealed(first), {"one": "1"}), finish(sealed(second), {"one": "1"})
    assert one["name"] == f"x-{two['deep'][0]['ref']}" and len(two["deep"][0]["ref"]) == DIGITS
    assert finish(sealed(first), {"one": "2"}) != one


def test_a_hash_does_not_confuse_values_that_are_alike_when_put_together() -> None:
    item = sealed({"name": content_hash({"a": Live("${secrets.one}${secrets.two}")})})
    assert finish(item, {"one": "ab", "two": "c"}) != finish(item, {"one": "a", "two": "bc"})


@given(st.dictionaries(st.text(max_size=3), raw_texts, max_size=3))
def test_the_hash_of_what_holds_no_token_is_plain(content: dict[str, str]) -> None:
    found = content_hash(content)
    assert not isinstance(found, Live) and len(found) == DIGITS and found == content_hash(dict(content))


def test_a_secret_object_is_finished_into_data() -> None:
    item = {"apiVersion": "v1", "kind": "Secret", "stringData": {"a": "x ${secrets.one}"}, "data": {"b": "Yg=="}}
    made = finish(item, {"one": "ü"})
    assert made["data"] == {"a": base64.b64encode("x ü".encode()).decode(), "b": "Yg=="} and "stringData" not in made
    assert "${secrets.one}" in json.dumps(item), "what was given is left alone"
