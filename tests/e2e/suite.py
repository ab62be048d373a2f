"""The conformance suite as a test: what it printed, and that nothing but the capability table excuses a check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from anytier.capabilities import lookup
from anytier.conformance.registry import CHECKS

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1500.0  # seconds


def conformance(stack: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`anytier conformance --json` of a stack of this project, as a user runs it."""
    command = [sys.executable, "-m", "anytier", "conformance", "--stack", stack, "--json"]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "components"), **environ}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=LONGEST, check=False)


def table(done: subprocess.CompletedProcess[str]) -> str:
    """What a person reads while it runs."""
    return done.stderr


def assert_conforms(done: subprocess.CompletedProcess[str], tier: str, *modes: str | None) -> None:
    """Every check was run and passed, or is unsupported because the capability table says so of one of its fields.

    The mode is one of `modes`.
    """
    assert done.stdout.strip(), done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout[done.stdout.index("{") :])
    mode = found["environment"]["mode"]
    keep(found, f"{tier}-{mode or 'any'}")
    assert found["environment"]["tier"] == tier and mode in modes
    assert [each["id"] for each in found["checks"]] == [check.id for check in CHECKS]
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
