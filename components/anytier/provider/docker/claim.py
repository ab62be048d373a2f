"""Whose deployment an app on a daemon is: what the stores of its workloads say (`store`), of those that run.

Every resource of an app asks before it changes anything: a proxy, a job or a volume of somebody else's app has the very
name that ours would have. One of which nothing runs any more belongs to nobody.
"""

from __future__ import annotations

from anytier.errors import Conflict
from anytier.provider.docker import labels
from anytier.provider.docker.client import Daemon
from anytier.provider.owner import another, same, token, told

_RUNNING = ("running", "restarting", "paused")


async def require_ours(there: Daemon, ns: str, owner: str, before: str | None = None, workload: str = "") -> None:
    """Conflict where workloads of another owner run. `before`: the owner that the state has for what asks
    (`provider.owner.same`), None where it has nothing of it. `workload`: which one asks.

    A state that holds something here had workloads of an older version, too, and moved since: of those that are
    recorded without a token each asks for itself.
    """
    live = await _live(there, ns)
    ours = token(owner)
    held = bool(ours) and (before is not None or ours in map(token, live.values()))
    asked = {name: known for name, known in live.items() if token(known) or name == workload or not held}
    others = {name: known for name, known in asked.items() if not same(known, owner, before or "")}
    if others:
        workload, known = next(iter(others.items()))
        what = f"workload {workload} is deployed here from {told(known, owner)}"
        stores = " ".join(f"{ns}-{name}.store" for name in others)
        do = f"destroy it there, use another stack name, or take it over: `docker rm {stores}`"
        raise Conflict(f"app {ns}", what, do)


async def is_anothers(there: Daemon, ns: str, owner: str, workload: str = "") -> bool:
    """Whether what has these names is no longer ours to delete: a workload by its own store, what the app shares by
    those of all. Who cannot say who they are, as an older state cannot, is not asked."""
    if not owner:
        return False
    live = await _live(there, ns)
    return any(another(known, owner) for name, known in live.items() if workload in ("", name))


async def _live(there: Daemon, ns: str) -> dict[str, str]:
    """Workload -> whose it is, of those that run."""
    found = await there.get("containers/json", all=True, filters=labels.filters(namespace=ns))
    running = {
        labels.label(item, labels.WORKLOAD)
        for item in found
        if labels.label(item, labels.ROLE) == "workload" and item.get("State") in _RUNNING
    }
    stores = {
        labels.label(item, labels.WORKLOAD): labels.label(item, labels.OWNER)
        for item in found
        if labels.label(item, labels.ROLE) == "store"
    }
    return {name: known for name, known in sorted(stores.items()) if name in running}
