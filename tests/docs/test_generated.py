"""The pages that are made from the code say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from anytier.cli.completion import full_parser, verbs_of
from anytier.cli.registry import VERBS
from anytier.report import manual, matrix, policy

DOCS = Path(__file__).parents[2] / "docs"


def test_the_capability_table_is_fresh() -> None:
    assert (DOCS / "capabilities.md").read_text() == matrix.as_markdown(), (
        "run: anytier matrix --markdown > docs/capabilities.md"
    )


def test_the_rules_of_the_policy_pack_are_fresh() -> None:
    page = (DOCS / "policy.md").read_text()
    assert policy.refreshed(page) == page, "run: python -m anytier.report.policy docs/policy.md"
    assert policy.refreshed(page.replace("| `ssh-host-key` |", "| `ssh-key` |")) == page


def test_the_options_of_every_verb_are_fresh() -> None:
    page = (DOCS / "cli.md").read_text()
    fresh = manual.refreshed(page, verbs_of(full_parser()))
    assert page == fresh, "run: python -m anytier.report.manual docs/cli.md"


def test_every_verb_has_its_chapter_and_its_options() -> None:
    page = (DOCS / "cli.md").read_text()
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == re.findall(r"<!-- options:(\w+) -->", page)
    assert set(re.findall(r"^## (\w+)$", page, re.MULTILINE)) == set(VERBS)


def test_a_stale_block_would_be_noticed() -> None:
    page = (DOCS / "cli.md").read_text().replace("| `--list` |", "| `--lists` |")
    assert manual.refreshed(page, verbs_of(full_parser())) != page


def test_every_part_of_the_package_is_in_the_architecture() -> None:
    page = (DOCS / "architecture.md").read_text()
    folders = {file.parent.name for file in (DOCS.parent / "components" / "anytier").glob("*/__init__.py")}
    assert {name for name in folders if f"`{name}/`" not in page} == set()
