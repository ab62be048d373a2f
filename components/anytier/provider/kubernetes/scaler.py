"""An autoscaler held at one number, where the spec says a number again: it may not decide any more, and is still there.

The engine removes it when all else has ended well, and not at all where something has failed: it is in the state then,
and the next spec may want it as it was. So it is never removed here. Its own bounds are noted on it, and put back by
the next rollout that has no number, or by this one if it fails.
"""

from __future__ import annotations

from typing import Any

from anytier.errors import Conflict
from anytier.provider.kubernetes import kinds
from anytier.provider.kubernetes.client import Api
from anytier.provider.kubernetes.kinds import Json

HELD = "anytier.dev/held"  # `least,most,number`: its own bounds, and the number at which it is held
_TRIES = 5  # somebody else may write it at the same moment


async def hold(there: Api, ns: str, live: Json, number: int) -> bool:
    """Whether a workload has an autoscaler; it keeps to `number` from now on."""
    found = await _each(there, ns, live)
    for name in found:
        await _write(there, ns, name, number)
    return bool(found)


async def release(there: Api, ns: str, live: Json) -> None:
    """It decides by its own bounds again."""
    for name in await _each(there, ns, live):
        await _write(there, ns, name, None)


def held(item: Json, number: int) -> dict[str, Any] | None:
    """What is written to hold it at a number; None where nothing is. One of none at all is off by itself. Pure."""
    spec = item["spec"]
    least, most = own(item) or (spec.get("minReplicas", 1), spec["maxReplicas"])
    wanted = f"{least},{most},{number}"
    if number < 1 or (own(item) and kinds.note(item, HELD) == wanted):
        return None
    return _body(item, wanted, number, number)


def released(item: Json) -> dict[str, Any] | None:
    """What is written to let it go; None where it is not held. Bounds that somebody gave it since then stay. Pure."""
    if not kinds.note(item, HELD):
        return None
    bounds = own(item)
    return _body(item, None, *bounds) if bounds else _body(item, None)


def own(item: Json) -> tuple[int, int] | None:
    """Its own bounds, if it is held."""
    said, spec = kinds.note(item, HELD).split(","), item["spec"]
    if len(said) != 3 or not all(text.isascii() and text.isdigit() for text in said):
        return None
    least, most, number = map(int, said)
    return (least, most) if spec.get("minReplicas", 1) == spec["maxReplicas"] == number else None


def _body(item: Json, note: str | None, *bounds: int) -> dict[str, Any]:
    """Conflict where it is not as it was looked at."""
    head = {"annotations": {HELD: note}, "resourceVersion": kinds.meta(item)["resourceVersion"]}
    given = {"spec": dict(zip(("minReplicas", "maxReplicas"), bounds, strict=True))} if bounds else {}
    return {"metadata": head, **given}


async def _each(there: Api, ns: str, live: Json) -> list[str]:
    found = await there.items(_where(ns), labelSelector=kinds.selector(live))
    return [kinds.meta(item)["name"] for item in found]


async def _write(there: Api, ns: str, name: str, number: int | None) -> None:
    path = f"{_where(ns)}/{name}"
    for left in range(_TRIES - 1, -1, -1):
        item = await there.find(path)
        body = None if item is None else released(item) if number is None else held(item, number)
        if body is None:
            return
        try:
            await there.patch(path, body)
            return
        except Conflict:
            if not left:
                raise


def _where(ns: str) -> str:
    return f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"
