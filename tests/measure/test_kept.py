"""The measurements that this project keeps are whole, and say of which of its stacks they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from anytier.capabilities import TIERS
from anytier.measure.figures import KINDS
from anytier.measure.record import FOLDER, parse

ROOT = Path(__file__).parents[2]
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
