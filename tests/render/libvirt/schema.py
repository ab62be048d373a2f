"""Goldens, and libvirt's own schemas where they are installed (Debian: libvirt-clients, libxml2-utils)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"
TOOLS = ("virt-xml-validate", "xmllint")


def golden(name: str, text: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / name
    if request.config.getoption("--accept"):
        file.write_text(text, encoding="utf-8")
    assert file.is_file(), f"no {name} yet: run pytest tests/render/libvirt --accept, and look at it"
    assert text == file.read_text(encoding="utf-8"), "changed: if that is meant, run it with --accept"


def valid(text: str, kind: str) -> None:
    """Valid by libvirt's schema. Where there is none to ask the test is skipped, and says so."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not held against libvirt's schema: no {' and no '.join(missing)} here")
    command = ["virt-xml-validate", "-", kind]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
