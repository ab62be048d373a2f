"""`anytier schema`: prints what the package holds, and tells whether a file still is that."""

from __future__ import annotations

from pathlib import Path

from tests.cli.console import anytier

from anytier.spec import schema


def test_it_prints_the_schema() -> None:
    assert anytier("schema").out == schema.text()


def test_it_tells_a_fresh_file_from_a_stale_one(tmp_path: Path) -> None:
    file = tmp_path / "s.json"
    file.write_text(schema.text())
    assert anytier("schema", "--check", str(file)).code == 0
    file.write_text(schema.text().replace("anytier app", "another"))
    done = anytier("schema", "--check", str(file))
    assert done.code == 1 and "is not the schema of this version" in done.err and "anytier schema >" in done.err


def test_a_file_that_cannot_be_read_is_said_plainly(tmp_path: Path) -> None:
    done = anytier("schema", "--check", str(tmp_path / "none"))
    assert done.code == 1 and "No such file" in done.err
