"""What makes a clone usable by hand: the passphrase beside its state, and the filter that keeps salts out of git."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from bootstrap import clone
from bootstrap.paths import Paths
from bootstrap.say import SetupError

SALT = "encryptionsalt: v1:abc=:v1:def:ghi=="
STACK = "# where\nconfig:\n  anytier:tier: local\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(tmp_path / "clone", tmp_path / "cache")
    made.stacks.mkdir(parents=True)
    return made


def test_the_passphrase_is_random_and_its_owners_only(paths: Paths, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        clone.passphrase(paths)
    finally:
        os.umask(before)
    assert paths.passphrase.stat().st_mode & 0o777 == 0o600
    assert len(paths.passphrase.read_text().strip()) >= 32
    other = Paths(tmp_path / "other", paths.cache)
    other.root.mkdir()
    clone.passphrase(other)
    assert other.passphrase.read_text() != paths.passphrase.read_text()


def test_the_passphrase_is_made_once(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    clone.passphrase(paths)
    first = paths.passphrase.read_text()
    said = capsys.readouterr().out
    assert "kept in .anytier/state" in said and "keep a copy" in said
    clone.passphrase(paths)
    assert paths.passphrase.read_text() == first
    assert capsys.readouterr().out == ""


def test_a_passphrase_that_others_can_read_is_refused(paths: Paths) -> None:
    clone.passphrase(paths)
    paths.passphrase.chmod(0o640)
    with pytest.raises(SetupError, match="can be read by others") as caught:
        clone.passphrase(paths)
    assert caught.value.do == f"chmod 600 {paths.passphrase}"


def test_stacks_without_their_passphrase_get_no_new_one(paths: Paths) -> None:
    (paths.state / ".pulumi" / "stacks" / "anytier").mkdir(parents=True)
    (paths.state / ".pulumi" / "stacks" / "anytier" / "local.json").write_text("{}")
    with pytest.raises(SetupError, match=r"passphrase .* is gone"):
        clone.passphrase(paths)
    assert not paths.passphrase.exists()


@pytest.mark.parametrize(
    ("env", "credentials", "answer"),
    [
        ({}, None, False),
        ({"PULUMI_BACKEND_URL": "s3://state"}, None, True),
        ({"PULUMI_ACCESS_TOKEN": "pul-1"}, None, True),
        ({"PULUMI_BACKEND_URL": ""}, None, False),
        ({}, {"current": "https://api.pulumi.com"}, True),
        ({}, {"current": ""}, False),
        ({}, ["unexpected"], False),
    ],
)
def test_who_keeps_state_elsewhere_is_known_by_variable_or_login(
    env: dict[str, str], credentials: object, answer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    if credentials is not None:
        (tmp_path / "credentials.json").write_text(json.dumps(credentials))
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert clone.elsewhere() is answer


def git(paths: Paths, *argv: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", "-C", str(paths.root), *identity, *argv], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(paths: Paths) -> Paths:
    git(paths, "init", "--quiet")
    (paths.root / ".gitattributes").write_text("/stacks/Pulumi.*.yaml filter=anytier-salt\n")
    (paths.stacks / "Pulumi.local.yaml").write_text(STACK)
    clone.git_filter(paths)
    git(paths, "add", ".")
    git(paths, "commit", "--quiet", "-m", "first")
    return paths


def test_a_clones_own_salt_is_no_change_to_git(repository: Paths) -> None:
    file = repository.stacks / "Pulumi.local.yaml"
    file.write_text(STACK + SALT + "\n")
    assert git(repository, "diff") == ""
    git(repository, "add", ".")
    assert git(repository, "status", "--porcelain") == ""
    file.write_text(STACK + "  anytier:port: 81\n" + SALT + "\n")
    git(repository, "add", ".")
    assert git(repository, "show", ":stacks/Pulumi.local.yaml") == STACK + "  anytier:port: 81\n"


def test_the_salt_of_encrypted_values_is_kept(repository: Paths) -> None:
    text = STACK + "  app:token:\n    secure: v1:xyz\n" + SALT + "\n"
    (repository.stacks / "Pulumi.local.yaml").write_text(text)
    git(repository, "add", ".")
    assert git(repository, "show", ":stacks/Pulumi.local.yaml") == text


def test_without_git_there_is_nothing_to_set_up(paths: Paths) -> None:
    clone.git_filter(paths)
    assert [file.name for file in paths.root.iterdir()] == ["stacks"]
