"""Secrets are read where the spec says; what goes wrong names the secret and the way out, never a value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from anytier.errors import SpecError
from anytier.spec.model import Secret
from anytier.spec.secrets import read

CANARY = "hunter2-Canary"


def secret(**fields: Any) -> Secret:
    return Secret.model_validate(fields)


def value(found: Secret, folder: Path = Path(), config: dict[str, str] | None = None) -> str:
    return read("web-token", found, folder, (config or {}).get)


def told(found: Secret, folder: Path = Path()) -> str:
    with pytest.raises(SpecError) as error:
        value(found, folder)
    assert error.value.path.startswith("secrets.web-token") and error.value.do
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None
    return str(error.value)


def test_from_the_stacks_config_by_its_own_name_or_a_key() -> None:
    assert value(secret(**{"from": "config"}), config={"web-token": CANARY}) == CANARY
    assert value(secret(**{"from": "config", "key": "other"}), config={"other": CANARY}) == CANARY
    assert "pulumi config set --secret anytier:web-token" in told(secret(**{"from": "config"}))


def test_from_the_environment_by_its_name_in_upper_case_or_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_TOKEN", CANARY)
    monkeypatch.setenv("OTHER", "other")
    assert value(secret(**{"from": "env"})) == CANARY
    assert value(secret(**{"from": "env", "key": "OTHER"})) == "other"
    assert "export NOWHERE" in told(secret(**{"from": "env", "key": "NOWHERE"}))
    monkeypatch.setenv("WEB_TOKEN", "")
    assert "is empty in its source (env)" in told(secret(**{"from": "env"}))


def test_from_a_file_beside_the_spec_without_its_last_newline(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{CANARY}\n\n")
    assert value(secret(**{"from": "file", "path": "token"}), tmp_path) == f"{CANARY}\n"
    assert "cannot read none: No such file" in told(secret(**{"from": "file", "path": "none"}), tmp_path)
    (tmp_path / "raw").write_bytes(CANARY.encode() + b"\xff")
    assert "is not UTF-8 text" in told(secret(**{"from": "file", "path": "raw"}), tmp_path)


def test_from_a_command_run_in_the_specs_folder(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{CANARY}\n")

    def by(code: str, **more: Any) -> Secret:
        return secret(**{"from": "command", "command": [sys.executable, "-I", "-c", code], **more})

    assert value(by("print(open('token').read(), end='')"), tmp_path) == CANARY
    failing = by(f"import sys; print('{CANARY}'); sys.stderr.write('{CANARY}'); sys.exit(3)")
    with pytest.raises(SpecError) as error:
        value(failing, tmp_path)
    assert "ended with 3" in error.value.what and CANARY not in str(error.value)
    assert "gave nothing within 0.3 s" in told(by("import time; time.sleep(30)", timeout="300ms"), tmp_path)
    assert "cannot run" in told(secret(**{"from": "command", "command": ["/nowhere/tool"]}), tmp_path)
