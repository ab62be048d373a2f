"""The measurements that this project keeps are whole, and say of which of its stacks they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from anytier.capabilities import TIERS
from anytier.measure import page
from anytier.measure.figures import KINDS
from anytier.measure.record import FOLDER, parse

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "measure.md"
FILES = sorted((ROOT / FOLDER).glob("*.json"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_kept_measurement_is_whole(file: Path) -> None:
    found = parse(file.read_text(), file.name)
    assert found.text() == file.read_text()
    assert found.stack == file.stem and found.tier in TIERS
    assert found.machine is not None and {"anytier", "pulumi", "python"} <= set(found.versions)
    for name, figure in found.figures.items():
        assert figure.unit == KINDS[name].unit
    account = file.with_suffix(".txt").read_text()
    assert account.startswith(f"stack {found.stack}, {found.tier}") and f"{found.date:%Y-%m-%d %H:%M}" in account
    assert all(f"\n{name} " in account for name in found.figures)


def test_a_virtual_machine_was_emulated_and_the_page_says_so() -> None:
    """Until somebody measures one with KVM."""
    assert [item.tier for item in page.kept(ROOT) if item.emulated] == ["libvirt"]
    assert "| libvirt (emulated) |" in PAGE.read_text()


def test_the_page_shows_what_is_kept() -> None:
    text = PAGE.read_text()
    fresh = page.refreshed(text, page.kept(ROOT))
    assert text == fresh, "run: python -m anytier.measure.page docs/measure.md"
    assert page.refreshed(text.replace("| figure | unit | local", "| figure | unit | loc"), page.kept(ROOT)) == text


def test_a_figure_that_was_not_taken_is_an_empty_cell() -> None:
    (first, *_) = page.kept(ROOT)
    lacking = first.model_copy(update={"figures": {"noop": first.figures["noop"]}})
    rows = [line for line in page.table([lacking]) if line.startswith("| `")]
    assert [line.split(" | ")[-1] == " |" or line.endswith("|  |") for line in rows].count(False) == 1
