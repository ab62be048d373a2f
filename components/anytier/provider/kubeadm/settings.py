"""A Node's labels and taints: ours are set, everybody else's stay. Merging is pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anytier.provider.kubeadm.api import Api, node_path
from anytier.provider.kubeadm.models import Taint

CONTROL = "node-role.kubernetes.io/control-plane"
DEFAULT_TAINTS = (Taint(key=CONTROL, effect="NoSchedule"),)


def labels(live: Mapping[str, str], old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str | None]:
    """What to patch: None takes one away."""
    gone = {key: None for key in old if key not in new and key in live}
    return {**gone, **{key: value for key, value in new.items() if live.get(key) != value}}


def taints(live: Sequence[Mapping[str, Any]], old: Sequence[Taint], new: Sequence[Taint]) -> list[dict[str, Any]]:
    """All that the node then has. Key and effect name a taint."""
    ours = {(item.key, item.effect) for item in (*old, *new)}
    others = [dict(item) for item in live if (item["key"], item["effect"]) not in ours]
    return [*others, *(item.wire() for item in new)]


async def apply(
    api: Api,
    name: str,
    old: tuple[Mapping[str, str], Sequence[Taint]],
    new: tuple[Mapping[str, str], Sequence[Taint]],
) -> None:
    """Labels and taints as they were asked for before, and now."""
    node = await api.find(name)
    if node is None:
        return
    live = node["spec"].get("taints") or []
    body: dict[str, Any] = {}
    if changed := labels(node["metadata"].get("labels") or {}, old[0], new[0]):
        body["metadata"] = {"labels": changed}
    wanted = taints(live, old[1], new[1])
    if _set(wanted) != _set(live):
        body["spec"] = {"taints": wanted}
    if body:
        await api.patch(node_path(name), body)


def _set(items: Sequence[Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    return {(item["key"], item.get("value") or "", item["effect"]) for item in items}
