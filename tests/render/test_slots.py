"""Slots of a proxy: shared out evenly, moved as little as can be, enough of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anytier.render import slots
from anytier.render import upstreams as edits
from anytier.render.proxy import HealthCheck, Listener, Pool, ProxyConfig, Route

HOLD = "127.0.0.1:2022"
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
    old = slots.assigned([], before, room, hold=HOLD)
    new = slots.assigned(old, serving, room, hold=HOLD)
    counts = Counter(new)
    assert set(counts) == set(serving or [HOLD]) and max(counts.values()) - min(counts.values()) <= 1
    assert len(new) >= len(old) and (len(new) == len(old) or len(serving) > len(old))
    assert slots.assigned(new, serving, room, hold=HOLD) == new, "nothing moves twice"
    if serving:
        stays = Counter(old) & counts
        assert sum(was == now for was, now in zip(old, new, strict=False)) == sum(stays.values())


def test_there_is_room_for_a_rollout_without_another_config() -> None:
    found = slots.assigned([], ["a"], room=3, hold=HOLD)
    assert len(found) == 8
    assert (
        len(slots.assigned(found, list("abcdefgh"), hold=HOLD)) == 8
        and len(slots.assigned(found, list("abcdefghi"), hold=HOLD)) > 8
    )


def test_who_serves_is_in_the_slots_and_everything_else_in_the_config() -> None:
    fed = edits.with_upstreams(CONFIG, {"web/http": ["a:1", "b:1"]})
    members = slots.seated(fed, {}, {"web/http": 3}, HOLD)
    drained = edits.draining(fed, {"web/http": ["a:1"]})
    after = slots.seated(drained, members.slots, {}, HOLD)
    assert slots.physical(fed, members.slots, "/slots") == slots.physical(drained, after.slots, "/slots"), (
        "no other config for a drain"
    )
    assert set(members.slots["web/http"]) == {"a:1", "b:1"} and set(after.slots["web/http"]) == {"b:1"}
    assert slots.logical(slots.physical(drained, after.slots, "/slots"), after) == drained


@given(before=names, after=names)
def test_what_has_changed_is_written_and_nothing_else(before: list[str], after: list[str]) -> None:
    old = {"web/http": slots.assigned([], before, hold=HOLD)}
    new = {"web/http": slots.assigned(old["web/http"], after, hold=HOLD)}
    written = slots.files(old) | slots.changed(old, new)
    assert slots.as_written(slots.Members(slots=new), written) == new
    assert slots.changed(new, new) == {}
