"""Tier local conforms, under whatever runs processes on this machine."""

from __future__ import annotations

import pytest
from tests.e2e.suite import assert_conforms, conformance, table

from anytier.tiers.local import LocalArgs, LocalTier

pytestmark = pytest.mark.e2e


def test_the_tier_conforms(capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance("local")
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "local", LocalTier.mode(LocalArgs()))
