"""How verbs find a project, its stacks and the engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from anytier.cli import stack
from anytier.errors import ConfigError, NotFound


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text('name: p\nstackConfigDir: "where" # here\n')
    (tmp_path / "where").mkdir()
    (tmp_path / "where" / "Pulumi.staging.yaml").write_text("config:\n  anytier:port: 81\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    return tmp_path


def test_the_project_is_the_nearest_folder_above(project: Path) -> None:
    assert stack.project_dir() == project
    with pytest.raises(ConfigError, match="is not in a Pulumi project"):
        stack.project_dir(project.parent)


def test_stacks_are_where_the_project_says(project: Path) -> None:
    assert stack.stack_names(project) == ["staging"]
    assert stack.stack_config("staging") == {"anytier:port": 81}


@pytest.mark.parametrize("raw", [b"a: [", b"\x00", b"\xff", b"a:\n\t- b", b"- 1", b"config: 3", b"3"], ids=repr)
def test_a_stacks_file_that_is_no_config_is_told(project: Path, raw: bytes) -> None:
    (project / "where" / "Pulumi.staging.yaml").write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        stack.stack_config("staging")
    assert caught.value.path == "where/Pulumi.staging.yaml" and caught.value.do and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "config:\n", "encryptionsalt: x\n"])
def test_a_stacks_file_may_be_empty(project: Path, text: str) -> None:
    (project / "where" / "Pulumi.staging.yaml").write_text(text)
    assert stack.stack_config("staging") == {}


def test_a_mistyped_stack_gets_the_nearest_one(project: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'staging'"):
        stack.stack_config("stagign")
    said = stack.not_deployed("stagign")
    assert "there is no such stack (did you mean 'staging'?)" in str(said)
    assert (
        str(stack.not_deployed("staging")) == "stack staging: nothing is deployed -> `anytier up -s staging` deploys it"
    )


def test_this_environments_programs_come_first_once(monkeypatch: pytest.MonkeyPatch) -> None:
    own = str(Path(sys.executable).parent)
    monkeypatch.setenv("PATH", f"/somewhere:{own}:/else")
    assert stack.engine_env({"A": "b"})["PATH"] == f"{own}:/somewhere:/else"


@pytest.mark.parametrize(("code", "ending"), [(0, 0), (255, 130)], ids=["finished", "canceled"])
def test_an_interrupted_engine_is_waited_for(project: Path, tmp_path: Path, code: int, ending: int) -> None:
    """The terminal sends Ctrl-C to both; the engine takes its time to end in order, and may even finish."""
    engine = tmp_path / "pulumi"
    engine.write_text(
        f"#!/bin/sh\ntrap 'sleep 0.5; touch ended; exit {code}' INT\ntouch begun\nwhile :; do sleep 0.05; done\n"
    )
    engine.chmod(0o755)
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], cwd=project, env=path(tmp_path), start_new_session=True
    )
    while not (project / "begun").exists():
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGINT)
    assert child.wait(20) == ending
    assert (project / "ended").exists()


INTERRUPTED = """
import sys
from anytier.cli import stack
stack.engine_env = lambda extra=None: __import__("os").environ
try:
    sys.exit(stack.run_pulumi(["up"]))
except KeyboardInterrupt:
    sys.exit(130)
"""


def path(folder: Path) -> dict[str, str]:
    source = Path(stack.__file__).parents[2]
    return {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(source)}


def test_without_an_engine_the_remedy_is_named() -> None:
    with pytest.raises(NotFound, match="no Pulumi engine -> `make engine`"):
        stack.pulumi_argv(["up"], {"PATH": "/nonexistent"})


@pytest.mark.parametrize(
    "variable", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"]
)
def test_the_projects_own_passphrase_is_used_unless_somebody_says_more(
    project: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    (project / ".anytier").mkdir()
    (project / ".anytier" / "passphrase").write_text("x")
    assert stack.passphrase(project) == {}, "this project keeps its state elsewhere"
    with (project / "Pulumi.yaml").open("a") as file:
        file.write('backend: {url: "file://./.anytier/state"}\n')
    assert stack.passphrase(project) == {"PULUMI_CONFIG_PASSPHRASE_FILE": str(project / ".anytier" / "passphrase")}
    monkeypatch.setenv(variable, "")
    assert stack.passphrase(project) == {}
