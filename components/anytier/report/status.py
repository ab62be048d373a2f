"""What runs, as a table and as JSON, from the state's workloads and the place's instances. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from anytier.report.table import table


def complete(workloads: Iterable[Any], instances: Sequence[Any]) -> bool:
    """Whether every workload has its replicas, healthy and of its current revision, and nothing else runs."""
    return all(_ready(item, instances) == _wanted(item) == len(_of(item, instances)) for item in workloads)


def as_json(workloads: Iterable[Any], instances: Sequence[Any]) -> list[dict[str, Any]]:
    return [
        {
            "workload": item.name,
            "revision": item.revision,
            "replicas": {"wanted": _wanted(item), "ready": _ready(item, instances)},
            "instances": [vars(instance) for instance in _of(item, instances)],
        }
        for item in workloads
    ]


def as_text(
    workloads: Iterable[Any], instances: Sequence[Any], room: int | None = None, now: datetime | None = None
) -> str:
    moment = now or datetime.now(UTC)
    several = any(getattr(item, "machine", "") for item in instances)
    where = ["machine"] if several else []
    rows = [["workload", "revision", "ready", "instance", *where, "state", "health", "restarts", "age"]]
    for item in workloads:
        head = [item.name, f"r{item.revision}", f"{_ready(item, instances)}/{_wanted(item)}"]
        for found in _of(item, instances) or [None]:
            nobody = ["-", *["-"] * several, "none", "-", "-", "-"]
            tail = _instance(found, item.revision, moment, several) if found else nobody
            rows.append([*head, *tail])
            head = ["", "", ""]
    return table(rows, room)


def _instance(found: Any, revision: int, now: datetime, several: bool) -> list[str]:
    """Where there are several machines they have a column of their own, and the id is the unit's name there."""
    old = "" if found.revision == revision else f" (r{found.revision})"
    where = [found.machine] if several else []
    id = found.id.rpartition("/")[2] if several else found.id
    return [f"{id}{old}", *where, found.state, found.health, str(found.restarts), age(found.started, now)]


def _of(item: Any, instances: Sequence[Any]) -> list[Any]:
    mine = [found for found in instances if found.workload == item.name]
    return sorted(mine, key=lambda found: (found.revision, found.index))


def _ready(item: Any, instances: Sequence[Any]) -> int:
    good = ("healthy", "none")
    return sum(
        found.state == "running" and found.health in good and found.revision == item.revision
        for found in _of(item, instances)
    )


def _wanted(item: Any) -> int:
    return int(item.inputs.get("replicas", 1))


def age(started: str, now: datetime) -> str:
    """`3d`, `4h`, `5m`, `6s`: the largest unit only. `-` for what has not started."""
    try:
        then = datetime.fromisoformat(started)
    except ValueError:
        return "-"
    seconds = int((now - then.astimezone(UTC)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"
