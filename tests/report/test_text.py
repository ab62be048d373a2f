"""Text that fits a terminal: widths of any script, and nothing that moves the cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.report.text import clean, fit, pad, width


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("日本", 4), ("e\u0301", 1), ("a\u200db", 2)], ids=repr
)
def test_width_counts_columns_and_not_characters(text: str, columns: int) -> None:
    assert width(text) == columns


@given(st.text(), st.integers(0, 40))
def test_what_is_fitted_is_never_wider_and_is_left_alone_where_it_fits(text: str, room: int) -> None:
    made = fit(text, room)
    assert width(made) <= room
    assert (made == text) == (width(text) <= room) or made == text


@given(st.text(), st.integers(0, 40))
def test_what_is_padded_has_exactly_the_width(text: str, room: int) -> None:
    assert width(pad(fit(text, room), room)) == room


@given(st.text())
def test_clean_text_stays_on_its_line_and_cannot_steer_a_terminal(text: str) -> None:
    made = clean(text)
    assert made.isprintable()
    assert len(made.splitlines()) <= 1
    if text.isprintable():
        assert made == text
