"""The conformance suite as a test: what it printed, and that nothing but the capability table excuses a check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anytier.capabilities import lookup
from anytier.conformance.registry import CHECKS

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1500.0  # seconds
# CI has 75 minutes for everything. What costs much there and tells little that is new runs with ANYTIER_AT_LENGTH=1.
AT_LENGTH = bool(os.environ.get("ANYTIER_AT_LENGTH"))


def conformance(
    stack: str, *arguments: str, longest: float = LONGEST, project: Path = ROOT, **environ: str
) -> subprocess.CompletedProcess[str]:
    """`anytier conformance --json` of a stack of a project, this one if none is said, as a user runs it.

    AssertionError with all that it told until then, if it is not over after `longest` seconds.
    """
    command = [sys.executable, "-m", "anytier", "conformance", "--stack", stack, "--json", *arguments]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "components"), **environ}
    try:
        return subprocess.run(
            command, cwd=project, env=env, capture_output=True, text=True, timeout=longest, check=False
        )
    except subprocess.TimeoutExpired as over:
        told = over.stderr.decode(errors="replace") if isinstance(over.stderr, bytes) else over.stderr
        raise AssertionError(f"not over after {longest:.0f} s:\n{told}") from None


def table(done: subprocess.CompletedProcess[str]) -> str:
    """What a person reads while it runs."""
    return done.stderr


def assert_conforms(
    done: subprocess.CompletedProcess[str], tier: str, *modes: str | None, only: Sequence[str] = ()
) -> None:
    """Every check was run and passed, or is unsupported because the capability table says so of one of its fields.

    The mode is one of `modes`; `only`: the checks that were asked for, where it is not all of them.
    """
    assert done.stdout.strip(), done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    mode = found["environment"]["mode"]
    if not only:
        keep(found, f"{tier}-{mode or 'any'}")
    assert found["environment"]["tier"] == tier and mode in modes
    wanted = [check.id for check in CHECKS if not only or check.id in only]
    assert [each["id"] for each in found["checks"]] == wanted
    failed = [each["id"] for each in found["checks"] if each["status"] == "fail"]
    assert (failed, done.returncode) == ([], 0), done.stderr[-8000:]
    for each in found["checks"]:
        excused = any(not carried(field, tier, mode) for field in each["fields"])
        assert each["status"] == ("unsupported" if excused else "pass"), each


def keep(found: dict[str, Any], name: str) -> None:
    """For docs/conformance.md, where ANYTIER_RESULTS_DIR names a folder (tools/conformance_page.py)."""
    if folder := os.environ.get("ANYTIER_RESULTS_DIR"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f"{name}.json").write_text(json.dumps(found), encoding="utf-8")


def carried(field: str, tier: str, mode: str | None) -> bool:
    path, _, value = field.partition("=")
    return lookup(path, tier, mode, value or None).carried
