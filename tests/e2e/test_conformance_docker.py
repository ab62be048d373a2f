"""Tier docker conforms, on the daemon of this machine."""

from __future__ import annotations

import pytest
from tests.e2e.suite import assert_conforms, conformance, table

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_the_tier_conforms(capsys: pytest.CaptureFixture[str]) -> None:
    done = conformance("docker")
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "docker", None)
