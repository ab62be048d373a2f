"""docs/spec.md is the model's: its tables are fresh, its examples load, and each field is in one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from anytier.report import specpage
from anytier.spec import diagnose_bytes, values
from anytier.spec.container import Node
from anytier.spec.load import load

PAGE = Path(__file__).parents[2] / "docs" / "spec.md"
TEXT = PAGE.read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
HEAD = {"apiVersion": "anytier.dev/v1", "kind": "App", "metadata": {"name": "example"}}


def whole(example: str) -> dict[str, Any]:
    """A part of a file with what every file begins with."""
    return {**HEAD, **yaml.safe_load(example)}


def test_the_tables_are_fresh() -> None:
    assert specpage.refreshed(TEXT) == TEXT, "run: python -m anytier.report.specpage docs/spec.md"


def test_a_stale_table_would_be_noticed() -> None:
    stale = TEXT.replace("| `replicas` |", "| `copies` |")
    assert stale != TEXT and specpage.refreshed(stale) == TEXT


def test_every_mapping_of_the_model_has_its_table_below_a_heading_of_its_name() -> None:
    tables = re.findall(r"<!-- fields:(\w+) -->", TEXT)
    assert sorted(tables) == sorted(specpage.classes())
    headings = re.findall(r"^#+ (\w+)$", TEXT, re.MULTILINE)
    assert set(tables) | {"Values"} <= set(headings)


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_valid_app(example: str) -> None:
    app, found = diagnose_bytes(yaml.safe_dump(whole(example)).encode(), "example")
    assert app is not None and found == []


def given(item: Any) -> Iterator[tuple[str, str]]:
    """(class, field) of everything that an app sets."""
    if isinstance(item, Node):
        for name in item.model_fields_set:
            yield type(item).__name__, name
            yield from given(getattr(item, name))
    elif isinstance(item, dict | list):
        for below in item.values() if isinstance(item, dict) else item:
            yield from given(below)


def test_every_field_is_in_an_example() -> None:
    apps = [load(yaml.safe_dump(whole(example))) for example in EXAMPLES]
    seen = {field for app in apps for field in given(app)}
    assert {(name, field) for name, kind in specpage.classes().items() for field in kind.model_fields} - seen == set()


@pytest.mark.parametrize("name", specpage.value_docs())
def test_a_value_of_the_table_is_one(name: str) -> None:
    kind: TypeAdapter[Any] = TypeAdapter(getattr(values, name))
    for example in specpage.value_docs()[name][2]:
        kind.validate_python(yaml.safe_load(example), strict=True)


def test_every_type_has_a_word_of_its_own() -> None:
    words = [word for word, _, _ in specpage.value_docs().values()]
    assert len(words) == len(set(words))
