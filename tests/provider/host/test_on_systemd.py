"""The same host tests on real systemd: as root with system units, and as a user with the user's own."""

from __future__ import annotations

import pytest
from tests.e2e.suite import AT_LENGTH

from .systemd_box import USER, box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]
_FILES = ("workload", "proxy", "job_and_volume", "faults")
# What a manager decides; a look at all of it takes ANYTIER_AT_LENGTH=1.
_CHOSEN = "second_update or program_gets or killed or liveness or memory_limit or hooks or one_sick or job_runs"


@pytest.mark.parametrize(("supervisor", "user"), [("systemd-system", "root"), ("systemd-user", USER)])
def test_hosts_behave_alike_under(supervisor: str, user: str) -> None:
    tests = [f"tests/provider/host/test_{name}.py" for name in _FILES]
    chosen = "not every_single_call" if AT_LENGTH else _CHOSEN
    with box() as machine:
        done = machine.pytest(supervisor, *tests, "-k", chosen, user=user)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
