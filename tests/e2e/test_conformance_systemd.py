"""Tier local conforms on real systemd: as root with system units, and as a user with the user's own."""

from __future__ import annotations

import re
import time

import pytest
from tests.e2e.suite import AT_LENGTH, assert_conforms, table
from tests.provider.host.systemd_box import USER, box

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


# What a process manager decides. The whole suite runs on machines over SSH, whose systemd is the same (tier baremetal),
# and here where there is time for it.
OF_A_MANAGER = (
    "deploy",
    "env",
    "secrets",
    "identity",
    "liveness-probe",
    "heal-process",
    "heal-instance",
    "proxy-restart",
    "memory-limit",
    "rolling-update",
    "killed-run",
    "lifecycle",
    "rollback",
    "jobs",
    "cpu-limit",
    "destroy",
)


@pytest.mark.parametrize("user", ["root", USER], ids=["systemd-system", "systemd-user"])
def test_the_tier_conforms(user: str, capsys: pytest.CaptureFixture[str]) -> None:
    only = () if AT_LENGTH else OF_A_MANAGER
    with box() as machine:
        done = machine.conformance(*(f"--only={check}" for check in only), user=user)
    with capsys.disabled():
        print("\n" + table(done))
    # under control groups v1 a user's systemd is handed no limits, which is a mode of its own
    assert_conforms(done, "local", "systemd", *(["undelegated", "user"] if user == USER else []), only=only)


@pytest.mark.parametrize("user", ["root", USER], ids=["systemd-system", "systemd-user"])
def test_a_reboot_brings_the_app_back_by_itself(user: str) -> None:
    with box() as machine:
        done = machine.conformance("--only", "env", "--keep", user=user)
        kept = re.search(r"kept: stack \S+ at port (\d+)", done.stderr)
        assert done.returncode == 0 and kept, done.stderr[-4000:]
        machine.reboot()
        look = f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{kept[1]}/', timeout=5).read())"
        deadline = time.monotonic() + 90
        while '"version": "v1"' not in (said := machine.run("python3", "-c", look)).stdout:
            assert time.monotonic() < deadline, said.stderr
            time.sleep(0.5)
