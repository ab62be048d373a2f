"""What there is, what was asked, and what a test says shall go wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.standins.world import Fault, Thing, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world")


def test_things_come_stay_and_go(world: World) -> None:
    thing = Thing("aws:ec2/vpc:Vpc", "net", "urn", "vpc-1", {"a": [1]}, {"id": "vpc-1"})
    world.put(thing)
    assert World(world.folder).get("aws:ec2/vpc:Vpc", "vpc-1") == world.named("net") == thing
    assert world.get("aws:ec2/subnet:Subnet", "vpc-1") is None
    assert all(file.stat().st_mode & 0o077 == 0 for file in (world.folder / "things").iterdir())
    world.remove(thing)
    assert world.things() == []


def test_what_is_buried_is_gone_but_its_name_is_taken(world: World) -> None:
    world.put(Thing("t", "ring", "urn", "ring", {}, buried=True))
    assert (world.things(), world.get("t", "ring")) == ([], None)
    assert world.get("t", "ring", buried=True) is not None


def test_a_fault_happens_as_often_as_is_said(world: World) -> None:
    world.tell(faults=[Fault("create", "aws:eks/*", "c*", times=2, error="no")])
    assert world.fault("create", "aws:ec2/vpc:Vpc", "c") is None
    assert world.fault("delete", "aws:eks/cluster:Cluster", "c") is None
    assert world.fault("create", "aws:eks/cluster:Cluster", "d") is None
    found = [world.fault("create", "aws:eks/cluster:Cluster", "c") for _ in range(3)]
    assert [fault and fault.error for fault in found] == ["no", "no", None]
    world.tell(faults=[Fault("create", times=0, error="never")])
    assert all(world.fault("create", "x", str(number)) for number in range(5))
    world.tell()
    assert world.fault("create", "x", "y") is None


def test_the_journal_has_the_order(world: World) -> None:
    assert world.journal() == []
    for name in ("a", "b"):
        world.note("begin", "delete", "t", name)
    for name in ("b", "a"):
        world.note("done", "delete", "t", name)
    world.note("failed", "delete", "t", "c")
    assert world.done("delete") == ["b", "a"]
    times = [line["at"] for line in world.journal()]
    assert times == sorted(times)
    world.forget()
    assert world.journal() == []


def test_what_a_test_says_is_kept_as_it_is(world: World) -> None:
    world.tell(clusters={"c": {"endpoint": "https://127.0.0.1:1"}}, credentials=False)
    assert json.loads((world.folder / "control.json").read_text()) == world.control()
    assert world.control()["credentials"] is False
