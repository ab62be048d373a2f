"""A running machine restarts for what cannot be done otherwise, and only for that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from anytier.render.libvirt.domain import Disk, Domain, Kernel, Nic
from anytier.render.libvirt.plan import Plan, plan

from . import samples

BASE = Domain(
    name="a", vcpus=2, max_vcpus=4, memory=1024, max_memory=2048, machine="q35",
    disks=[Disk(path="/root.qcow2"), Disk(path="/data.qcow2")], nics=[Nic(network="lan")],
)  # fmt: skip


def planned(**changes: Any) -> Plan:
    new = BASE.model_copy(update=changes)
    old = BASE.model_copy(update={"machine": "pc-q35-7.2", "accelerator": "kvm"})
    return plan((old, samples.placed(BASE, "kvm")), (new, samples.placed(new, "kvm")))


@given(samples.domains)
def test_no_change_needs_nothing(domain: Domain) -> None:
    both = (domain, samples.placed(domain, "kvm"))
    assert plan(both, both) == Plan()


def test_a_disk_more_is_plugged_in() -> None:
    assert planned(disks=[*BASE.disks, Disk(path="/more.qcow2")]) == Plan(plug_disks=["/more.qcow2"])


def test_a_disk_less_is_unplugged() -> None:
    assert planned(disks=BASE.disks[:1]) == Plan(unplug_disks=["/data.qcow2"])


def test_a_card_more_is_plugged_in_and_a_card_less_unplugged() -> None:
    made = planned(nics=[Nic(network="dmz", mac="52:54:00:00:00:09")])
    assert made.plug_nics == ["52:54:00:00:00:09"] and len(made.unplug_nics) == 1 and not made.restart


def test_memory_and_processors_change_up_to_what_it_started_with() -> None:
    assert planned(memory=2048, vcpus=4) == Plan(memory=2048, vcpus=4)
    assert planned(memory=512) == Plan(memory=512)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"memory": 4096, "max_memory": 4096}, "memory: 1024 -> 4096 MiB is beyond what it started with"),
        ({"vcpus": 1}, "vcpus: 2 -> 1 is not possible while it runs"),
        ({"firmware": "uefi"}, "firmware: bios -> uefi"),
        ({"machine": "pc"}, "machine: pc-q35-7.2 -> pc"),
        ({"cpu": "maximum"}, "cpu: not set -> maximum"),
        ({"accelerator": "tcg"}, "accelerator: kvm -> tcg"),
        ({"kernel": Kernel(path="/vmlinuz")}, "kernel: changed"),
        ({"console_log": "/log"}, "consoleLog: not set -> /log"),
        ({"guest_agent": False}, "guestAgent: on -> off"),
        ({"disks": [BASE.disks[0], Disk(path="/data.qcow2", serial="x")]}, "disk /data.qcow2: changed"),
        ({"disks": [*BASE.disks, Disk(path="/s", bus="sata")]}, "disk /s: its bus takes none while the machine runs"),
        ({"nics": [Nic(network="lan", model="e1000e")]}, "network card"),
    ],
)
def test_what_a_machine_reads_at_its_start_needs_one(changes: dict[str, Any], reason: str) -> None:
    assert any(said.startswith(reason) for said in planned(**changes).restart), planned(**changes)


def test_a_driver_that_plugs_nothing_restarts_for_a_disk() -> None:
    new = BASE.model_copy(update={"disks": BASE.disks[:1], "memory": 512})
    old = (BASE, samples.placed(BASE, "test"))
    made = plan(old, (new, samples.placed(new, "test")), hotplug=False)
    assert made == Plan(memory=512, restart=["disk /data.qcow2: cannot change while it runs here"])
