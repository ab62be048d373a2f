"""Slots of the proxy: shared out evenly, moved as little as can be, enough of them."""

from __future__ import annotations

import json
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anytier.provider.docker import caddy
from anytier.render import upstreams as edits
from anytier.render.proxy import HealthCheck, Listener, Pool, ProxyConfig, Route

names = st.lists(st.sampled_from([f"r{r}-{i}.web:80" for r in (1, 2) for i in range(9)]), unique=True, max_size=12)
CONFIG = ProxyConfig(
    listeners={"public": Listener(address=":48080")},
    routes=[Route(listener="public", pool="web/http")],
    pools={"web/http": Pool(health=HealthCheck(path="/healthz"))},
)


@given(before=names, serving=names, room=st.integers(0, 20))
def test_slots_are_shared_evenly_and_moved_as_little_as_can_be(
    before: list[str], serving: list[str], room: int
) -> None:
    old = caddy.assigned([], before, room)
    new = caddy.assigned(old, serving, room)
    counts = Counter(new)
    assert set(counts) == set(serving or [caddy._HOLD]) and max(counts.values()) - min(counts.values()) <= 1
    assert len(new) >= len(old) and (len(new) == len(old) or len(serving) > len(old))
    assert caddy.assigned(new, serving, room) == new, "nothing moves twice"
    if serving:
        stays = Counter(old) & counts
        assert sum(was == now for was, now in zip(old, new, strict=False)) == sum(stays.values())


def test_there_is_room_for_a_rollout_without_another_config() -> None:
    slots = caddy.assigned([], ["a"], room=3)
    assert len(slots) == 8
    assert len(caddy.assigned(slots, list("abcdefgh"))) == 8 and len(caddy.assigned(slots, list("abcdefghi"))) > 8


def test_who_serves_is_in_the_slots_and_everything_else_in_the_config() -> None:
    fed = edits.with_upstreams(CONFIG, {"web/http": ["a:1", "b:1"]})
    members = caddy.seated(fed, {}, {"web/http": 3})
    drained = edits.draining(fed, {"web/http": ["a:1"]})
    after = caddy.seated(drained, members.slots, {})
    assert caddy.physical(fed, members.slots) == caddy.physical(drained, after.slots), "no other config for a drain"
    assert set(members.slots["web/http"]) == {"a:1", "b:1"} and set(after.slots["web/http"]) == {"b:1"}
    assert caddy.logical(caddy.physical(drained, after.slots), after) == drained


def test_what_runs_is_read_back_as_it_was_written() -> None:
    fed = edits.with_upstreams(CONFIG, {"web/http": ["a:1", "b:1"]})
    members = caddy.seated(fed, {}, {})
    raw = caddy.body(caddy.physical(fed, members.slots)).decode()
    files = "\n".join(f"{name}:{dial}" for name, dial in caddy.slot_files(members).items())
    answer = f"{raw}\n--\n{caddy._json(members).decode()}\n--\n{files}\n"
    state = caddy.parsed(answer)
    assert state.config == fed and state.slots == members.slots
    assert caddy.parsed(f"{raw}\n--\n\n--\n").config == CONFIG.model_copy(update={"pools": {"web/http": Pool()}})


def test_our_own_checks_are_told_that_a_waiting_slot_is_well() -> None:
    members = caddy.seated(CONFIG, {}, {})
    servers = json.loads(caddy.body(caddy.physical(CONFIG, members.slots)))["apps"]["http"]["servers"]
    (proxy,) = [
        handler
        for route in servers["public"]["routes"]
        for handler in route["handle"]
        if handler["handler"] == "reverse_proxy"
    ]
    assert proxy["health_checks"]["active"]["headers"] == {"User-Agent": ["anytier-health"]}
    first, second = servers["_hold"]["routes"]
    assert first["match"] == [{"header": {"User-Agent": ["anytier-health"]}}]
    assert second["handle"][0]["status_code"] == 503


def test_a_new_config_listens_under_the_other_spelling_of_each_address() -> None:
    def listens(other: bool) -> list[str]:
        servers = json.loads(caddy.body(CONFIG, other))["apps"]["http"]["servers"]
        return list(servers["public"]["listen"])

    assert listens(False) == ["tcp4/:48080"] and listens(True) == ["tcp4/0.0.0.0:48080"]
    assert caddy.sysctls("5.13.9") == {} and caddy.sysctls("6.1.0-13-amd64") == {"net.ipv4.tcp_migrate_req": "1"}
