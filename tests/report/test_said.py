"""Messages are read from source as they are said, and their page holds nothing that they did not say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.report.said import page
from anytier.report.said.sayings import Saying, read


def test_what_differs_from_run_to_run_is_a_hole() -> None:
    source = 'def f(name):\n    raise NotFound(f"stack {name}", f"there is no {name}", "one of " + name)\n'
    assert read("x.py", source) == [Saying("x.py", "there is no …", "one of …", "not-found", "stack …")]


def test_a_name_stands_for_what_it_was_given_last() -> None:
    source = """
def f(a):
    what = "is the first thing"
    if a:
        do = "mend it"
    else:
        do = "leave it"
    yield Rejected(a, what, do)
    what = "is the second thing"
    yield Rejected(a, what, "run again")
"""
    assert [(item.what, item.do) for item in read("x.py", source)] == [
        ("is the first thing", "leave it"),
        ("is the first thing", "mend it"),
        ("is the second thing", "run again"),
    ]


def test_a_constant_of_the_module_and_a_function_of_it_are_read() -> None:
    source = """
HOW = "start it"
def why(a):
    return "no answer" if a else "no way there"
def f(a):
    raise Unreachable(a, why(a), HOW)
"""
    assert {(item.what, item.do) for item in read("x.py", source)} == {
        ("no answer", "start it"),
        ("no way there", "start it"),
    }


def test_a_helper_around_an_error_is_seen_where_it_is_called() -> None:
    source = """
class C:
    def _wrong(self, path, what, do):
        self.errors.append(ConfigError(f"anytier:{path}", what, do))
    def f(self):
        self._wrong("port", "is no port", "a number")
"""
    assert [(item.what, item.do, item.kind) for item in read("x.py", source)] == [("is no port", "a number", "config")]


def test_a_message_of_holes_alone_is_left_out() -> None:
    assert read("x.py", "def f(a):\n    raise Rejected(a, str(a))\n") == []


def test_nothing_of_a_message_is_markup() -> None:
    assert page.cell("a|b *c* <d> `e|f*` [g]") == r"a\|b \*c\* \<d\> `e\|f*` \[g\]"


def test_several_remedies_of_one_message_are_one_row() -> None:
    found = [Saying("cli/a.py", "is gone", do, "not-found", "stack x") for do in ("run again", "wait")]
    (row,) = [line for line in page.as_markdown(found).splitlines() if "is gone" in line]
    assert row == "| `stack x`: is gone | run again *or* wait | not-found |"


def test_a_module_without_an_area_is_a_defect() -> None:
    with pytest.raises(LookupError, match=r"elsewhere/a\.py"):
        page.as_markdown([Saying("elsewhere/a.py", "is gone", "", "not-found")])


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60))
def test_a_message_never_ends_its_cell_or_begins_a_tag(text: str) -> None:
    shown = page.cell(text)
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", re.sub(r"`[^`]*`", "", shown))
    outside = re.sub(r"`[^`]*`", "", shown)
    assert not re.search(r"(?<!\\)[<>]", outside)


@given(st.text(max_size=40), st.sampled_from(["ConfigError", "Rejected", "refuse"]))
def test_a_constant_message_is_read_as_it_stands(text: str, name: str) -> None:
    source = f"def f(a):\n    raise {name}({'' if name == 'refuse' else 'a, '}{text!r}, 'do this')\n"
    found = read("x.py", source)
    letters = sum(sign.isalpha() for sign in text)
    if letters >= 4 and "{" not in text and "…" not in text:
        assert [" ".join(text.split()).replace("…...", "…")] == [item.what for item in found]
