"""`status`: complete only if every replica is there, healthy and of the current revision, and nothing else runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from anytier.cli.day2 import Deployed
from anytier.report.status import age, as_json, as_text, complete

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    id: str = "a-web-r2-0"
    workload: str = "web"
    index: int = 0
    revision: int = 2
    state: str = "running"
    health: str = "healthy"
    restarts: int = 0
    started: str = (NOW - timedelta(minutes=3)).isoformat()


WEB = Deployed("web", "host", {"replicas": 2}, {"revision": 2})
GOOD = [Row(), Row(id="a-web-r2-1", index=1)]


def test_all_replicas_healthy_and_current_is_complete() -> None:
    assert complete([WEB], GOOD)
    assert complete([WEB], [replace(row, health="none") for row in GOOD]), "no probe is no complaint"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        GOOD[:1],
        [GOOD[0], replace(GOOD[1], health="unhealthy")],
        [GOOD[0], replace(GOOD[1], state="exited")],
        [GOOD[0], replace(GOOD[1], revision=1)],
        [*GOOD, Row(id="a-web-r1-0", revision=1)],
        [*GOOD, Row(id="a-web-r2-2", index=2)],
    ],
    ids=["none", "few", "unhealthy", "exited", "old", "old beside", "many"],
)
def test_anything_else_is_not(rows: list[Row]) -> None:
    assert not complete([WEB], rows)


def test_what_is_scaled_to_nothing_is_complete_without_instances() -> None:
    none = Deployed("web", "host", {"replicas": 0}, {"revision": 2})
    assert complete([none], []) and not complete([none], GOOD)


def test_the_table_names_each_workload_once_and_marks_old_revisions() -> None:
    old = Row(id="a-web-r1-0", revision=1, health="unhealthy", restarts=4)
    text = as_text([WEB, Deployed("store", "host", {}, {"revision": 1})], [*GOOD, old], now=NOW)
    assert text.splitlines() == [
        "WORKLOAD  REVISION  READY  INSTANCE         STATE    HEALTH     RESTARTS  AGE",
        "web       r2        2/2    a-web-r1-0 (r1)  running  unhealthy  4         3m",
        "                           a-web-r2-0       running  healthy    0         3m",
        "                           a-web-r2-1       running  healthy    0         3m",
        "store     r1        0/1    -                none     -          -         -",
    ]


def test_a_program_gets_the_same() -> None:
    (web,) = as_json([WEB], GOOD[:1])
    assert web["replicas"] == {"wanted": 2, "ready": 1} and web["revision"] == 2
    assert web["instances"] == [vars(GOOD[0])]


@pytest.mark.parametrize(
    ("ago", "said"),
    [(-5, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h"), (86400, "1d"), (10 * 86400, "10d")],
)
def test_an_age_is_its_largest_unit(ago: int, said: str) -> None:
    assert age((NOW - timedelta(seconds=ago)).isoformat(), NOW) == said


@pytest.mark.parametrize("text", ["", "never"])
def test_what_has_not_started_has_no_age(text: Any) -> None:
    assert age(text, NOW) == "-"


@dataclass(frozen=True)
class PlacedRow(Row):
    machine: str = "a"


def test_where_there_are_several_machines_each_instance_says_on_which() -> None:
    rows = [PlacedRow(id="a/s-web-r2-0"), PlacedRow(id="b/s-web-r2-1", index=1, machine="b")]
    empty = Deployed("api", "host", {"replicas": 1}, {"revision": 1})
    text = as_text([WEB, empty], rows, now=NOW).splitlines()
    assert text[0].lower().split()[3:5] == ["instance", "machine"]
    assert [line.split()[-6:-4] for line in text if "s-web" in line] == [["s-web-r2-0", "a"], ["s-web-r2-1", "b"]]
    assert len({len(line.split()) for line in text if "running" in line}) <= 2
    assert as_json([WEB], rows)[0]["instances"][1]["machine"] == "b"
    assert "machine" not in as_text([WEB], GOOD, now=NOW)
