"""The "did you mean" of every message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.suggest import did_you_mean


@pytest.mark.parametrize(("word", "near"), [("replica", "replicas"), ("tls_port", "tlsPort"), ("stroe", "store")])
def test_a_slip_gets_the_word_that_was_meant(word: str, near: str) -> None:
    assert did_you_mean(word, ["replicas", "tlsPort", "store", "web"]) == f" (did you mean {near!r}?)"


@pytest.mark.parametrize("word", ["", "zzz", "completely different"])
def test_what_is_not_near_gets_no_advice(word: str) -> None:
    assert did_you_mean(word, ["replicas", "store"]) == ""
    assert did_you_mean(word, []) == ""


@given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=300))
def test_the_advice_is_always_a_word_that_exists(word: str, known: list[str]) -> None:
    said = did_you_mean(word, known)
    assert not said or any(said == f" (did you mean {name!r}?)" for name in known)
