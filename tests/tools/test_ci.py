""".ci/run itself: what it does with steps that fail, hang, leave processes behind or leave tests out."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCHEMA = r"from (\.|tests\.render\.libvirt\.)schema import .*valid"
SETUP = """#!/bin/sh
echo "e2e set-up: $1"
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / ".ci").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "e2e_setup.sh").write_text(SETUP)
    (tmp_path / "tools" / "e2e_setup.sh").chmod(0o755)
    return tmp_path


def start(clone: Path, *steps: str) -> subprocess.Popen[str]:
    """The script with other steps than its own, its output in a pipe as in CI."""
    head, own, _ = (ROOT / ".ci" / "run").read_text().partition("\nstep bare ")
    assert own
    (clone / ".ci" / "run").write_text("\n".join([head, *steps, ""]))
    env = {**os.environ, "TMPDIR": str(clone)}
    return subprocess.Popen(
        ["bash", ".ci/run"], cwd=clone, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run(clone: Path, *steps: str) -> tuple[int, str]:
    with start(clone, *steps) as process:
        said, _ = process.communicate(timeout=60)
    return process.returncode, said


def left_behind(clone: Path) -> list[str]:
    return sorted(file.name for file in clone.iterdir() if file.name not in (".ci", "tools"))


def test_when_all_is_well_it_ends_with_nothing(clone: Path) -> None:
    code, said = run(clone, "step one 20 true", "step two 20 sh -c 'echo == 3 passed in 1.20s =='")
    assert code == 0
    assert "=== summary" in said and "stop" in said
    assert said.count("passed") >= 4
    assert left_behind(clone) == []


def test_a_step_that_fails_fails_the_run_and_the_later_ones_still_run(clone: Path) -> None:
    line = "======= 1 failed, 9 passed in 3.10s ======="
    code, said = run(clone, f"step tests 20 sh -c 'echo {line}; exit 3'", "step later 20 echo still here")
    assert code == 1
    assert "still here" in said
    summary = said.split("=== summary")[1]
    assert "FAILED 3" in summary and "1 failed, 9 passed" in summary and "later" in summary


def test_what_was_left_out_is_said_again_at_the_end(clone: Path) -> None:
    reason = "SKIPPED: every test on Docker: no Docker daemon answers"
    _, said = run(clone, f"step e2e 20 echo '{reason}'", "step more 20 seq 3")
    assert reason in said.split("=== summary")[1]


def test_a_step_that_hangs_is_stopped_in_time_and_called_so(clone: Path) -> None:
    begun = time.monotonic()
    code, said = run(clone, "step hangs 2 sleep 50", "step later 20 echo still here")
    assert time.monotonic() - begun < 20
    assert code == 1 and "hangs: stopped after 2 s" in said and "still here" in said


def test_a_process_left_behind_keeps_nothing_from_ending(clone: Path) -> None:
    """One in the step's session, which is ended; one in a session of its own, which is none of our business."""
    begun = time.monotonic()
    code, said = run(
        clone, "step leaves 20 sh -c 'sleep 41 & echo $! >own; setsid sleep 42 & echo $! >other; echo done'"
    )
    assert time.monotonic() - begun < 20
    assert code == 0 and "done" in said
    own, other = (int((clone / name).read_text()) for name in ("own", "other"))
    os.kill(other, signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(own, 0)
            time.sleep(0.1)


def test_told_to_end_it_ends_the_step_and_tidies_up(clone: Path) -> None:
    with start(clone, "step long 50 sh -c 'echo $$ >pid; sleep 43'") as process:
        for _ in range(100):
            if (clone / "pid").exists() and (clone / "pid").read_text().strip():
                break
            time.sleep(0.1)
        process.terminate()
        said, _ = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "e2e set-up: stop" in said and "=== summary" in said
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(int((clone / "pid").read_text()), 0)
            time.sleep(0.1)


@pytest.mark.parametrize(
    "script",
    [".ci/run", "tools/e2e.sh", "tools/e2e_setup.sh", "tools/first_walk.sh", "tools/launch.sh", "tools/pytest.sh"],
)
def test_every_script_is_one_that_a_shell_can_read(script: str) -> None:
    shell = "bash" if script == ".ci/run" else "sh"
    subprocess.run([shutil.which(shell) or shell, "-n", str(ROOT / script)], check=True)


def test_what_the_schema_of_libvirt_is_for_runs_again_once_it_is_installed() -> None:
    """`make test` comes before the step that installs it, and leaves these out."""
    asking = [file for file in (ROOT / "tests").rglob("test_*.py") if re.search(SCHEMA, file.read_text())]
    script = (ROOT / "tools" / "e2e.sh").read_text()
    assert asking and not [path for file in asking if (path := str(file.relative_to(ROOT))) not in script]
