"""Measurements: what a file must hold, and that unlike machines are not passed off as alike."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.compare.made import measurement

from anytier.errors import ConfigError
from anytier.report.compare.measured import FIGURES, cells, number, parse

FILE: dict[str, Any] = {
    "apiVersion": "anytier.dev/measurement/v1",
    "stack": "docker",
    "tier": "docker",
    "mode": None,
    "date": "2026-11-28T20:00:00+00:00",
    "machine": {"cores": 2, "cpu": "AMD EPYC", "kernel": "6.18", "memory": 24000},
    "versions": {"anytier": "0.1.0"},
    "figures": {
        "noop": {"value": 1.25, "unit": "s", "samples": [1.2, 1.25, 1.3]},
        "requests": {"value": 5231.4, "unit": "requests/s", "samples": 3},
    },
}


def test_a_file_is_read() -> None:
    found = parse(json.dumps(FILE).encode(), "measurements/docker.json")
    cell = cells("noop", [found])[0]
    assert cell.text == "1.25 s" and cell.value == 1.25 and cell.detail == ("samples: 1.2, 1.25, 1.3",)
    assert (
        cell.note == "on cores 2, cpu AMD EPYC, kernel 6.18, memory 24000" and str(cell.sources[0].date) == "2026-11-28"
    )
    assert cells("requests", [found])[0].text == "5,231 requests/s"
    assert not cells("create", [found])[0].known


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"apiVersion": "v2"}, "apiVersion"),
        ({"figures": {"noop": {"value": -1}}}, "figures.noop.value"),
        ({"figures": {"noop": {"value": "fast"}}}, "figures.noop.value"),
        ({"more": 1}, "more"),
    ],
)
def test_a_file_that_is_none_is_told_with_its_path(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(json.dumps({**FILE, **change}).encode(), "measurements/docker.json")
    assert said in str(error.value) and "anytier measure" in error.value.do


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"figures": {"noop": {"value": NaN}}}'])
def test_a_truncated_file_is_told(data: bytes) -> None:
    with pytest.raises(ConfigError):
        parse(data, "measurements/x.json")


def test_unlike_machines_are_told() -> None:
    alike = [measurement("kubeadm", noop=1), measurement("docker", noop=2)]
    assert "do not compare" not in cells("noop", alike)[0].note
    unlike = [*alike, measurement("local", {"cores": 64}, noop=1), None]
    found = cells("noop", unlike)
    assert all("do not compare" in cell.note for cell in found[:3]) and not found[3].known


def test_every_figure_has_a_name() -> None:
    names = {"create", "deploy", "noop", "update", "update.lost", "recovery.process", "recovery.instance"}
    assert names | {"platform.memory", "platform.cpu", "requests"} == set(FIGURES)


@given(st.floats(min_value=0, max_value=1e15))
def test_a_number_reads_as_what_it_is(value: float) -> None:
    text = number(value)
    assert "e" not in text and abs(float(text.replace(",", "")) - value) <= max(value * 0.006, 1e-6)
