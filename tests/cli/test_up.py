"""What `anytier up` has the engine do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import pytest

from anytier.cli import stack, up
from anytier.names import UP_ENV


def test_it_looks_first_and_silence_then_is_the_updates_business(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[tuple[Sequence[str], Any]] = []
    codes = iter([stack.STACK_NOT_FOUND, 0, 0])

    def run_pulumi(args: Sequence[str], *, extra_env: Any = None, quiet: bool = False) -> int:
        runs.append((args, extra_env))
        return next(codes)

    monkeypatch.setattr(stack, "run_pulumi", run_pulumi)
    monkeypatch.setattr(stack, "stack_config", lambda name: {})
    monkeypatch.setattr(stack, "stack_outputs", lambda name: {})
    assert up.run(argparse.Namespace(stack="web")) == 0
    assert [args[0] for args, _ in runs] == ["up", "stack", "up"]
    for args, env in (runs[0], runs[2]):
        assert "--refresh" in args and env == {UP_ENV: "1"}
