"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def pulumi_env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the real engine runs: a home and a file backend of its own, this Python first on PATH."""
    home = tmp_path_factory.mktemp("pulumi")
    (home / "state").mkdir()
    folders = [str(Path(sys.executable).parent), str(_engine_folder()), os.environ.get("PATH", "")]
    return {
        **os.environ,
        "PATH": os.pathsep.join(folders),
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_BACKEND_URL": f"file://{home / 'state'}",
        "PULUMI_CONFIG_PASSPHRASE": "for tests only",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
        "NO_COLOR": "1",
    }


def _engine_folder() -> Path:
    """Where `pulumi` and its Python host are. Their absence is a failure: a test that is skipped proves nothing."""
    cache = Path(os.environ.get("ANYTIER_TOOLS_DIR") or Path.home() / ".cache" / "anytier" / "tools")
    candidates = [found.parent for name in ("pulumi",) if (found := _which(name))]
    candidates += sorted((file.parent for file in cache.glob("**/pulumi-language-python")), reverse=True)
    for folder in candidates:
        if (folder / "pulumi").exists() and (folder / "pulumi-language-python").exists():
            return folder
    pytest.fail("no Pulumi engine on PATH or in the project's cached tools; run: make engine", pytrace=False)


def _which(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).resolve() if found else None
