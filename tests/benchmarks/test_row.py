from __future__ import annotations

import pytest

from benchmarks.row import Limit, Row


def test_the_median_decides_not_the_mean() -> None:
    row = Row("x", "s", [1.0, 1.1, 50.0], "y", [1.0, 1.0, 1.0], Limit("ratio", 1.3))
    assert row.ratio == pytest.approx(1.1)
    assert row.verdict == "met"


@pytest.mark.parametrize(
    ("limit", "verdict"),
    [(None, "no limit"), (Limit("ratio", 2.0), "met"), (Limit("ratio", 1.9), "missed"), (Limit("ours", 4), "met"),
     (Limit("ours", 3.9), "missed")],
)  # fmt: skip
def test_a_limit_is_on_the_ratio_or_on_our_own_figure(limit: Limit | None, verdict: str) -> None:
    assert Row("x", "s", [4.0], "y", [2.0], limit).verdict == verdict


def test_what_cannot_be_told_is_missed() -> None:
    assert Row("x", "s", [4.0], "y", [0.0], Limit("ratio", 2.0)).verdict == "missed"


def test_a_row_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="has samples"):
        Row("x", "s", [])
    with pytest.raises(ValueError, match="has samples"):
        Row("x", "s", [1.0], "somebody", [])
    with pytest.raises(ValueError, match="needs something to be measured beside"):
        Row("x", "s", [1.0], limit=Limit("ratio", 1.0))


def test_rows_survive_json() -> None:
    row = Row("x", "s", [4.0, 5.0], "y", [2.0], Limit("ratio", 2.0))
    assert Row.from_json(row.as_json()) == row
