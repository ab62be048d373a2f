"""The launcher, run for real: with an engine that writes down how it was called, and once with the engine itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootstrap import clone, engine
from bootstrap.packages import starts_with
from bootstrap.paths import Paths

ROOT = Path(__file__).parents[2]
STACK = "# where, and the words of whoever wrote it\nconfig:\n  anytier:app:   app.yaml\n  anytier:tier: local\n"

STATE = '{"state":{"salt":"v1:made=:v1:here"},"resources":[{"outputs":{"salt":"v1:of-an-app"}}]}'

# Writes down what it was called with; `stack init` leaves what the real one leaves: a state with a salt, and the
# stack's file in a formatting of its own.
ENGINE = """{start}
import json, os, pathlib, sys
with open({calls!r}, "a") as out:
    print(json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]), file=out)
if sys.argv[1:3] == ["stack", "init"]:
    if os.environ.get("INIT_FAILS"):
        sys.exit("error: the disk is full")
    state = pathlib.Path(os.environ["PULUMI_BACKEND_URL"].removeprefix("file://"), ".pulumi/stacks/anytier")
    state.mkdir(parents=True, exist_ok=True)
    (state / (sys.argv[3] + ".json")).write_text(os.environ.get("STATE", {state!r}))
    pathlib.Path("stacks/Pulumi." + sys.argv[3] + ".yaml").write_text("reformatted: true\\n")
sys.exit(7 if sys.argv[1:] == ["fails"] else 0)
"""


@dataclass(frozen=True)
class Call:
    argv: list[str]
    env: dict[str, str]
    cwd: str


class Clone:
    """A clone with the real launcher, and an engine that is not."""

    def __init__(self, folder: Path) -> None:
        self.paths = Paths(folder / "a clone", folder / "cache")
        self.root = self.paths.root
        shutil.copytree(ROOT / "tools", self.root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
        (self.paths.venv / "bin").mkdir(parents=True)
        self.paths.notes.mkdir()
        self.paths.stacks.mkdir()
        self.file = self.paths.stacks / "Pulumi.local.yaml"
        self.file.write_text(STACK)
        self.calls_file = folder / "calls"
        self.engine = folder / "engine"
        self.engine.mkdir()
        self.write(
            self.engine / "pulumi",
            ENGINE.format(start=starts_with(Path(sys.executable)), calls=str(self.calls_file), state=STATE),
        )
        clone.launcher(self.paths, str(self.engine))
        clone.passphrase(self.paths)
        self.home = folder / "home"
        self.home.mkdir()

    @staticmethod
    def write(file: Path, text: str) -> None:
        file.write_text(text)
        file.chmod(0o755)

    def run(self, *argv: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        given = {"PATH": "/usr/bin:/bin", "HOME": str(self.home), **env}
        return subprocess.run(
            [str(self.paths.venv / "bin" / "pulumi"), *argv],
            cwd=cwd or self.root,
            env=given,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def calls(self) -> list[Call]:
        if not self.calls_file.exists():
            return []
        return [Call(*json.loads(line)) for line in self.calls_file.read_text().splitlines()]


@pytest.fixture
def made(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_the_engine_gets_its_words_unchanged_and_its_code_comes_back(made: Clone) -> None:
    assert made.run("fails").returncode == 7
    words = ["config", "set", "anytier:x", "a 'b' \"c\" $d\n*"]
    assert made.run(*words).returncode == 0
    assert [call.argv for call in made.calls()] == [["fails"], words]


def test_state_and_passphrase_are_the_clones_own(made: Clone) -> None:
    made.run("stack", "ls")
    env = made.calls()[0].env
    assert env["PULUMI_BACKEND_URL"] == f"file://{made.paths.state}"
    assert env["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(made.paths.passphrase)
    assert "PULUMI_CONFIG_PASSPHRASE" not in env


def test_the_clones_python_and_engine_come_first_on_path(made: Clone) -> None:
    made.run("stack", "ls")
    assert made.calls()[0].env["PATH"].split(":")[:2] == [str(made.paths.venv / "bin"), str(made.engine)]


@pytest.mark.parametrize("name", ["PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"])
def test_who_keeps_state_elsewhere_by_variable_is_left_alone(made: Clone, name: str) -> None:
    made.run("up", "-s", "local", **{name: "s3://elsewhere"})
    (call,) = made.calls()
    assert call.env[name] == "s3://elsewhere"
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in call.env
    assert made.file.read_text() == STACK


def test_who_is_logged_in_elsewhere_is_left_alone(made: Clone) -> None:
    (made.home / ".pulumi").mkdir()
    (made.home / ".pulumi" / "credentials.json").write_text('{\n    "current": "https://api.pulumi.com"\n}')
    made.run("up", "-s", "local")
    (call,) = made.calls()
    assert "PULUMI_BACKEND_URL" not in call.env


def test_a_passphrase_of_the_users_own_is_taken(made: Clone) -> None:
    made.run("stack", "ls", PULUMI_CONFIG_PASSPHRASE="")
    env = made.calls()[0].env
    assert env["PULUMI_CONFIG_PASSPHRASE"] == "" and "PULUMI_CONFIG_PASSPHRASE_FILE" not in env


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_passphrase_that_others_can_read_stops_everything(made: Clone, mode: int) -> None:
    made.paths.passphrase.chmod(mode)
    done = made.run("up", "-s", "local")
    assert done.returncode == 1
    assert "can be read by others: chmod 600" in done.stderr
    assert made.calls() == []


@pytest.mark.parametrize(
    "words",
    [
        ["up", "-s", "local"],
        ["up", "--stack", "local", "--yes"],
        ["preview", "--stack=local"],
        ["-slocal", "refresh"],
        ["--color", "never", "-v", "9", "up", "-s", "local"],
    ],
)
def test_a_stack_with_a_file_and_no_state_is_made_first(made: Clone, words: list[str]) -> None:
    done = made.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [call.argv for call in made.calls()] == [["stack", "init", "local"], words]
    assert made.file.read_text() == f"{STACK}encryptionsalt: v1:made=:v1:here\n"
    made.run(*words)
    assert [call.argv for call in made.calls()][2:] == [words]


def test_a_state_that_is_indented_is_read_as_well(made: Clone) -> None:
    made.run("up", "-s", "local", STATE=json.dumps(json.loads(STATE), indent=4))
    assert made.file.read_text() == f"{STACK}encryptionsalt: v1:made=:v1:here\n"


def test_the_stack_may_come_from_the_environment(made: Clone) -> None:
    made.run("up", PULUMI_STACK="local")
    assert made.calls()[0].argv == ["stack", "init", "local"]


@pytest.mark.parametrize("words", [["destroy", "-s", "local"], ["up", "-s", "other"], ["up"], ["stack", "rm", "local"]])
def test_nothing_else_makes_a_stack(made: Clone, words: list[str]) -> None:
    made.run(*words)
    assert [call.argv for call in made.calls()] == [words]
    assert made.file.read_text() == STACK


def test_an_option_that_looks_like_a_stack_is_none(made: Clone) -> None:
    made.run("up", "-m", "stack=local", "--color", "local")
    assert len(made.calls()) == 1


def test_a_stack_that_cannot_be_made_says_why_and_leaves_the_file(made: Clone) -> None:
    done = made.run("up", "-s", "local", INIT_FAILS="1")
    assert done.returncode == 1 and "the disk is full" in done.stderr
    assert made.file.read_text() == STACK
    assert sorted(file.name for file in made.paths.stacks.iterdir()) == ["Pulumi.local.yaml"]


def test_the_salt_of_another_state_is_replaced(made: Clone) -> None:
    made.run("up", "-s", "local")
    made.file.write_text(f"encryptionsalt: v1:of-another:clone\n{STACK}")
    made.run("up", "-s", "local")
    assert made.file.read_text() == f"{STACK}encryptionsalt: v1:made=:v1:here\n"


def test_the_salt_of_encrypted_values_is_never_touched(made: Clone) -> None:
    made.run("up", "-s", "local")
    text = f"{STACK}  anytier:token:\n    secure: v1:abc\nencryptionsalt: v1:of-another:clone\n"
    made.file.write_text(text)
    made.run("up", "-s", "local")
    assert made.file.read_text() == text


def test_after_an_up_git_lists_no_change(made: Clone) -> None:
    def git(*argv: str) -> str:
        command = ["git", "-C", str(made.root), "-c", "user.name=t", "-c", "user.email=t@example.org", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet")
    (made.root / ".gitattributes").write_text("/stacks/Pulumi.*.yaml filter=anytier-salt\n")
    (made.root / ".gitignore").write_text("/.venv/\n/.anytier/\n")
    clone.git_filter(made.paths)
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    made.run("up", "-s", "local")
    assert "encryptionsalt" in made.file.read_text()
    assert git("status", "--porcelain") == ""


def test_a_newer_lock_has_its_packages_installed_first(made: Clone) -> None:
    """The clone's Python writes down what it is asked to do; nothing here may reach an index."""
    lock = made.paths.lock("local")
    lock.parent.mkdir()
    lock.write_text("")
    asked = made.root / "asked"
    made.write(made.paths.venv / "bin" / "python", f"#!/bin/sh\necho \"$@\" >'{asked}'\n")
    made.run("up", "-s", "local")
    assert asked.read_text() == f"{made.root}/tools/setup.py --stack local\n"
    asked.unlink()
    (made.paths.notes / "ready-local").touch()
    made.run("up", "-s", "local")
    assert not asked.exists()
    os.utime(made.paths.notes / "ready-local", (1, 1))
    made.run("destroy", "-s", "local")
    assert not asked.exists()
    made.run("up", "-s", "local")
    assert asked.exists()


def test_from_a_folder_of_the_clone_it_is_the_same(made: Clone) -> None:
    made.run("stack", "ls", cwd=made.paths.stacks)
    assert made.calls()[0].env["PULUMI_BACKEND_URL"] == f"file://{made.paths.state}"


@pytest.mark.parametrize("option", [["-C", "{}"], ["--cwd", "{}"], ["--cwd={}"], ["-C{}"]])
def test_a_folder_named_by_option_counts(made: Clone, tmp_path: Path, option: list[str]) -> None:
    made.run(*(word.format(made.root) for word in option), "stack", "ls", cwd=tmp_path)
    made.run(*(word.format(tmp_path) for word in option), "stack", "ls", cwd=made.root)
    here, there = made.calls()
    assert here.env["PULUMI_BACKEND_URL"] == f"file://{made.paths.state}"
    assert "PULUMI_BACKEND_URL" not in there.env


def test_another_project_keeps_its_own_state(made: Clone, tmp_path: Path) -> None:
    made.run("up", "-s", "local", cwd=tmp_path)
    (call,) = made.calls()
    assert "PULUMI_BACKEND_URL" not in call.env and "PULUMI_CONFIG_PASSPHRASE_FILE" not in call.env


def test_an_engine_that_is_gone_is_named_with_the_way_out(made: Clone) -> None:
    (made.engine / "pulumi").unlink()
    done = made.run("up")
    assert done.returncode == 127
    assert "is gone" in done.stderr and "engine" in done.stderr


@pytest.mark.engine
def test_the_real_engine_makes_a_stack_and_the_file_keeps_its_text(made: Clone) -> None:
    known = engine.remembered(Paths.here())
    assert known is not None, "run: make engine"
    clone.launcher(made.paths, known.folder)
    (made.root / "Pulumi.yaml").write_text("name: anytier\nruntime: yaml\nstackConfigDir: stacks\n")
    made.run("preview", "-s", "local", PULUMI_HOME=str(made.home / ".pulumi"))
    assert (made.paths.state / ".pulumi" / "stacks" / "anytier" / "local.json").is_file()
    text, salt = made.file.read_text().split("encryptionsalt: ")
    assert text == STACK and salt.startswith("v1:")
    assert not (made.home / ".pulumi" / "credentials.json").exists()  # it would count as a login elsewhere
