"""Secrets put into a template's strings: exactly where they are named, whatever they hold, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import SpecError
from anytier.render.tokens import escape, names, substitute

# Full of what could be taken for a token.
texts = st.lists(
    st.sampled_from(["$", "$$", "{", "}", "${", "$${", "secrets.", "a", "a-b", "\n", "é"]) | st.text()
).map("".join)
secret_names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)


@given(texts, st.dictionaries(secret_names, texts))
def test_an_escaped_text_is_itself_again(text: str, secrets: dict[str, str]) -> None:
    assert names(escape(text)) == set()
    assert substitute(escape(text), secrets) == text


@given(texts, texts, secret_names, texts)
def test_a_secret_stands_exactly_where_it_is_named(before: str, after: str, name: str, value: str) -> None:
    """Its own content is not looked into: a `${...}` in a password is a part of the password."""
    if before.endswith("$"):
        before += " "  # or its dollars would belong to the token
    text = f"{escape(before)}${{secrets.{name}}}{escape(after)}"
    assert names(text) == {name}
    assert substitute(text, {name: value}) == f"{before}{value}{after}"


@given(st.integers(0, 9), secret_names, texts)
def test_of_a_run_of_dollars_each_pair_is_one_and_an_odd_last_one_opens(count: int, name: str, value: str) -> None:
    text = "$" * count + f"{{secrets.{name}}}"
    expected = "$" * (count // 2) + (value if count % 2 else f"{{secrets.{name}}}")
    assert substitute(text, {name: value}) == expected
    assert names(text) == ({name} if count % 2 else set())


@given(texts)
def test_a_text_without_a_brace_after_a_dollar_is_left_alone(text: str) -> None:
    plain = text.replace("{", "(")
    assert substitute(plain, {}) == plain == escape(plain)


def test_a_secret_without_a_value_is_named() -> None:
    with pytest.raises(SpecError, match=r"^secrets\.token: is named by the template but has no value"):
        substitute("x ${secrets.token}", {"tokens": "y"})


def test_other_placeholders_are_none_of_our_business() -> None:
    assert substitute("${HOME} ${workloads.a.host} $x", {}) == "${HOME} ${workloads.a.host} $x"
