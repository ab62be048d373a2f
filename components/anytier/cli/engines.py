"""`pulumi preview` of several stacks side by side, each with a time limit. Not a verb.

It runs the project's own program with whatever credentials there are: only for files that one trusts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.05  # seconds
_PATIENCE = 15.0  # seconds that the engine has to end in order, once it is told to


@dataclass(frozen=True)
class Answer:
    """What the engine printed, how it ended, what it wrote to stderr."""

    text: str
    code: int
    said: str


@dataclass(frozen=True)
class Engine:
    """The engine as it runs in a project. `env` is the whole environment."""

    project: Path
    program: str
    env: dict[str, str]


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    files: tuple[Path, Path]
    until: float


def engine_of(project: Path) -> Engine:
    """NotFound where there is no engine."""
    from anytier.cli.stack import engine_env, passphrase, pulumi_argv

    env = engine_env({**passphrase(project), "PULUMI_SKIP_UPDATE_CHECK": "true"})
    env.pop("PULUMI_ENABLE_STREAMING_JSON_PREVIEW", None)  # it changes what --json prints
    return Engine(project, pulumi_argv([], env)[0], env)


def deployed(engine: Engine, seconds: float) -> set[str]:
    """The names of the project's stacks that have a state. Unreachable, with the reason, where nobody can tell."""
    import json

    from anytier.errors import Unreachable

    do = "log in (`pulumi login`), or preview without --engine"
    argv = [engine.program, "stack", "ls", "--json", "--non-interactive", "--color", "never"]
    try:
        done = subprocess.run(
            argv,
            cwd=engine.project,
            env=engine.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        raise Unreachable("pulumi stack ls", f"did not answer within {seconds:g} s", do) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        what = lines[0].removeprefix("error: ") if lines else f"ended with {done.returncode}"
        raise Unreachable("pulumi stack ls", what, do)
    try:
        return {str(item["name"]).rpartition("/")[2] for item in json.loads(done.stdout)}
    except (ValueError, TypeError, KeyError):
        raise Unreachable("pulumi stack ls", "answered something that is no list of stacks", do) from None


def preview_all(engine: Engine, stacks: Iterable[str], jobs: int, seconds: float, refresh: bool) -> dict[str, Answer]:
    """What came of each stack. At most `jobs` at the same time, each `seconds` long. None outlives this call."""
    import tempfile

    waiting, running, answers = list(stacks), dict[str, _Running](), dict[str, Answer]()
    with tempfile.TemporaryDirectory(prefix="anytier-preview-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < max(jobs, 1):
                    stack = waiting.pop(0)
                    number = len(answers) + len(running)
                    running[stack] = _started(engine, stack, Path(folder) / str(number), refresh, seconds)
                time.sleep(_POLL)
                for stack, item in list(running.items()):
                    code = item.process.poll()
                    if code is not None:
                        answers[stack] = _answer(item, code)
                    elif time.monotonic() >= item.until:
                        _end(item.process)
                        answers[stack] = Answer("", 1, f"took longer than {seconds:g} s -> give it more by --timeout")
                    else:
                        continue
                    del running[stack]
        finally:
            for item in running.values():
                _end(item.process)
    return answers


def _started(engine: Engine, stack: str, base: Path, refresh: bool, seconds: float) -> _Running:
    """Into files: a pipe that nobody empties would stop it."""
    argv = [engine.program, "preview", "--json", "--stack", stack, "--non-interactive", "--color", "never"]
    out, err = base.with_suffix(".out"), base.with_suffix(".err")
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [*argv, *(["--refresh"] if refresh else [])],
            cwd=engine.project,
            env=engine.env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,  # so that it can be ended with all that it started
        )
    return _Running(process, (out, err), time.monotonic() + seconds)


def _answer(item: _Running, code: int) -> Answer:
    text, said = (file.read_text(encoding="utf-8", errors="replace") for file in item.files)
    return Answer(text, code, said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """In order if it does so in time, else at once."""
    try:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_PATIENCE)
    except ProcessLookupError:
        pass
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
