"""The file of a measurement: it comes back as it went, and what is none is told so."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anytier.errors import UsageError
from anytier.measure.record import FORMAT, Machine, Measurement, figure, file_of, parse, read, write

NUMBERS = st.floats(0, 1e9, allow_nan=False)
TEXTS = st.text(max_size=20)
FIGURES = st.builds(
    figure,
    st.lists(NUMBERS, min_size=1, max_size=5),
    TEXTS,
    st.sampled_from(["median", "worst"]),
)
MACHINES = st.builds(
    Machine,
    cores=st.integers(1, 512),
    memory=st.integers(0, 1 << 24),
    kernel=TEXTS,
    cpu=TEXTS,
)
MEASUREMENTS = st.builds(
    Measurement,
    stack=TEXTS,
    tier=TEXTS,
    mode=st.none() | TEXTS,
    date=st.datetimes(timezones=st.just(UTC)),
    machine=st.none() | MACHINES,
    versions=st.dictionaries(TEXTS, TEXTS, max_size=3),
    figures=st.dictionaries(TEXTS, FIGURES, max_size=4),
)
ONE = Measurement(
    stack="here",
    tier="local",
    mode="supervisord",
    date=datetime(2026, 11, 28, 20, 40, tzinfo=UTC),
    machine=Machine(cores=2, memory=8192, kernel="6.1", cpu="one"),
    versions={"pulumi": "v3"},
    figures={"deploy": figure([3.0, 1.0, 2.0], "s")},
)


@given(MEASUREMENTS)
def test_a_measurement_goes_to_json_and_back(measurement: Measurement) -> None:
    text = measurement.text()
    assert parse(text, "file") == measurement
    assert parse(text, "file").text() == text


@given(st.text() | st.binary(max_size=200))
def test_anything_else_is_told_and_never_a_traceback(text: str | bytes) -> None:
    with pytest.raises(UsageError, match="file: is no"):
        parse(text, "file")


def test_the_file_has_the_promised_form() -> None:
    assert ONE.as_json() == {
        "apiVersion": FORMAT,
        "stack": "here",
        "tier": "local",
        "mode": "supervisord",
        "date": "2026-11-28T20:40:00Z",
        "machine": {"cores": 2, "memory": 8192, "kernel": "6.1", "cpu": "one"},
        "versions": {"pulumi": "v3"},
        "figures": {"deploy": {"value": 2.0, "unit": "s", "samples": [3.0, 1.0, 2.0]}},
    }


def test_what_should_not_happen_at_all_is_told_by_its_worst_sample() -> None:
    assert figure([0, 0, 7], "requests", "worst").value == 7
    assert figure([0, 0, 7], "requests").value == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"apiVersion": "anytier.dev/measurement/v2"}, "apiVersion"),
        ({"date": "2026-11-28T20:40:00"}, "date: input should have timezone info"),
        ({"figures": {"deploy": {"value": 1, "unit": "s", "samples": []}}}, "samples"),
        ({"figures": {"deploy": {"value": 9, "unit": "s", "samples": [1, 2]}}}, "not between"),
        ({"figures": {"deploy": {"value": -1, "unit": "s", "samples": [-1]}}}, "greater than or equal"),
        ({"figures": {"deploy": {"value": float("nan"), "unit": "s", "samples": [1]}}}, "value"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_file_that_lies_or_is_newer_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        parse(json.dumps({**ONE.as_json(), **change}), "measurements/here.json")
    assert "anytier measure" in refused.value.do


def test_a_huge_file_and_a_deep_one_are_refused() -> None:
    with pytest.raises(UsageError, match="more than 1 MiB"):
        parse(" " * (1 << 20) + "{}", "file")
    with pytest.raises(UsageError, match="file: is no"):
        parse("[" * 200_000, "file")


def test_a_file_is_written_whole_and_found_again(tmp_path: Path) -> None:
    assert read(tmp_path, "here") is None
    assert write(tmp_path, ONE, "its account\n") == file_of(tmp_path, "here") == tmp_path / "measurements" / "here.json"
    assert read(tmp_path, "here") == ONE
    assert sorted(file.name for file in (tmp_path / "measurements").iterdir()) == ["here.json", "here.txt"]
    assert (tmp_path / "measurements" / "here.txt").read_text() == "its account\n"


def test_a_machine_that_is_not_known_is_an_empty_one() -> None:
    unknown = ONE.model_copy(update={"machine": None})
    assert unknown.as_json()["machine"] == {}
    assert parse(unknown.text(), "file") == unknown
