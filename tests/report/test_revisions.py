"""The revisions that can be gone back to."""

from __future__ import annotations

from datetime import UTC, datetime

from anytier.cli.day2 import Deployed
from anytier.report.revisions import as_json, as_text

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
HISTORY = [
    {"revision": 1, "createdAt": NOW.timestamp() - 7200, "served": True},
    {"revision": 2, "createdAt": NOW.timestamp() - 60, "served": True},
    {"revision": 3, "createdAt": NOW.timestamp() - 5, "served": False},
]
WEB = Deployed("web", "host", {}, {"revision": 2, "history": HISTORY})


def test_the_table_has_the_newest_first_and_says_what_is_current_and_what_is_no_good() -> None:
    assert as_text([WEB], now=NOW).splitlines() == [
        "WORKLOAD  REVISION  AGE",
        "web       r3        5s   never became healthy",
        "          r2        1m   current",
        "          r1        2h",
    ]


def test_a_program_gets_the_same() -> None:
    (found,) = as_json([WEB])
    assert found["workload"] == "web" and found["revision"] == 2
    assert [(item["revision"], item["good"]) for item in found["revisions"]] == [(1, True), (2, True), (3, False)]
    assert found["revisions"][1]["created"] == "2026-01-02T11:59:00+00:00"
