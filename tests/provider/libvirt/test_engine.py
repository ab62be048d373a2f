"""A machine that is gone behind our back, under the real engine. libvirt's in-memory hypervisor forgets everything with
each run's plugin."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.provider.stack import Stack

from anytier.names import UP_ENV

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("closed")]
MACHINE = {
    "machine": True,
    "host": {"uri": "test:///default"},
    "name": "web",
    "arch": "i686",
    "disks": [{"path": "/images/root.qcow2"}],
    "nics": [{"network": "default"}],
}


@pytest.fixture
def stack(tmp_path: Path, pulumi_env: dict[str, str]) -> Stack:
    """A machine, and a thing on it."""
    made = Stack(tmp_path, pulumi_env)
    made.things({"vm": MACHINE, "app": {"name": "app", "opts": {"depends_on": ["vm"]}}})
    made.up()
    made.place.history()
    return made


def test_anytier_up_makes_the_machine_and_then_looks_at_what_is_on_it(stack: Stack) -> None:
    stack.env[UP_ENV] = "1"
    stack.place.faults("read-unreachable", "update-unreachable")
    assert "place: does not answer" in stack.up("--refresh", check=False).stdout
    assert stack.place.history() == ["read app", "update app"]

    stack.place.faults("read-unreachable")  # SSH answers once the machine is there
    assert "1 created" in stack.up("--refresh").stdout
    assert stack.place.history() == ["read app", "update app"]


def test_without_it_the_look_ends_the_run_before_the_machine_is_made(stack: Stack) -> None:
    stack.place.faults("read-unreachable")
    failed = stack.up("--refresh", check=False)
    assert failed.returncode and "created" not in failed.stdout
    assert stack.place.history() == ["read app"]


def test_the_machine_alone_can_be_asked_for(stack: Stack) -> None:
    """As docs/kubeadm.md has it, where a plugin of others cannot look at what is on the machine."""
    stack.place.faults("read-unreachable")
    assert "1 created" in stack.up("--refresh", "--target", "**libvirt:Domain**").stdout
    assert stack.place.history() == []
