"""Which revision `anytier rollback` goes back to."""

from __future__ import annotations

import pytest

from anytier.cli.day2 import Deployed
from anytier.cli.rollback import last_good, parse, plan
from anytier.errors import NotFound, UsageError


def workload(current: int, good: list[int], bad: list[int] | None = None, name: str = "web") -> Deployed:
    history = [{"revision": number, "served": number in good} for number in sorted([*good, *(bad or [])])]
    return Deployed(name, "host", {}, {"revision": current, "history": history})


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        (workload(3, [1, 2, 3]), 2),
        (workload(3, [1, 3], bad=[2]), 1),
        (workload(2, [1, 2], bad=[3]), 1),
        (workload(1, [1, 2]), None),
        (workload(3, [3], bad=[1, 2]), None),
        (workload(1, [1]), None),
        (workload(10, [9, 10, 2]), 9),
    ],
    ids=["before", "skips bad", "after a bad release", "oldest", "none good", "only", "not by text"],
)
def test_without_a_revision_it_is_the_newest_good_one_before_the_current(item: Deployed, wanted: int | None) -> None:
    assert last_good(item) == wanted


def test_each_workload_goes_its_own_way_and_one_without_a_past_stays() -> None:
    web, store = workload(3, [1, 2, 3]), workload(1, [1], name="store")
    assert plan([web, store], None, "s") == {"web": 2}


def test_when_nothing_can_go_back_that_is_an_error() -> None:
    with pytest.raises(NotFound, match=r"no earlier revision that was good.*--list"):
        plan([workload(2, [2], bad=[1])], None, "s")


def test_a_revision_that_was_never_good_can_be_named() -> None:
    assert plan([workload(3, [1, 3], bad=[2])], "r2", "s") == {"web": 2}
    assert plan([workload(3, [1, 3])], "1", "s") == {"web": 1}


def test_a_revision_that_is_not_kept_is_told_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="web r7: is not kept -> one of r1, r3"):
        plan([workload(3, [1, 3])], "7", "s")


def test_a_revision_of_several_workloads_needs_a_name() -> None:
    with pytest.raises(UsageError, match="anytier rollback -s s r1 WORKLOAD, one of web, store"):
        plan([workload(1, [1]), workload(1, [1], name="store")], "r1", "s")


@pytest.mark.parametrize("text", ["", "r", "v7", "-1", "7.0", "r7 ", "web", "²", "9" * 40])
def test_what_is_no_revision_is_wrong_usage(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_both_ways_to_write_a_revision() -> None:
    assert parse("7") == parse("r7") == 7
