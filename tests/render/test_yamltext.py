"""What is a text stays one, also for those that read more as numbers; tests/e2e/test_kubernetes.py asks one of them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from anytier.render.yamltext import dumped, dumped_all

# As resolve.go of sigs.k8s.io/yaml/goyaml.v2 has it, without underscores, which it takes out first.
GO_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
GO_INT = re.compile(r"^[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[0-9]+)$")
GO_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", ""}
TELLING = [
    "2481692e59",
    "248169e+65",
    "08",
    "0899",
    "0o17",
    "0O17",
    "0X1f",
    "0B1",
    "1_0e3",
    "-1e5",
    "y",
    "N",
    "1.",
    "0_9",
]

NUMERIC = st.text(alphabet="0123456789eExXoObB_+-.ynYN", max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20) | NUMERIC,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NUMERIC | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def number_in_go(text: str) -> bool:
    bare = text.replace("_", "")
    return bool(GO_FLOAT.match(bare) or GO_INT.match(bare)) and text[:1] in "-+.0123456789"


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("text", TELLING)
def test_a_text_that_go_reads_as_something_else_is_quoted(text: str, fast: bool) -> None:
    assert dumped({"a": text}, fast=fast) in (f"a: '{text}'\n", f'a: "{text}"\n')
    assert yaml.safe_load(dumped({text: text}, fast=fast)) == {text: text}


@pytest.mark.parametrize("fast", [False, True])
@given(text=NUMERIC)
def test_no_plain_text_is_a_number_or_a_boolean_to_go(text: str, fast: bool) -> None:
    said = dumped({"a": text}, fast=fast).removeprefix("a: ").removesuffix("\n")
    assert said[:1] in "'\"" or not (number_in_go(said) or said.lower() in GO_WORDS)


@pytest.mark.parametrize("fast", [False, True])
@given(value=VALUES)
def test_what_comes_back_is_what_was_given(value: Any, fast: bool) -> None:
    assert yaml.safe_load(dumped(value, fast=fast)) == value


def test_numbers_and_ordinary_texts_stay_plain() -> None:
    value = {
        "port": 8080,
        "ratio": 0.5,
        "on": True,
        "name": "web-1",
        "image": "nginx:1.29",
        "path": "/a/b",
        "none": None,
    }
    assert dumped_all([value, {"a": "1.2.3"}]) == (
        "port: 8080\nratio: 0.5\n'on': true\nname: web-1\nimage: nginx:1.29\npath: /a/b\nnone: null\n---\na: 1.2.3\n"
    )
