"""`anytier measure` on this machine: every figure is taken, and nothing is left. At length only: CI lacks the time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.e2e.suite import AT_LENGTH

from anytier.measure.figures import KINDS

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="ANYTIER_AT_LENGTH=1 runs it")]


def test_every_figure_of_this_machine() -> None:
    names = [name for name in KINDS if name != "create"]  # the tier makes no machine
    only = [word for name in names for word in ("--only", name)]  # so that no file is written
    done = subprocess.run(
        [sys.executable, "-m", "anytier", "measure", "-s", "local", "--json", "--repeat", "1", *only],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "components")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout)
    assert list(found["figures"]) == names and not found["failed"] and not found["left"]
    assert found["figures"]["update.lost"]["value"] == 0
    assert found["parts"]["platform.memory"]["proxy"] > 1
    assert all(found["figures"][name]["value"] > 0 for name in names if name != "update.lost")
    assert not list((ROOT / "stacks").glob("Pulumi.anytier-test-*.yaml"))
