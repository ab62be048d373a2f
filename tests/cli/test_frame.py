"""The frame of the command: lazy, quick, and clear about what went wrong."""

from __future__ import annotations

import argparse
import importlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.console import ANYTIER, anytier

from anytier.cli import __main__ as frame
from anytier.cli.completion import full_parser, verbs_of
from anytier.cli.registry import VERBS
from anytier.errors import NotFound, UsageError

HEAVY = {"pulumi", "pydantic", "yaml", "asyncio", "aiodocker", "shtab", "json", "difflib"}

LOADED = """
import sys
from anytier.cli.__main__ import main
try:
    main(sys.argv[1:])
finally:
    print("LOADED", *sys.modules)
"""


def test_help_lists_every_verb_with_its_line() -> None:
    done = anytier("--help")
    assert done.code == 0
    for verb, (_, line) in VERBS.items():
        assert re.search(rf"^    {verb}\s+{re.escape(line[:30])}", done.out, re.MULTILINE), verb


@pytest.mark.parametrize(
    "args", [["--help"], ["--version"], ["status", "--help"], ["validate", "--help"]], ids=" ".join
)
def test_help_imports_nothing_that_takes_time(args: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", LOADED, *args], capture_output=True, text=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "argparse" in loaded
    assert not HEAVY & loaded


def test_help_takes_less_cpu_than_a_blink() -> None:
    """CPU time, the best of three: how busy the machine is does not matter. benchmarks/ measures the wall clock."""

    def once() -> float:
        child = subprocess.Popen([str(ANYTIER), "--help"], stdout=subprocess.DEVNULL)
        usage = os.wait4(child.pid, 0)[2]
        child.returncode = 0
        return usage.ru_utime + usage.ru_stime

    assert min(once() for _ in range(3)) < 0.15


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_and_every_argument(verb: str) -> None:
    module = importlib.import_module(VERBS[verb][0])
    assert (module.__doc__ or "").startswith(f"`anytier {verb}")
    for action in verbs_of(full_parser())[verb]._actions:
        assert action.help or action.choices, f"{verb} {action.dest}"
    done = anytier(verb, "--help")
    assert done.code == 0 and "usage: anytier" in done.out


def test_a_mistyped_verb_gets_the_nearest_one() -> None:
    done = anytier("statsu")
    assert done.code == 2 and not done.out
    assert done.err == "error: statsu: is not a verb (did you mean 'status'?)\n  -> `anytier --help` lists them\n"


def test_no_verb_is_wrong_usage() -> None:
    assert anytier().code == 2


def test_wrong_usage_ends_with_2_and_any_other_error_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert frame.failed(UsageError("a", "b", "c")) == 2
    assert frame.failed(NotFound("a", "b", "c")) == 1
    assert frame.failed(ExceptionGroup("g", [UsageError("a", "b"), NotFound("d", "e", "f")])) == 1
    assert "error: d: e\n  -> f\n" in capsys.readouterr().err


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        frame.failed(ZeroDivisionError("ours"))
    with pytest.raises(ExceptionGroup):
        frame.failed(ExceptionGroup("g", [NotFound("a", "b"), ZeroDivisionError("ours")]))


def test_whoever_reads_our_output_may_stop() -> None:
    """`anytier matrix | head -1`, with a pipe that is closed before the output is written."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as out:
        done = subprocess.run([str(ANYTIER), "matrix", "--markdown"], stdout=out, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(args: argparse.Namespace) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("anytier.cli.matrix.run", interrupted)
    assert frame.main(["matrix"]) == 130


@pytest.mark.parametrize(
    ("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)], ids=str
)
def test_colours_are_for_terminals_that_want_them(env: dict[str, str], colored: bool, tmp_path: Path) -> None:
    spec = tmp_path / "app.yaml"
    spec.write_text("apiVersion: anytier.dev/v1\nkind: App\nmetadata: {name: a}\nworkload: {}\n")
    base = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM")}
    base["TERM"] = "xterm"
    assert ("\x1b[" in on_terminal(["validate", str(spec)], {**base, **env})) == colored
    piped = subprocess.run([str(ANYTIER), "validate", str(spec)], env={**base, **env}, capture_output=True, text=True)
    assert "\x1b[" not in piped.stdout and piped.returncode == 1


def test_a_table_fits_its_terminal() -> None:
    wide = on_terminal(["matrix"], {**os.environ, "COLUMNS": "200"})
    narrow = on_terminal(["matrix"], {**os.environ, "COLUMNS": "100"})
    assert "AKS" in wide.splitlines()[0] and "AKS" not in narrow.splitlines()[0]
    assert wide.splitlines()[1:2] and "…" not in wide and "jobs.*.backoffLimit" in narrow
    assert "a wider terminal or --tier shows them" in narrow
    assert max(map(len, narrow.splitlines())) <= 100


def on_terminal(args: list[str], env: dict[str, str]) -> str:
    """What a terminal would get."""
    leader, follower = pty.openpty()
    child = subprocess.Popen([str(ANYTIER), *args], env=env, stdout=follower, stderr=follower, stdin=follower)
    os.close(follower)
    out = b""
    try:
        while part := os.read(leader, 65536):
            out += part
    except OSError:
        pass  # this is how a terminal ends
    os.close(leader)
    child.wait()
    return out.decode()
