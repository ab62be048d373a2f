"""Where the stacks' state lies and what seals its secrets."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from anytier.doctor.check import Finding, Subject, missing, ok

_GIVEN = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def elsewhere() -> str | None:
    """The backend that the user has chosen by variable or by `pulumi login`; None where the project keeps its own."""
    if url := os.environ.get("PULUMI_BACKEND_URL"):
        return url
    if os.environ.get("PULUMI_ACCESS_TOKEN"):
        return "Pulumi Cloud"
    home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    try:
        return json.loads((home / "credentials.json").read_text(encoding="utf-8")).get("current") or None
    except (OSError, ValueError, AttributeError):
        return None


def state(subject: Subject) -> Iterator[Finding]:
    folder = subject.project / ".anytier" / "state"
    backend = elsewhere()
    if backend:
        yield ok("state", f"kept in {backend}")
    elif not folder.is_dir():
        do = "python3 tools/setup.py" if subject.clone else f"mkdir -p {folder}, or `pulumi login`"
        yield missing("state", f"there is no {folder}", do)
    elif not os.access(folder, os.W_OK):
        yield missing("state", f"{folder} cannot be written", f"chown -R $USER {folder}")
    else:
        yield ok("state", f"kept in {folder}")


def passphrase(subject: Subject) -> Iterator[Finding]:
    file = subject.project / ".anytier" / "passphrase"
    given = next((name for name in _GIVEN if os.environ.get(name) is not None), None)
    if given:
        yield from _from_variable(given)
    elif elsewhere():
        yield ok("passphrase", "whatever the backend asks for")
    elif not file.is_file():
        yield missing("passphrase", f"there is no {file}", _make(subject, file))
    elif file.stat().st_mode & 0o077:
        yield missing("passphrase", f"{file} can be read by others", f"chmod 600 {file}")
    else:
        yield ok("passphrase", f"in {file}, which only its owner can read")


def _from_variable(name: str) -> Iterator[Finding]:
    file = Path(os.environ[name])
    if name.endswith("_FILE") and not file.is_file():
        yield missing("passphrase", f"{name} names {file}, which is not there", f"unset {name}, or mend it")
    else:
        yield ok("passphrase", f"from {name}")


def _make(subject: Subject, file: Path) -> str:
    if any((subject.project / ".anytier" / "state").glob(".pulumi/stacks/*/*.json")):
        return "put it back: the state that is there cannot be read without it"
    return "python3 tools/setup.py" if subject.clone else f"(umask 077; openssl rand -hex 24 >{file})"
