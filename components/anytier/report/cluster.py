"""How a cluster is, as lines with a table and as JSON, from what was seen of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anytier.report.status import age
from anytier.report.table import table
from anytier.report.text import clean

SOON = 30  # days: a certificate that ends within them is told
_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class Node:
    """A row. `state`: `ready`, `not ready` with the reason, or `missing` for one that the stack has and the cluster has
    not. `cordoned`: it takes no new pods."""

    name: str
    role: str
    state: str
    version: str = ""
    address: str = ""
    cordoned: bool = False
    created: str = ""


def rows(objects: Sequence[Mapping[str, Any]], known: Sequence[str]) -> list[Node]:
    """Control planes first. `known`: the names of the stack's nodes."""
    found = [_node(item) for item in objects]
    there = {item.name for item in found}
    found += [Node(name, "-", "missing") for name in known if name not in there]
    return sorted(found, key=lambda item: (item.role != "control-plane", item.name))


def healthy(seen: Any, nodes: Sequence[Node], now: datetime) -> bool:
    """Whether nothing needs anybody: all nodes ready, all checks good, all certificates known and valid for a while."""
    lasting = bool(seen.certificates) and _days(min(seen.certificates.values()), now) >= SOON
    return all(item.state == "ready" for item in nodes) and bool(seen.checks) and all(seen.checks.values()) and lasting


def as_json(name: str, seen: Any, nodes: Sequence[Node], now: datetime) -> dict[str, Any]:
    return {
        "cluster": name,
        "server": seen.server,
        "version": seen.version,
        "healthy": healthy(seen, nodes, now),
        "api": {"ready": bool(seen.checks) and all(seen.checks.values()), "failing": _failing(seen)},
        "etcd": {"healthy": _etcd(seen)},
        "certificates": [
            {"name": key, "ends": end.astimezone(UTC).isoformat(), "days": _days(end, now)}
            for key, end in sorted(seen.certificates.items(), key=lambda item: (item[1], item[0]))
        ],
        "certificatesUnread": seen.unread or None,
        "nodes": [vars(item) for item in nodes],
    }


def as_text(name: str, seen: Any, nodes: Sequence[Node], now: datetime, room: int | None = None) -> str:
    failing = _failing(seen)
    api = f"not ready: {', '.join(failing)}" if failing else "ready" if seen.checks else "does not say how it is"
    lines = [
        f"cluster       {name} at {seen.server}, Kubernetes {seen.version}",
        f"API server    {api}",
        f"etcd          {'healthy' if _etcd(seen) else 'not healthy'}",
        f"certificates  {_certificates(seen, now)}",
    ]
    body = [["node", "role", "state", "version", "address", "age"]]
    for item in nodes:
        state = f"{item.state}, cordoned" if item.cordoned else item.state
        body.append([item.name, item.role, state, item.version or "-", item.address or "-", age(item.created, now)])
    return "\n".join([*(clean(line) for line in lines), "", table(body, room)])


def _node(object: Mapping[str, Any]) -> Node:
    metadata, status = object.get("metadata") or {}, object.get("status") or {}
    addresses = {item["type"]: item["address"] for item in reversed(status.get("addresses") or [])}
    return Node(
        name=str(metadata.get("name")),
        role="control-plane" if _PLANE in (metadata.get("labels") or {}) else "worker",
        state=_state(status.get("conditions") or []),
        version=str((status.get("nodeInfo") or {}).get("kubeletVersion") or ""),
        address=str(addresses.get("InternalIP") or ""),
        cordoned=bool((object.get("spec") or {}).get("unschedulable")),
        created=str(metadata.get("creationTimestamp") or ""),
    )


def _state(conditions: Sequence[Mapping[str, Any]]) -> str:
    ready = next((item for item in conditions if item.get("type") == "Ready"), None)
    if ready is not None and ready.get("status") == "True":
        return "ready"
    said = (ready or {}).get("message") or (ready or {}).get("reason")
    return f"not ready: {said}" if said else "not ready"


def _failing(seen: Any) -> list[str]:
    return sorted(name for name, good in seen.checks.items() if not good)


def _etcd(seen: Any) -> bool:
    """As the API server finds it."""
    said = [good for name, good in seen.checks.items() if name.startswith("etcd")]
    return bool(said) and all(said)


def _certificates(seen: Any, now: datetime) -> str:
    if seen.unread or not seen.certificates:
        return f"not looked at: {seen.unread or 'there are none'}"
    name, end = min(seen.certificates.items(), key=lambda item: (item[1], item[0]))
    days = _days(end, now)
    when = f"{end.astimezone(UTC):%Y-%m-%d}"
    if days < 0:
        return f"{name} ENDED on {when}; `pulumi up --refresh` renews what it can"
    return f"valid until {when} ({days} days); the first to end is {name}"


def _days(end: datetime, now: datetime) -> int:
    return (end - now).days
