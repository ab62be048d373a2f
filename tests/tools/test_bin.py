"""bin/pulumi-resource-anytier, run for real: the clone's own Python, and nothing of the user's project in its way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = """
import json, sys

def main():
    print(json.dumps([sys.argv[1:], sys.prefix, json.__file__, sys.flags.isolated]))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The script in a clone whose plugin only says how it was started."""
    made = tmp_path / "a clone"
    shutil.copytree(ROOT / "bin", made / "bin")
    package = made / "components" / "anytier" / "provider"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "__main__.py").write_text(PLUGIN)
    return made


def run(script: Path, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": "/usr/bin:/bin", **env}
    return subprocess.run([str(script), "127.0.0.1:9", "a b"], cwd=cwd, env=given, capture_output=True, text=True)


def venv(clone: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(clone / ".venv")], check=True)
    return clone / ".venv"


def test_it_starts_the_clones_own_python_with_the_engines_words(clone: Path, tmp_path: Path) -> None:
    own = venv(clone)
    argv, prefix, _, _ = json.loads(run(clone / "bin" / "pulumi-resource-anytier", tmp_path).stdout)
    assert (argv, prefix) == (["127.0.0.1:9", "a b"], str(own))


def test_it_finds_its_clone_through_a_link(clone: Path, tmp_path: Path) -> None:
    own = venv(clone)
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "pulumi-resource-anytier"
    link.symlink_to(clone / "bin" / "pulumi-resource-anytier")
    assert json.loads(run(link, tmp_path).stdout)[1] == str(own)


def test_no_file_or_variable_of_the_users_project_takes_a_modules_place(clone: Path, tmp_path: Path) -> None:
    venv(clone)
    project = tmp_path / "project"
    (project / "anytier").mkdir(parents=True)
    for name in ("json.py", "anytier/__init__.py"):
        (project / name).write_text("raise SystemExit('taken over')\n")
    done = run(clone / "bin" / "pulumi-resource-anytier", project, PYTHONPATH=str(project), PYTHONHOME=str(project))
    _, _, module, isolated = json.loads(done.stdout)
    assert isolated == 1 and not module.startswith(str(project))


def test_without_a_python_it_says_what_to_run(clone: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("sh", "ls"):
        (tools / name).symlink_to(shutil.which(name) or "")
    done = run(clone / "bin" / "pulumi-resource-anytier", tmp_path, PATH=str(tools))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "pulumi-resource-anytier: no Python found; run: make up\n"
