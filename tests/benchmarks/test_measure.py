from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import CommandFailed, in_turns, peak_of, peaks, session_of, timed


def test_ways_take_turns_and_the_first_round_is_not_recorded() -> None:
    order: list[str] = []

    def way(name: str) -> float:
        order.append(name)
        return float(len(order))

    found = in_turns(2, {"a": lambda: way("a"), "b": lambda: way("b")})
    assert "".join(order) == "abbaab"
    assert found == {"a": [4.0, 5.0], "b": [3.0, 6.0]}


def test_a_command_that_fails_is_never_a_sample() -> None:
    with pytest.raises(CommandFailed, match="ended with 3:\n    it is broken"):
        timed([sys.executable, "-c", "print('it is broken'); raise SystemExit(3)"])


def test_a_name_with_parentheses_does_not_hide_the_session() -> None:
    assert session_of("42 (a) b (c)) S 1 42 7 0 -1") == 7
    assert session_of(Path("/proc/self/stat").read_text()) == os.getsid(0)


def test_a_process_that_has_ended_has_no_peak() -> None:
    assert peak_of("Name:\tx\nState:\tZ (zombie)\n") == 0
    assert peak_of("VmPeak:\t  900 kB\nVmHWM:\t   12 kB\n") == 12 * 1024


def test_only_the_sessions_own_processes_are_looked_at() -> None:
    code = "import time; held = bytearray(30_000_000); print('held', flush=True); time.sleep(20)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            found = peaks(process.pid, "bytearray(30_000_000)")
            assert list(found) == [process.pid]
            assert found[process.pid] > 30_000_000
            assert peaks(process.pid, "no such word") == {}
            assert process.pid not in peaks(os.getsid(0), "bytearray(30_000_000)")
        finally:
            process.kill()
