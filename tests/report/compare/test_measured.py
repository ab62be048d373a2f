"""What was measured in cells: as it was recorded, and unlike machines are not passed off as alike."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from tests.report.compare.made import measurement

from anytier.measure.record import Measurement, figure
from anytier.report.compare import measured
from anytier.report.compare.measured import number
from anytier.report.compare.model import Cell
from anytier.report.compare.subject import Subject


def cells(name: str, found: Sequence[Measurement | None]) -> list[Cell]:
    """Of stacks of which that was measured; of tier eks where it was not."""
    return measured.cells(
        name, [Subject("a", item.tier, measurement=item) if item else Subject("a", "eks") for item in found]
    )


def test_a_figure_is_shown_with_its_samples_machine_and_day() -> None:
    cell = cells("noop", [measurement("docker", noop=1.25)])[0]
    assert cell.text == "1.25 s" and cell.value == 1.25 and cell.detail == ("samples: 1.25",)
    assert cell.note == "on 2 cores of AMD EPYC, 24,000 MiB, kernel 6.18"
    assert str(cell.sources[0].date) == "2026-11-28" and "-s docker" in cell.sources[0].name
    assert not cells("create", [measurement("kubeadm", noop=1.25)])[0].known


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


def test_what_a_tier_never_makes_is_not_unknown() -> None:
    for item in (Subject("a", "local"), Subject("a", "docker", measurement=measurement("docker", noop=1.25))):
        (cell,) = measured.cells("create", [item])
        assert cell.known and cell.value is None and cell.text == "nothing to make" and cell.sources
    assert not measured.cells("create", [Subject("a", "libvirt")])[0].known
    assert not measured.cells("deploy", [Subject("a", "local")])[0].known


def test_a_processor_that_was_emulated_is_told_beside_the_figure() -> None:
    slow = measurement("libvirt", deploy=48.3)
    slow = slow.model_copy(update={"versions": {"processor": "emulated"}})
    found = cells("deploy", [slow, measurement("docker", deploy=10.6)])
    assert [cell.text for cell in found] == ["48.3 s, emulated processor", "10.6 s"]
    assert found[0].note.startswith("on 2 emulated cores of AMD EPYC") and found[0].caveat == "emulated processor"
    assert all("do not compare" in cell.note for cell in found), "it is not the machine that the other one is"


@given(st.floats(min_value=0, max_value=1e15))
def test_a_number_reads_as_what_it_is(value: float) -> None:
    text = number(value)
    assert "e" not in text and abs(float(text.replace(",", "")) - value) <= max(value * 0.006, 1e-6)
