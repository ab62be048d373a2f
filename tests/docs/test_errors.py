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
from anytier.report.said.sayings import HOLE, KINDS, Saying

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
