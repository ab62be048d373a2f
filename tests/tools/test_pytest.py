"""tools/pytest.sh: a second try in CI only, for a few failures only, and never in silence."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "pytest.sh"
FLAKY = """
from pathlib import Path

def test_passes_the_second_time():
    seen = Path("seen")
    assert seen.exists() or seen.touch()

def test_passes():
    pass
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for folder in ("tools", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(SCRIPT, tmp_path / "tools")
    start = f'#!/bin/sh\nexec "{sys.executable}" '
    for name, rest in (("python", '"$@"\n'), ("pytest", '-m pytest "$@"\n')):
        (tmp_path / ".venv/bin" / name).write_text(start + rest)
        (tmp_path / ".venv/bin" / name).chmod(0o755)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run(clone: Path, ci: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CI"))}
    env |= {"CI": "true"} if ci else {}
    command = [str(clone / "tools" / "pytest.sh"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_in_ci_what_passes_the_second_time_is_told_as_flaky(clone: Path) -> None:
    (clone / "test_it.py").write_text(FLAKY)
    done = run(clone, True, "-n", "2", "--dist", "loadgroup")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FLAKY: passed only when it was tried again: test_it.py::test_passes_the_second_time\n" in done.stdout
    assert "FLAKY" not in run(clone, True).stdout


def test_elsewhere_a_failure_is_a_failure_at_once(clone: Path) -> None:
    (clone / "test_it.py").write_text(FLAKY)
    assert run(clone, False).returncode == 1


def test_what_fails_again_has_failed(clone: Path) -> None:
    (clone / "test_it.py").write_text("def test_fails():\n    assert 0\n")
    done = run(clone, True)
    assert done.returncode == 1 and "FLAKY" not in done.stdout


def test_many_failures_are_no_accident(clone: Path) -> None:
    (clone / "test_it.py").write_text("".join(f"def test_{i}():\n    assert 0\n\n" for i in range(7)))
    done = run(clone, True)
    assert done.returncode == 1 and "once more" not in done.stdout
