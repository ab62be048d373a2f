"""Where requests go, changed without a new config: an upstream names a file, a *slot*, that says where to dial.

Caddy looks at the file for each request. Exchanging a config drops requests that come in meanwhile: Go's server ends
connections whose first request it has not read yet. A pool has more slots than instances, so that shares are even and
there is room for a rollout's extra ones; slots without an instance lead to a server of the proxy's own, the *hold*,
which says so at once. Pure: the same for hosts and Docker, which differ in how files are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from anytier.frozen import Frozen
from anytier.render.proxy import Pool, ProxyConfig, Upstream

Slots = Mapping[str, Sequence[str]]  # pool -> where each of its slots leads

_PROBER = "anytier-health"


class Members(Frozen):
    """Who serves in each pool, who drains, how they are checked; and the pool's slots: where each one leads."""

    pools: dict[str, Pool] = Field(default_factory=dict)
    slots: dict[str, list[str]] = Field(default_factory=dict)

    def json_bytes(self) -> bytes:
        return self.model_dump_json(by_alias=True, exclude_none=True).encode()


def held(config: dict[str, Any], hold: str) -> dict[str, Any]:
    """Caddy's config with the hold, listening on `hold`, and with checks that the hold can tell from requests."""
    servers = config["apps"]["http"]["servers"]
    for server in servers.values():
        for handler in (handler for route in server["routes"] for handler in route["handle"]):
            if "health_checks" in handler:
                handler["health_checks"]["active"]["headers"] = {"User-Agent": [_PROBER]}
    servers["_hold"] = _hold(hold)
    return config


def _hold(listen: str) -> dict[str, Any]:
    """What a client hears while no instance serves; our own checks hear that all is well, so that slots stay open."""
    text = "No instance is ready to answer. Try again in a moment.\n"
    sorry = {"handler": "static_response", "status_code": 503, "headers": {"Retry-After": ["1"]}, "body": text}
    well = {"match": [{"header": {"User-Agent": [_PROBER]}}], "handle": [{"handler": "static_response"}]}
    return {
        "listen": [listen],
        "automatic_https": {"disable": True},
        "routes": [{**well, "terminal": True}, {"handle": [sorry], "terminal": True}],
    }


def slot(pool: str, number: int) -> str:
    """The name of its file."""
    return f"{pool.replace('/', '.')}.{number}"


def physical(config: ProxyConfig, slots: Slots, folder: str) -> ProxyConfig:
    """The config as Caddy gets it: upstreams are slots, files in `folder`."""
    pools = {
        key: pool.model_copy(
            update={
                "upstreams": [
                    Upstream(dial=f"{{file.{folder}/{slot(key, number)}}}") for number in range(len(slots.get(key, ())))
                ]
            }
        )
        for key, pool in config.pools.items()
    }
    return config.model_copy(update={"pools": pools})


def logical(config: ProxyConfig, members: Members) -> ProxyConfig:
    """The config as everybody else sees it: upstreams are instances."""
    return config.model_copy(update={"pools": {key: members.pools.get(key, Pool()) for key in config.pools}})


def assigned(slots: Sequence[str], serving: Sequence[str], room: int = 0, *, hold: str) -> list[str]:
    """The slots shared out evenly among those who serve, with as few changes as can be.

    There are enough for `room` instances as soon as there are any; later there are more only if they must be.
    """
    size = len(slots)
    if size < max(len(serving), 1):
        size = max(4, 1 << (2 * max(room, len(serving)) - 1).bit_length())
    if not serving:
        return [hold] * size
    base, extra = divmod(size, len(serving))
    held = {dial: list(slots).count(dial) for dial in serving}
    richer = sorted(serving, key=lambda dial: -held[dial])[:extra]
    left = {dial: base + (dial in richer) for dial in serving}
    out: list[str | None] = []
    for dial in [*slots, *[""] * (size - len(slots))]:
        keeps = left.get(dial, 0) > 0
        left[dial] = left.get(dial, 0) - keeps
        out.append(dial if keeps else None)
    waiting = [dial for dial in serving for _ in range(left[dial])]
    return [dial if dial is not None else waiting.pop() for dial in out]


def seated(config: ProxyConfig, slots: Slots, room: Mapping[str, int], hold: str) -> Members:
    """The members that a (logical) config asks for, beginning with the slots as they are."""
    serving = {key: [item.dial for item in pool.upstreams if not item.draining] for key, pool in config.pools.items()}
    shared = {key: assigned(slots.get(key, ()), dials, room.get(key, 0), hold=hold) for key, dials in serving.items()}
    return Members(pools=dict(config.pools), slots=shared)


def files(slots: Slots) -> dict[str, str]:
    """File -> where it leads."""
    return {slot(key, number): dial for key, dials in slots.items() for number, dial in enumerate(dials)}


def changed(old: Slots, new: Slots) -> dict[str, str]:
    """The files that must be written to come from one to the other."""
    known = files(old)
    return {name: dial for name, dial in files(new).items() if known.get(name) != dial}


def as_written(members: Members, found: Mapping[str, str]) -> dict[str, list[str]]:
    """The slots that `members` know, as their files really say; empty where a file is gone."""
    return {
        key: [found.get(slot(key, number), "") for number in range(len(dials))] for key, dials in members.slots.items()
    }
