from __future__ import annotations

import pytest

from benchmarks import report
from benchmarks.__main__ import LATEST, PAGE, main
from benchmarks.registry import CASES
from benchmarks.results import Results, Section, as_text, from_text, merged, read
from benchmarks.row import Limit, Row

MACHINE = {"cores": 2, "processor": "a processor", "memory GiB": 8, "kernel": "6", "python": "3.11"}
ROW = Row("`x|y`", "s", [0.0421], "z", [0.02], Limit("ratio", 2.0))
GOOD = Section("2026-01-02T03:04:05+00:00", 1.5, (0.1, 0.2), "abc", [ROW])
BAD = Section("2026-01-03T03:04:05+00:00", 1.5, (0.1, 3.0), "abc", failed="`docker` ended with 1:\n    no daemon")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0421, "s", "42.1 ms"), (1.256, "s", "1.26 s"), (0.0, "s", "0.00 s"), (12.34, "s", "12.3 s"),
     (123.4, "MB", "123 MB"), (0.5, "MB", "0.50 MB"), (12345.6, "requests/s", "12,300 requests/s"),
     (999.9, "s", "1,000 s")],
)  # fmt: skip
def test_figures_have_three_digits(value: float, unit: str, text: str) -> None:
    assert report.figure(value, unit) == text


def test_results_survive_their_file() -> None:
    results = Results(MACHINE, {"pulumi": "3"}, {"help": GOOD, "replicas": BAD})
    assert as_text(from_text(as_text([results]))) == as_text([results])


def test_a_part_of_the_benchmarks_leaves_the_others_figures() -> None:
    old = Results(MACHINE, {}, {"replicas": BAD, "help": GOOD})
    new = Results(MACHINE, {}, {"replicas": GOOD})
    (only,) = merged([old], new, ["help", "replicas"])
    assert merged([only], Results(MACHINE, {}, {"help": BAD}), ["help", "replicas"]) == [only]
    assert merged([], Results(MACHINE, {}, {"help": BAD}), ["help"]) == []
    assert only.sections == {"help": GOOD, "replicas": GOOD}
    assert list(only.sections) == ["help", "replicas"]


@pytest.mark.parametrize("other", [{"cores": 64}, {"kernel": "6.1"}])
def test_figures_of_another_machine_stay_apart_until_they_are_taken_anew(other: dict[str, str | int]) -> None:
    old = Results({**MACHINE, **other}, {"pulumi": "2"}, {"help": GOOD, "replicas": BAD})
    new = Results(MACHINE, {"pulumi": "3"}, {"replicas": GOOD})
    ours, theirs = found = merged([old], new, list(CASES))
    assert ours == new
    assert (theirs.machine, theirs.versions, theirs.sections) == (old.machine, old.versions, {"help": GOOD})
    assert merged(found, Results(MACHINE, {}, {"help": GOOD}), ["replicas", "help"]) == [
        Results(MACHINE, {}, {"replicas": GOOD, "help": GOOD})
    ]
    assert "of a processor" in report.as_markdown(found).split("\n\n")[1]
    assert report.as_markdown(found).count("| measured |") == 2


def test_another_build_of_the_same_kernel_is_no_other_machine() -> None:
    old = Results({**MACHINE, "kernel": "6-build1"}, {}, {"help": GOOD})
    new = Results({**MACHINE, "kernel": "6-build2"}, {}, {"replicas": GOOD})
    (only,) = merged([old], new, list(CASES))
    assert list(only.sections) == ["help", "replicas"]


def test_a_missed_limit_and_a_failure_are_both_told() -> None:
    text = report.as_markdown([Results(MACHINE, {"pulumi": "3"}, {"help": GOOD, "replicas": BAD})])
    assert "| `x/y` | 42.1 ms | z: 20.0 ms | 2.10 | ratio 2 | missed |" in text
    assert "| replicas | - | - | - | - | failed: `docker` ended with 1: |" in text
    assert "on 2 cores of a processor, 8 GiB" in text
    assert "2026-01-02 to 2026-01-03" in text
    assert not GOOD.good
    assert not BAD.good


def test_a_page_without_the_marks_is_refused() -> None:
    assert report.in_place(f"a\n{report.BEGIN}\nold\n{report.END}\nb", r"new \1") == (
        f"a\n{report.BEGIN}\nnew \\1\n{report.END}\nb"
    )
    with pytest.raises(ValueError, match="the page has no"):
        report.in_place("nothing here", "new")


def test_the_page_holds_the_latest_results() -> None:
    latest = read(LATEST)
    assert PAGE.read_text() == report.in_place(PAGE.read_text(), report.as_markdown(latest))
    for item in latest:
        assert list(item.sections) == [name for name in CASES if name in item.sections]
    names = [name for item in latest for name in item.sections]
    assert len(names) == len(set(names)), "a benchmark's last figures are the only ones"


def test_wrong_usage_ends_with_2() -> None:
    for argv in (["--only", "nothing"], ["--repeat", "0"], ["--repeat", "x"]):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 2
