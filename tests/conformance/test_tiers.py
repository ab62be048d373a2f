"""The suite itself on the tiers that are built, with the real engine: `make e2e` runs this."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.e2e
@pytest.mark.parametrize("stack", ["local", pytest.param("docker", marks=pytest.mark.docker)])
def test_the_tier_conforms(stack: str) -> None:
    """Its lines are the test's output: a failure names the check, the reason and what the engine said."""
    command = [sys.executable, "-m", "anytier", "conformance", "-s", stack]
    done = subprocess.run(command, cwd=PROJECT, check=False, timeout=1800)
    assert done.returncode == 0
