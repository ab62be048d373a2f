"""The same host tests on real systemd: as root with system units, and as a user with the user's own."""

from __future__ import annotations

import pytest

from .systemd_box import USER, box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
_TESTS = [f"tests/provider/host/test_{name}.py" for name in ("workload", "proxy", "job_and_volume", "faults")]


@pytest.mark.parametrize(("supervisor", "user"), [("systemd-system", "root"), ("systemd-user", USER)])
def test_hosts_behave_alike_under(supervisor: str, user: str) -> None:
    with box() as machine:
        done = machine.pytest(supervisor, *_TESTS, "-k", "not every_single_call", user=user)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
