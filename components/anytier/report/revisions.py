"""The revisions of workloads that can be gone back to, as a table and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from anytier.report.status import age
from anytier.report.table import table


def as_json(workloads: Iterable[Any]) -> list[dict[str, Any]]:
    return [
        {
            "workload": item.name,
            "revision": item.revision,
            "revisions": [
                {
                    "revision": int(entry["revision"]),
                    "created": _created(entry),
                    "good": bool(entry.get("served", True)),
                }
                for entry in item.history
            ],
        }
        for item in workloads
    ]


def as_text(workloads: Iterable[Any], room: int | None = None, now: datetime | None = None) -> str:
    """The newest first; what runs is marked."""
    moment = now or datetime.now(UTC)
    rows = [["workload", "revision", "age", ""]]
    for item in as_json(workloads):
        head = item["workload"]
        for entry in reversed(item["revisions"]):
            number = entry["revision"]
            note = "current" if number == item["revision"] else "" if entry["good"] else "never became healthy"
            rows.append([head, f"r{number}", age(entry["created"], moment), note])
            head = ""
    return table(rows, room)


def _created(entry: dict[str, Any]) -> str:
    moment = float(entry.get("createdAt") or 0)
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds") if moment else ""
