"""What counts as healed: the harmed instance is a new process, the others are the old ones."""

from __future__ import annotations

from typing import Any

import pytest

from anytier.conformance.check import Failed
from anytier.conformance.checks import health
from anytier.conformance.load import until

BEFORE = {"one": {"started": 1.0}, "two": {"started": 2.0}}


class Trial:
    until = staticmethod(until)

    def __init__(self, *looks: dict[str, Any]) -> None:
        self.looks = list(looks)

    def replicas(self, count: int, seconds: float) -> dict[str, Any]:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.mark.parametrize(
    "after",
    [
        BEFORE,
        {"one": {"started": 9.0}, "two": {"started": 9.5}},
        {"one": {"started": 1.0}, "two": {"started": 9.0}},
    ],
    ids=["nobody was restarted", "all were", "the wrong one was"],
)
def test_it_is_not_healed(after: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HEALED_WITHIN", 0.3)
    with pytest.raises(Failed, match="one is not restarted"):
        health.restarted(Trial(after), BEFORE, "one")  # type: ignore[arg-type]


def test_it_is_healed_once_the_harmed_one_alone_is_new() -> None:
    trial = Trial(BEFORE, {"one": {"started": 9.0}, "two": {"started": 2.0}})
    assert health.restarted(trial, BEFORE, "one") < 5  # type: ignore[arg-type]
