"""A measurement as people read it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.measure.test_record import MEASUREMENTS, ONE

from anytier.measure.record import Measurement, figure
from anytier.measure.table import Remarks, as_text, shown


def test_the_table_says_where_and_when_every_figure_and_what_failed() -> None:
    parts = {"dockerd": 90.0, "proxy": 30.25}
    figures = {**ONE.figures, "platform.memory": figure([120.25], "MiB")}
    said = Remarks({"platform.memory": "why so"}, {"platform.memory": parts}, {"update, update.lost": "no"}, 0.5)
    lines = as_text(ONE.model_copy(update={"figures": figures}), said).splitlines()
    assert lines[0] == "stack here, local (supervisord), 2026-11-28 20:40 UTC, 2 cores, 8 GiB, load before 0.5"
    assert lines[2].split() == ["FIGURE", "VALUE", "UNIT", "SAMPLES", "NOTE"]
    assert lines[3].split() == ["deploy", "2", "s", "3:", "1", "to", "3"]
    assert lines[4].split() == ["platform.memory", "120", "MiB", "1", "why", "so"]
    assert lines[5].split() == ["update,", "update.lost", "failed", "no"]
    assert lines[6] == "platform.memory, the last sample: dockerd 90, proxy 30.2"


def test_figures_have_three_digits_where_there_are_three_to_tell() -> None:
    found = [shown(value) for value in (0, 0.034, 1.234, 3.0, 12.34, 123.4, 1234.5)]
    assert found == ["0", "0.03", "1.23", "3", "12.3", "123", "1,234"]


@given(MEASUREMENTS, st.text())
def test_no_name_moves_the_terminal(measurement: Measurement, name: str) -> None:
    text = as_text(measurement, Remarks({name: name}, {name: {name: 1.0}}, {name: name}))
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text.split("\n")) == 5 + len(measurement.figures)
