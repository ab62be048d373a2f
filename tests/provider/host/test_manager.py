"""What is said of a process that has ended."""

from __future__ import annotations

import pytest

from anytier.provider.host.manager import how_it_ended
from anytier.provider.host.systemd import _state

MIB = 2**20


@pytest.mark.parametrize(
    ("code", "memory", "said"),
    [
        (None, None, "the process is not running"),
        (3, None, "the process ended (exit 3)"),
        (-1, 128 * MIB, "the process was killed"),
        (-15, 128 * MIB, "the process was killed (signal 15)"),
        (-9, None, "the process was killed (signal 9)"),
        (-9, 128 * MIB, "the process was killed (signal 9), as for want of memory: its limit is 128 MiB"),
    ],
)
def test_how_it_ended(code: int | None, memory: int | None, said: str) -> None:
    assert how_it_ended(code, memory) == said


@pytest.mark.parametrize(("kind", "status", "code"), [("1", "3", 3), ("2", "9", -9), ("3", "6", -6), ("0", "0", None)])
def test_systemd_tells_an_exit_from_a_signal(kind: str, status: str, code: int | None) -> None:
    shown = {"ActiveState": "failed", "SubState": "failed", "Result": "signal", "MainPID": "0"}
    state = _state({**shown, "ExecMainCode": kind, "ExecMainStatus": status}, now=0)
    assert state.exit_code == code and state.failed
    well = {**shown, "ActiveState": "inactive", "SubState": "dead", "Result": "success"}
    assert not _state({**well, "ExecMainCode": "0", "ExecMainStatus": "0"}, now=0).failed
