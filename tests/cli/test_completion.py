"""The completion script, in the shell that it is for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.cli.console import anytier

from anytier.capabilities import TIERS
from anytier.cli.registry import VERBS

PROJECT = Path(__file__).parents[2]
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_anytier
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    done = anytier("completion", "bash")
    assert done.code == 0
    file = tmp_path_factory.mktemp("completion") / "anytier.bash"
    file.write_text(done.out)
    return file


def offered(script: Path, *words: str, cwd: Path = PROJECT) -> set[str]:
    ran = subprocess.run(["bash", "-c", ASK, "bash", str(script), *words], cwd=cwd, capture_output=True, text=True)
    assert ran.returncode == 0 and not ran.stderr, ran.stderr
    return set(ran.stdout.split())


def test_bash_knows_the_verbs_and_their_options(script: Path) -> None:
    assert offered(script, "anytier", "") == set(VERBS)
    assert offered(script, "anytier", "sta") == {"status"}
    assert offered(script, "anytier", "status", "--js") == {"--json"}


def test_bash_knows_this_projects_stacks(script: Path, tmp_path: Path) -> None:
    assert {"local", "docker"} <= offered(script, "anytier", "up", "-s", "", cwd=PROJECT / "apps")
    assert offered(script, "anytier", "up", "-s", "loc") == {"local"}
    assert offered(script, "anytier", "up", "-s", "", cwd=tmp_path) == set()


def test_bash_knows_tiers_and_files(script: Path) -> None:
    assert offered(script, "anytier", "matrix", "--tier", "") == set(TIERS)
    assert offered(script, "anytier", "validate", "READ") == {"README.md"}


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_there_is_a_script_for_each_shell(shell: str) -> None:
    done = anytier("completion", shell)
    assert done.code == 0 and "rollback" in done.out and "--follow" in done.out


def test_another_shell_is_wrong_usage() -> None:
    assert anytier("completion", "fish").code == 2
