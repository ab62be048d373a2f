"""The proxy's config and slots on a daemon: written, read back, listened to under two spellings."""

from __future__ import annotations

import json

from anytier.provider.docker import caddy
from anytier.render import slots
from anytier.render import upstreams as edits
from anytier.render.proxy import HealthCheck, Listener, Pool, ProxyConfig, Route

CONFIG = ProxyConfig(
    listeners={"public": Listener(address=":48080")},
    routes=[Route(listener="public", pool="web/http")],
    pools={"web/http": Pool(health=HealthCheck(path="/healthz"))},
)


def test_what_runs_is_read_back_as_it_was_written() -> None:
    fed = edits.with_upstreams(CONFIG, {"web/http": ["a:1", "b:1"]})
    members = slots.seated(fed, {}, {}, caddy._HOLD)
    raw = caddy.body(slots.physical(fed, members.slots, caddy._SLOTS)).decode()
    files = "\n".join(f"{name}:{dial}" for name, dial in slots.files(members.slots).items())
    answer = f"{raw}\n--\n{members.json_bytes().decode()}\n--\n{files}\n"
    state = caddy.parsed(answer)
    assert state.config == fed and state.slots == members.slots
    assert caddy.parsed(f"{raw}\n--\n\n--\n").config == CONFIG.model_copy(update={"pools": {"web/http": Pool()}})


def test_our_own_checks_are_told_that_a_waiting_slot_is_well() -> None:
    members = slots.seated(CONFIG, {}, {}, caddy._HOLD)
    servers = json.loads(caddy.body(slots.physical(CONFIG, members.slots, caddy._SLOTS)))["apps"]["http"]["servers"]
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
