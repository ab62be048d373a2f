"""Collects what `reasons` judges: events and the end of logs of pods that are not well. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from anytier.errors import AnytierError
from anytier.provider.kubernetes.client import Api
from anytier.provider.kubernetes.kinds import Json, meta, moment, uid
from anytier.provider.kubernetes.reasons import LINES, Evidence, troubled, why

_PODS = 3  # whose logs are read: the others have failed alike


async def explained(there: Api, ns: str, pods: Sequence[Json], makers: Iterable[Json] = ()) -> str:
    """Why these pods are not well, or why `makers` made none. What cannot be had is left out."""
    wanted = {uid(item) for item in (*pods, *makers)}
    names = [(str(meta(pod).get("name")), *told) for pod in pods[:_PODS] for told in troubled(pod)]
    logs = await asyncio.gather(*(_log(there, ns, *name) for name in names))
    events = await _events(there, ns, wanted)
    return why(Evidence(pods=pods, events=events, logs=dict(logs)))


async def _events(there: Api, ns: str, wanted: set[str]) -> list[Json]:
    try:
        found = await there.items(f"/api/v1/namespaces/{ns}/events")
    except AnytierError:
        return []
    mine = [item for item in found if (item.get("involvedObject") or {}).get("uid") in wanted]
    return sorted(mine, key=lambda item: moment(item.get("lastTimestamp") or item.get("eventTime")))


async def _log(there: Api, ns: str, pod: str, container: str, before: bool) -> tuple[tuple[str, str], str]:
    path = f"/api/v1/namespaces/{ns}/pods/{pod}/log"
    for previous in (before, False):
        try:
            return (pod, container), await there.text(path, container=container, tailLines=LINES, previous=previous)
        except AnytierError:
            continue  # the run before may have no log any more
    return (pod, container), ""
