"""The benchmarks of managed stacks and of previews: what stands beside them is what they say."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.standins.managed import APP

from anytier.spec.load import diagnose
from benchmarks.cases import managed, preview


@pytest.mark.parametrize("tier", managed.SDKS)
def test_the_program_beside_it_imports_what_the_tier_does_and_nothing_else(tier: str) -> None:
    tree = ast.parse(managed.imports(tier))
    first, *rest = tree.body
    assert ast.unparse(first) == "import pulumi" and rest
    assert all(isinstance(node, ast.ImportFrom) for node in rest)
    assert {str(node.module).partition(".")[0] for node in rest if isinstance(node, ast.ImportFrom)} == {
        managed.SDKS[tier]
    }


def test_the_app_of_managed_stacks_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(APP)
    for tier in managed.SDKS:
        assert diagnose(file, tier)[1] == []


def test_all_of_them_stand_beside_the_slowest_one() -> None:
    row = preview.row(["docker", "aks"], {"--all": [6.0, 7.0, 8.0], "docker": [1.0, 1.0, 9.0], "aks": [4.0, 4.0, 4.0]})
    assert row.beside == "`anytier preview aks`" and row.ratio == 1.75 and row.verdict == "met"
