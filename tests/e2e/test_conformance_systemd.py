"""Tier local conforms on real systemd: as root with system units, and as a user with the user's own."""

from __future__ import annotations

import pytest
from tests.e2e.suite import assert_conforms, table
from tests.provider.host.systemd_box import USER, box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.mark.parametrize("user", ["root", USER], ids=["systemd-system", "systemd-user"])
def test_the_tier_conforms(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    with box() as machine:
        done = machine.conformance(user=user)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "local", "systemd")
