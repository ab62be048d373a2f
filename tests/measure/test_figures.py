"""The table of figures: every step exists, every name is there once, and what is asked for is what is taken."""

from __future__ import annotations

import pytest

from anytier.errors import UsageError
from anytier.measure import steps
from anytier.measure.figures import FIRST, KINDS, STEPS, chosen


def test_every_step_exists_and_every_figure_is_taken_by_one() -> None:
    assert all(callable(getattr(steps, step.run)) for step in STEPS)
    assert len(KINDS) == sum(len(step.kinds) for step in STEPS)


def test_the_names_are_those_that_a_comparison_reads() -> None:
    wanted = "create deploy noop platform.memory platform.cpu requests update update.lost recovery.process"
    assert list(KINDS) == [*wanted.split(), "recovery.instance"]


def test_one_figure_takes_the_first_deploy_and_its_own_step() -> None:
    assert [step.run for step in chosen(["update.lost"])] == ["deploy", "update"]
    assert chosen(["create"]) == [FIRST]
    assert chosen([]) == list(STEPS)


def test_a_mistyped_figure_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'noop'"):
        chosen(["no-op"])
