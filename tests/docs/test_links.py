"""Every link between the project's documents leads somewhere, headings included, and none leads out of the project."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *)(```|~~~).*?^\1\2[^\n]*$", re.MULTILINE | re.DOTALL)


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])


def prose(file: Path) -> str:
    """Without the code blocks: what looks like a link or a heading there is none."""
    return FENCE.sub("", file.read_text())


def anchors(file: Path) -> set[str]:
    """The fragments that a forge makes of a document's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(file), re.MULTILINE):
        text = re.sub(r"[^\w\- ]", "", re.sub(LINK, "", heading).lower()).replace(" ", "-")
        found.add(text)
    return found


def links(file: Path) -> list[str]:
    return [target for target in LINK.findall(prose(file)) if not re.match(r"[a-z]+:", target)]


@pytest.mark.parametrize("file", documents(), ids=lambda file: str(file.relative_to(ROOT)))
def test_every_link_leads_somewhere(file: Path) -> None:
    for target in links(file):
        path, _, fragment = target.partition("#")
        there = (file.parent / path).resolve() if path else file
        assert there.is_relative_to(ROOT), f"{target} leads out of the project"
        assert there.exists(), f"{target} leads nowhere"
        if fragment and there.suffix == ".md":
            assert fragment in anchors(there), f"{target}: no such heading"


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        file = ahead.pop()
        if file not in reached and file.suffix == ".md" and file.exists():
            reached.add(file)
            ahead += [(file.parent / target.partition("#")[0]).resolve() for target in links(file) if target[0] != "#"]
    assert [file for file in documents() if file not in reached] == []


def test_every_command_of_make_that_is_named_exists() -> None:
    listed = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for file in documents():
        named = set(re.findall(r"(?:^\$ |`)make ([a-z][a-z0-9-]*)", file.read_text(), re.MULTILINE))
        assert named <= listed, f"{file.name}: {named - listed}"


def test_every_verb_that_is_named_exists() -> None:
    from anytier.cli.registry import VERBS

    for file in documents():
        named = set(re.findall(r"(?:^\$ |`)(?:\.venv/bin/)?anytier ([a-z][a-z-]*)", file.read_text(), re.MULTILINE))
        assert named <= set(VERBS), f"{file.name}: {named - set(VERBS)}"


def test_make_lists_its_commands() -> None:
    done = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True)
    for target in ("up", "test", "e2e", "bench", "fmt", "lint", "engine", "lock", "down", "help"):
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), target
