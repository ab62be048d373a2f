"""The page of each tier has one shape, and its shortest stack is one that is read without an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from anytier.tiers.registry import REGISTRY

DOCS = Path(__file__).parents[2] / "docs"
CHAPTERS = ["What it is for", "The shortest stack", "Options", "Day two", "What it cannot do", "What was tried"]


def chapters(tier: str) -> dict[str, str]:
    pieces = re.split(r"^## (.+)$", (DOCS / f"{tier}.md").read_text(), flags=re.MULTILINE)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


@pytest.mark.parametrize("tier", REGISTRY)
def test_every_page_has_the_same_chapters_in_the_same_order(tier: str) -> None:
    found = [name for name in chapters(tier) if name in CHAPTERS]
    assert found == CHAPTERS and next(iter(chapters(tier))) == CHAPTERS[0]


@pytest.mark.parametrize("tier", REGISTRY)
def test_the_shortest_stack_has_its_file_and_its_command(tier: str) -> None:
    shown = chapters(tier)["The shortest stack"]
    (block,) = re.findall(r"```yaml\n(.*?)```", re.sub("^ +", "", shown, flags=re.MULTILINE), re.DOTALL)
    assert f"anytier:tier: {tier}\n" in block
    assert re.search(rf"^ *\$ (anytier up -s {tier}|make up)", shown, re.MULTILINE)


@pytest.mark.parametrize("tier", REGISTRY)
def test_options_and_limits_lead_to_where_all_of_them_are(tier: str) -> None:
    found = chapters(tier)
    assert f"(stacks.md#tier-{tier})" in found["Options"]
    assert "(capabilities.md)" in found["What it cannot do"] and f"--tier {tier}" in found["What it cannot do"]
    assert f"({tier}.md)" in (DOCS / "README.md").read_text() and f"({tier}.md)" in (DOCS / "stacks.md").read_text()
