"""What the other tests of Markdown look by sees what GitHub would make of a name."""

from __future__ import annotations

import pytest
from tests.gfm import Rendered


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("[x](https://example.org)", "a"),
        ("www.example.org", "a"),
        ("https://example.org", "a"),
        ("a@example.org", "a"),
        ("![x](x.png)", "img src=x.png alt=x"),
        ("<b>x</b>", "b"),
        ("# x", "h1"),
        ("| a |\n| --- |", "table"),
        ("~x~", "del"),
        ("> x", "blockquote"),
    ],
)
def test_what_becomes_an_element_is_seen(text: str, element: str) -> None:
    assert element in Rendered(text).elements


@pytest.mark.parametrize("text", ["@octocat", "see #12", "GH-12", "1f8fe4a7", "done :tada:", "$x^2$"])
def test_what_github_makes_of_text_is_seen_unless_it_is_code(text: str) -> None:
    assert Rendered(text).found_by_github
    assert not Rendered(f"`{text}`").found_by_github


def test_a_table_is_taken_apart_as_it_is_shown() -> None:
    found = Rendered("| a | b |\n| --- | --- |\n| x\\|y | `a\\|b` | lost |\n")
    assert found.tables == [[["a", "b"], ["x|y", "a|b"]]]
