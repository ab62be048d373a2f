"""What was measured in cells: as it was recorded, and unlike machines are not passed off as alike."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.report.compare.made import measurement

from anytier.measure.record import Measurement, figure
from anytier.report.compare.measured import cells, number


def test_a_figure_is_shown_with_its_samples_machine_and_day() -> None:
    cell = cells("noop", [measurement("docker", noop=1.25)])[0]
    assert cell.text == "1.25 s" and cell.value == 1.25 and cell.detail == ("samples: 1.25",)
    assert cell.note == "on 2 cores of AMD EPYC, 24,000 MiB, kernel 6.18"
    assert str(cell.sources[0].date) == "2026-11-28" and "-s docker" in cell.sources[0].name
    assert not cells("create", [measurement("docker", noop=1.25)])[0].known


def test_a_place_that_cannot_tell_what_it_is_has_no_note() -> None:
    figures = {"requests": figure([5231.4], "requests/s")}
    (cell,) = cells("requests", [Measurement(stack="a", tier="eks", date=datetime.now(UTC), figures=figures)])
    assert (cell.text, cell.note) == ("5,231 requests/s", "")


def test_unlike_machines_are_told() -> None:
    alike = [measurement("kubeadm", noop=1), measurement("docker", noop=2)]
    assert "do not compare" not in cells("noop", alike)[0].note
    unlike = [*alike, measurement("local", 64, noop=1), None]
    found = cells("noop", unlike)
    assert all("do not compare" in cell.note for cell in found[:3]) and not found[3].known


@given(st.floats(min_value=0, max_value=1e15))
def test_a_number_reads_as_what_it_is(value: float) -> None:
    text = number(value)
    assert "e" not in text and abs(float(text.replace(",", "")) - value) <= max(value * 0.006, 1e-6)
