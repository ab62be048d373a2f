"""Findings as a compiler tells them, and as JSON."""

from __future__ import annotations

from anytier.report.diagnostics import Item, as_json, as_text, summary
from anytier.report.excerpt import source
from anytier.spec.diagnostic import Diagnostic

ERROR = Diagnostic("app.yaml", 2, 3, "a.b", "is wrong", "mend it")
WARNING = Diagnostic("app.yaml", 1, 1, "", "is odd", "", "warning")


def test_a_block_has_place_message_line_mark_and_remedy() -> None:
    text = as_text([Item(ERROR)], {"app.yaml": source(b"a:\n  bad: 1\n")}, 80, color=False)
    assert text == "app.yaml:2:3: error: a.b: is wrong\n 2 |   bad: 1\n   |   ^^^\n  -> mend it"


def test_without_a_source_there_is_no_position_to_show() -> None:
    assert as_text([Item(WARNING)], {}, 80, color=False) == "app.yaml: warning: is odd"


def test_colours_only_add_escapes() -> None:
    import re

    sources = {"app.yaml": source(b"a:\n  bad: 1\n")}
    plain = as_text([Item(ERROR), Item(WARNING)], sources, 80, color=False)
    colored = as_text([Item(ERROR), Item(WARNING)], sources, 80, color=True)
    assert colored != plain and re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_json_has_eight_keys_always() -> None:
    (found,) = as_json([Item(WARNING, "capability")])
    assert found == {
        "file": "app.yaml",
        "line": 1,
        "column": 1,
        "path": "",
        "code": "capability",
        "what": "is odd",
        "do": "",
        "severity": "warning",
    }


def test_the_last_line_counts() -> None:
    assert summary(["a.yaml"], []) == "a.yaml: no mistakes"
    assert summary(["a.yaml"], [Item(ERROR)]) == "a.yaml: 1 error"
    assert summary(["a", "b"], [Item(ERROR), Item(ERROR), Item(WARNING)]) == "2 files: 2 errors, 1 warning"
