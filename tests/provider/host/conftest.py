"""The corner that each host test gets, and which process manager it uses: ANYTIER_TEST_SUPERVISOR, else supervisord."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .corner import Corner

SUPERVISOR = os.environ.get("ANYTIER_TEST_SUPERVISOR", "supervisord")


@pytest.fixture
def corner(tmp_path: Path) -> Iterator[Corner]:
    made = Corner(tmp_path, SUPERVISOR)  # type: ignore[arg-type]
    yield made
    made.wipe()


@pytest.fixture
def supervisor() -> str:
    return SUPERVISOR
