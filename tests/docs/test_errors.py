"""docs/errors.md is the source's, and what docs/troubleshooting.md quotes is really said: by us, or by the engine."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest

from anytier import errors
from anytier.provider.operation import Stopped
from anytier.report.said import page
from anytier.report.said.sayings import HOLE, KINDS, Saying, read

DOCS = Path(__file__).parents[2] / "docs"
TROUBLE = (DOCS / "troubleshooting.md").read_text()
QUOTED = re.findall(r"^### `(.+)`$", TROUBLE, re.MULTILINE)


@cache
def said() -> list[Saying]:
    return page.collected()


def test_the_list_of_messages_is_fresh() -> None:
    fresh = page.as_markdown(said())
    assert (DOCS / "errors.md").read_text() == fresh, "run: python -m anytier.report.said.page docs/errors.md"


def pattern(text: str) -> re.Pattern[str]:
    """A message as it is quoted: each hole stands for anything, a hole of the message among it."""
    return re.compile(".*".join(re.escape(piece) for piece in text.split(HOLE)))


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_one_of_ours(quoted: str) -> None:
    plain = [text.replace("`", "") for item in said() for text in (item.what, f"{item.path}: {item.what}")]
    assert any(pattern(quoted).fullmatch(text) for text in plain)


@pytest.mark.e2e
def test_what_is_quoted_of_the_engine_is_in_it(pulumi_env: dict[str, str]) -> None:
    quoted = re.findall(r"^> (.+)$", TROUBLE, re.MULTILINE)
    found = [Path(folder) / "pulumi" for folder in pulumi_env["PATH"].split(os.pathsep)]
    programs = [file.read_bytes() for file in found if file.is_file()]
    words = next(program for program in programs if program.startswith(b"\x7fELF"))  # not its launcher
    assert len(quoted) > 3
    for text in quoted:
        piece = max(re.split(r"[0-9']+", text), key=len).strip()
        assert piece.encode() in words, text


def test_every_area_leads_to_a_chapter() -> None:
    headings = {
        heading.lower().replace(" ", "-").replace("'", "") for heading in re.findall(r"^## (.+)$", TROUBLE, re.M)
    }
    assert {area.about for area in page.AREAS} <= headings


def test_every_kind_is_explained() -> None:
    table = TROUBLE.split("## The kinds")[1].split("\n## ")[0]
    explained = set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE))
    assert explained == {item.kind for item in said()} | set(KINDS.values())


def test_every_class_of_errors_has_its_word() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AnytierError)]
    assert {kind.__name__: kind.code for kind in [*kinds, Stopped]}.items() <= KINDS.items()


def test_every_module_with_a_message_has_an_area() -> None:
    assert {item.file for item in said() if page.area_of(item.file) is None} == set()


# how the source is read


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
