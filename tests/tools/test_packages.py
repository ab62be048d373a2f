"""What a stack needs of Python, and the errors of set-up, each with the command that mends it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import main, packages
from bootstrap.paths import Paths
from bootstrap.say import SetupError, run

ROOT = Path(__file__).parents[2]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path, tmp_path / "cache")
    made.stacks.mkdir()
    made.lock("local").parent.mkdir()
    made.lock("local").write_text("")
    made.lock("docker").write_text("")
    return made


@pytest.mark.parametrize(
    "line", ["  anytier:tier: docker", '  "anytier:tier": "docker"', "  anytier:tier: 'docker' # a Docker host"]
)
def test_the_tier_is_read_from_the_stacks_file(paths: Paths, line: str) -> None:
    (paths.stacks / "Pulumi.prod.yaml").write_text(f"config:\n  anytier:app: app.yaml\n{line}\n")
    assert packages.tier_of(paths, "prod") == "docker"


@pytest.mark.parametrize(
    ("options", "extras"),
    [
        ("  anytier:docker:\n    libvirt:\n      image: a.qcow2", ["docker", "libvirt"]),
        ("  anytier:docker: {address: shop.test, libvirt: {image: a.qcow2}}", ["docker", "libvirt"]),
        ('  anytier:docker: {"libvirt": {"image": "a"}}', ["docker", "libvirt"]),
        ("  anytier:docker: {machine: {address: libvirt.example.org}}  # not libvirt: that is there", ["docker"]),
        ("  anytier:libvirt: {image: a.qcow2}", ["docker"]),
    ],
)
def test_a_stack_whose_machines_are_made_needs_what_makes_them(paths: Paths, options: str, extras: list[str]) -> None:
    (paths.stacks / "Pulumi.prod.yaml").write_text(f"config:\n  anytier:tier: docker\n{options}\n")
    assert packages.extras_of(paths, "prod") == extras


def test_an_unknown_stack_is_answered_with_those_there_are(paths: Paths) -> None:
    (paths.stacks / "Pulumi.local.yaml").write_text("")
    with pytest.raises(SetupError, match="no stack 'lokal'") as caught:
        packages.tier_of(paths, "lokal")
    assert caught.value.do == "one of local"


def test_a_stack_without_a_tier_is_told_the_line_to_add(paths: Paths) -> None:
    (paths.stacks / "Pulumi.prod.yaml").write_text("config: {}\n")
    with pytest.raises(SetupError, match="names no tier") as caught:
        packages.tier_of(paths, "prod")
    assert "anytier:tier: local" in caught.value.do


def test_an_unknown_extra_is_answered_with_those_there_are(paths: Paths) -> None:
    with pytest.raises(SetupError) as caught:
        packages.ensure(paths, "eks")
    assert caught.value.do == "one of docker, local"


def test_what_is_the_same_is_not_written_again(tmp_path: Path) -> None:
    file = tmp_path / "script"
    packages.write(file, "one", 0o755)
    os.utime(file, (1, 1))
    packages.write(file, "one", 0o755)
    assert file.stat().st_mtime == 1
    packages.write(file, "two", 0o755)
    assert file.read_text() == "two" and file.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("folder", ["plain", "with a blank", "deep" * 40])
def test_a_script_runs_wherever_the_clone_is(tmp_path: Path, folder: str) -> None:
    python, script = tmp_path / folder / "python", tmp_path / "script"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    packages.write(script, f"{packages.starts_with(python)}\nimport sys\nprint(sys.argv[1:])\n", 0o755)
    done = subprocess.run([str(script), "a b", "*"], capture_output=True, text=True, check=True)
    assert done.stdout == "['a b', '*']\n"


def test_a_command_that_fails_shows_the_end_of_what_it_said() -> None:
    with pytest.raises(SetupError) as caught:
        run([sys.executable, "-c", "print('line\\n' * 40 + 'the reason'); raise SystemExit(7)"], "mend it")
    said = str(caught.value)
    assert "ended with 7" in said and "the reason" in said and said.endswith("-> mend it")
    assert said.count("line") < 20


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(SetupError, match="/no/such/program cannot be run"):
        run(["/no/such/program"], "install it")


def test_the_command_line_ends_with_one_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], paths: Paths
) -> None:
    monkeypatch.setattr(Paths, "here", classmethod(lambda _: paths))
    assert main.main(["--stack", "nonsense"]) == 1
    assert "set-up stopped: there is no stack 'nonsense'" in capsys.readouterr().err


def test_setting_up_again_costs_next_to_nothing() -> None:
    """The clone that these tests run in has been set up: a run says nothing and does nothing."""
    command = [sys.executable, str(ROOT / "tools" / "setup.py"), "--extra", "dev"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("env", "cache"),
    [
        ({"ANYTIER_CACHE_DIR": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/anytier"),
        ({"HOME": "/h"}, "/h/.cache/anytier"),
    ],
)
def test_the_cache_is_where_the_user_wants_it(env: dict[str, str], cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANYTIER_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert Paths.here().cache == Path(cache)
    assert Paths.here().root == ROOT


def test_modules_are_compiled_also_where_python_may_not_write_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    (tmp_path / "components").mkdir()
    (tmp_path / "components" / "one.py").write_text("x = 1")
    (tmp_path / "components" / "wrong.py").write_text("x = ")  # no reason to stop
    paths = Paths(tmp_path, tmp_path)
    paths.python.parent.mkdir(parents=True)
    paths.python.symlink_to(sys.executable)
    packages.compile_all(paths)
    assert list((tmp_path / "components" / "__pycache__").glob("one.*.pyc"))
