"""The driver over several machines and their shared records: machines are folders here, and proxies remember."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from anytier.errors import NotFound, RolloutFailed, Unreachable
from anytier.provider.host import spread
from anytier.provider.host.caddy import Caddy
from anytier.provider.host.driver import HostDriver
from anytier.provider.host.fleet import Ledger, foreign, gone_from, members_of
from anytier.provider.host.front import At, Door, Front, of_machine
from anytier.provider.host.models import HostInputs, InstanceRecord, LocalRef, Member, WorkloadRecord, moved
from anytier.provider.host.place import of
from anytier.provider.host.spread import SpreadDriver
from anytier.provider.host.sshref import SshRef
from anytier.provider.host.store import Store
from anytier.provider.judge import Health
from anytier.render.placement import assign
from anytier.render.proxy import Pool, ProxyConfig
from anytier.render.template import HostProcess, Template, UpdatePolicy
from anytier.render.upstreams import inside
from anytier.rollout.run import rollout
from anytier.rollout.types import Goal

POOLS = {"http": "web/http"}


@dataclass
class Proxy:
    """A proxy that remembers."""

    config_now: ProxyConfig = field(default_factory=lambda: ProxyConfig(pools={"web/http": Pool()}))
    flying: dict[str, int] = field(default_factory=dict)
    gone: bool = False

    async def config(self) -> ProxyConfig:
        return self.config_now

    async def change(self, edit: Callable[[ProxyConfig], ProxyConfig], room: Mapping[str, int]) -> None:
        if self.gone:
            raise NotFound("proxy", "is gone", "x")
        self.config_now = edit(self.config_now)

    async def in_flight(self) -> Mapping[str, int]:
        return self.flying

    def serving(self) -> list[str]:
        return sorted(item.dial for item in self.config_now.pools["web/http"].upstreams if not item.draining)


class Machine:
    """`closed`: ports of which address nobody gets through to from here."""

    def __init__(self, closed: set[str]) -> None:
        self.closed = closed

    async def open_tcp(self, host: str, port: int) -> Any:
        if host in self.closed:
            raise ConnectionRefusedError(111, "Connection refused")
        return None, _Writer()


class _Writer:
    def close(self) -> None:
        pass


class Hands:
    """`HostDriver` without a machine."""

    def __init__(self, name: str, number: int, closed: set[str]) -> None:
        self.name = name
        self.member = Member(name=name, machine=SshRef(address=f"h{number}"), address=f"10.0.0.{number}")
        self.records: dict[str, InstanceRecord] = {}
        self.place, self.store = self, self
        self.machine = Machine(closed)
        self.away = False

    async def instances(self) -> list[InstanceRecord]:
        if self.away:
            raise Unreachable(f"machine {self.name}", "does not answer", "x")
        return list(self.records.values())

    async def look(self) -> list[tuple[InstanceRecord, Health]]:
        return [(record, "healthy") for record in await self.instances()]

    async def start(self, revision: int, index: int) -> str:
        unit = f"web-r{revision}-{index}"
        ports = {"http": 10000 + 100 * revision + index}
        self.records[unit] = InstanceRecord(
            unit=unit, workload="web", revision=revision, index=index, ports=ports, created_at=1
        )
        return unit

    async def before_stop(self, record: InstanceRecord) -> None:
        pass

    async def end(self, unit: str) -> None:
        self.records.pop(unit, None)

    async def mark(self, records: Sequence[InstanceRecord], attached: bool, draining: bool) -> None:
        for record in records:
            self.records[record.unit] = record.model_copy(update={"attached": attached, "draining": draining})

    async def why(self, record: InstanceRecord) -> str:
        return "no reason"


class World:
    def __init__(self, names: str) -> None:
        self.closed: set[str] = set()
        self.hands = {name: Hands(name, number, self.closed) for number, name in enumerate(names, 1)}
        self.proxies = {name: Proxy() for name in names}

    def driver(
        self, revision: int, assigned: dict[int, str], before: dict[int, str] | None = None, leaving: str = ""
    ) -> SpreadDriver:
        doors = [Door(hands.member, cast(Caddy, self.proxies[name])) for name, hands in self.hands.items()]
        drivers = cast(list[HostDriver], list(self.hands.values()))
        front = Front(doors, POOLS, {}, room=4)
        return SpreadDriver(drivers, front, revision, assigned, before, list(leaving))

    async def roll(self, revision: int, replicas: int, fits: str, leaving: str = "") -> None:
        there = {record.index: name for name, hands in self.hands.items() for record in hands.records.values()}
        assigned = assign(list(fits), replicas, there)
        previous = max((r.revision for hands in self.hands.values() for r in hands.records.values()), default=None)
        goal = Goal(revision, replicas, previous, len(there))
        policy = UpdatePolicy(min_healthy_time=0, drain_timeout=0.1, healthy_deadline=3, progress_deadline=10)
        await rollout(self.driver(revision, assigned, there, leaving), goal, policy)

    def where(self) -> dict[str, list[str]]:
        return {name: sorted(hands.records) for name, hands in self.hands.items()}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "_PATIENCE", 0.3)
    monkeypatch.setattr("anytier.rollout.run.LOOK_AGAIN", 0.02)


async def test_every_proxy_gets_every_instance_at_the_address_that_it_has_for_it() -> None:
    world = World("abc")
    await world.roll(1, 3, "abc")
    assert world.where() == {"a": ["web-r1-0"], "b": ["web-r1-1"], "c": ["web-r1-2"]}
    assert world.proxies["a"].serving() == ["10.0.0.2:10101", "10.0.0.3:10102", "127.0.0.1:10100"]
    assert world.proxies["b"].serving() == ["10.0.0.1:10100", "10.0.0.3:10102", "127.0.0.1:10101"]


async def test_a_new_revision_replaces_the_old_one_machine_by_machine() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    await world.roll(2, 2, "ab")
    assert world.where() == {"a": ["web-r2-0"], "b": ["web-r2-1"]}
    assert all(len(proxy.serving()) == 2 for proxy in world.proxies.values())


async def test_a_machine_that_joins_takes_its_share_by_a_move() -> None:
    world = World("abc")
    await world.roll(1, 4, "ab")
    assert [len(units) for units in world.where().values()] == [2, 2, 0]
    await world.roll(1, 4, "abc")
    assert [len(units) for units in world.where().values()] == [1, 2, 1] or [
        len(units) for units in world.where().values()
    ] == [2, 1, 1]
    assert sorted(unit for units in world.where().values() for unit in units) == [f"web-r1-{n}" for n in range(4)]


async def test_a_machine_that_leaves_is_emptied_and_never_fewer_serve() -> None:
    world = World("abc")
    await world.roll(1, 3, "abc")
    fewest = 3
    proxy = world.proxies["a"]
    change = proxy.change

    async def watched(edit: Callable[[ProxyConfig], ProxyConfig], room: Mapping[str, int]) -> None:
        nonlocal fewest
        await change(edit, room)
        fewest = min(fewest, len(proxy.serving()))

    proxy.change = watched  # type: ignore[method-assign]
    await world.roll(1, 3, "ab", leaving="c")
    assert world.where()["c"] == [] and fewest == 3


async def test_a_proxy_that_lost_an_instance_gets_it_back() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    world.proxies["b"].config_now = ProxyConfig(pools={"web/http": Pool()})
    await world.roll(1, 2, "ab")
    assert len(world.proxies["b"].serving()) == 2


async def test_an_instance_out_of_reach_fails_the_rollout_and_says_between_which() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    world.closed.add("10.0.0.2")
    with pytest.raises(RolloutFailed) as caught:
        await world.roll(2, 2, "ab")
    said = str(caught.value)
    assert "machine a does not reach it at 10.0.0.2:10201: connection refused" in said and "machine b" in said
    assert sorted(unit for units in world.where().values() for unit in units) == ["web-r1-0", "web-r1-1"]


async def test_a_machine_that_is_away_is_an_error_with_its_name() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    world.hands["b"].away = True
    with pytest.raises(Unreachable, match="machine b"):
        await world.driver(1, {0: "a", 1: "b"}).observe()


async def test_a_proxy_that_goes_with_the_workload_needs_no_telling() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    world.proxies["b"].gone = True
    known = [At(hands.member, record) for hands in world.hands.values() for record in hands.records.values()]
    doors = [Door(hands.member, cast(Caddy, world.proxies[name])) for name, hands in world.hands.items()]
    with pytest.raises(NotFound, match="machine b: proxy"):
        await Front(doors, POOLS, {}).drain(known, known, 0.1)
    await Front(doors, POOLS, {}, going=True).drain(known, known, 0.1)


async def test_requests_in_flight_in_any_proxy_are_waited_for() -> None:
    world = World("ab")
    await world.roll(1, 2, "ab")
    world.proxies["b"].flying = {"10.0.0.1:10100": 1}
    driver = world.driver(1, {0: "a", 1: "b"})
    task = asyncio.create_task(driver.drain(["a/web-r1-0"], 5))
    await asyncio.sleep(0.25)
    assert not task.done()
    world.proxies["b"].flying = {}
    await asyncio.wait_for(task, 2)
    assert world.proxies["a"].serving() == ["10.0.0.2:10101"]


async def test_what_is_not_there_is_told() -> None:
    with pytest.raises(NotFound, match="a/web-r1-7"):
        await World("ab").driver(1, {}).attach(["a/web-r1-7"])


# the list


def inputs(*names: str, **more: Any) -> HostInputs:
    listed = [Member(name=name, machine=SshRef(address=f"h-{name}")) for name in names]
    given = {"machine": listed[0].machine, "machines": listed if len(listed) > 1 else None}
    return HostInputs.model_validate({**given, "root": "/r", "supervisor": "systemd-system", "ns": "n", **more})


def test_a_change_of_the_list_is_no_other_deployment_but_another_only_machine_is() -> None:
    one, other, both = inputs("a"), inputs("b"), inputs("a", "b")
    assert moved(one, other) == ["machine"]
    assert moved(one, both) == moved(both, one) == moved(both, other) == moved(both, inputs("c", "d")) == []
    assert moved(one, inputs("a")) == []


def test_who_leaves_has_a_name_that_nobody_has() -> None:
    both = members_of(inputs("a", "b"))
    assert [item.name for item in gone_from(both, members_of(inputs("a")))] == ["b"]
    assert gone_from(both, list(reversed(both))) == []
    renamed = [Member(name="b", machine=SshRef(address="h-c"))]
    (left,) = gone_from([both[1]], renamed)
    assert left.name != "b" and "h-b" in left.name


def test_an_error_is_given_the_machines_name_once() -> None:
    member = members_of(inputs("a", "b"))[0]
    error = of_machine(member, NotFound("proxy", "is gone", "x"))
    assert isinstance(error, NotFound) and error.path == "machine a: proxy"
    assert of_machine(member, error) is error
    assert of_machine(Member(name="", machine=LocalRef()), NotFound("proxy", "x")).path == "proxy"


def test_a_machine_without_a_door_serves_what_is_called_on_it() -> None:
    config = ProxyConfig.model_validate(
        {
            "listeners": {"public": {"address": ":80"}, "service": {"address": "127.0.0.1:20000"}},
            "routes": [{"listener": name, "pool": "web/http"} for name in ("public", "service")],
            "pools": {"web/http": {}},
        }
    )
    found = inside(config)
    assert list(found.listeners) == ["service"] and [route.listener for route in found.routes] == ["service"]
    assert found.pools == config.pools


# records on several machines


async def stores(folder: Path, names: str) -> list[Store]:
    found = []
    for name in names:
        base = {"root": str(folder / name), "supervisor": "supervisord", "ns": f"anytier-test-{name}"}
        found.append(Store(await of(HostInputs.model_validate(base)), "web"))
    return found


def template(version: str) -> Template:
    return Template(process=HostProcess(command=["run"], env={"VERSION": version}))


async def test_all_machines_know_all_revisions_under_the_same_hash(tmp_path: Path) -> None:
    a, b, c = await stores(tmp_path, "abc")
    first, _ = await Ledger([a, b]).revise(template("1"), {"db": "secret"})
    await Ledger([a, b]).save(WorkloadRecord(inputs={}, revision=1, replicas=2))
    second, kept = await Ledger([a, b, c]).revise(template("2"), {"db": "secret"})
    assert (first.revision.revision, second.revision.revision, list(kept)) == (1, 2, [1, 2])
    for store in (a, b, c):
        assert {n: item.revision.hash for n, item in (await store.revisions()).items()} == {
            1: first.revision.hash,
            2: second.revision.hash,
        }
        assert (await store.revisions())[1].secrets == {"db": "secret"}
    again, _ = await Ledger([c, a, b]).revise(template("2"), {"db": "secret"})
    assert again.revision == second.revision, "the order of the machines does not matter"


async def test_what_one_machine_has_forgotten_the_others_know(tmp_path: Path) -> None:
    a, b = await stores(tmp_path, "ab")
    ledger = Ledger([a, b])
    first, _ = await ledger.revise(template("1"), {})
    await ledger.save(WorkloadRecord(inputs={}, revision=1, replicas=2))
    await a.forget()
    record = await ledger.record()
    assert record is not None and record.revision == 1
    again, _ = await ledger.revise(template("1"), {})
    assert again.revision == first.revision and list(await a.revisions()) == [1]


async def test_a_machine_that_was_away_while_the_others_moved_on_is_told_apart(tmp_path: Path) -> None:
    a, b, c = await stores(tmp_path, "abc")
    await Ledger([a, b, c]).revise(template("1"), {})
    assert not await foreign(Ledger([a, b]), c)
    await c.keep((await Ledger([c]).revise(template("other"), {}))[1].values())
    await Ledger([a, b]).revise(template("2"), {})
    assert await foreign(Ledger([a, b]), c), "it has a revision 2 of its own"
