"""What machines are is known to the first preview, under the real engine: what they cannot carry is refused by it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_machine_gone import Pair
from tests.e2e.tiny import gone_afterwards
from tests.provider.host.ssh_box import SshBox, ssh_boxes
from tests.provider.host.systemd_box import docker

from anytier.provider.host.glance import WHOLE

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[SshBox]]:
    with ssh_boxes(tmp_path_factory.mktemp("boxes"), 2, here=True) as made:
        yield made


@pytest.fixture
def stack(boxes: list[SshBox]) -> Iterator[Pair]:
    with gone_afterwards(Pair(boxes)) as made:
        yield made


def asks_for(stack: Pair, memory: str) -> None:
    """Each of the two instances."""
    file = stack.app_dir / "app.yaml"
    app: dict[str, Any] = json.loads(file.read_text())
    app["workloads"]["web"]["containers"]["web"]["resources"] = {"requests": {"memory": memory}}
    file.write_text(json.dumps(app))


def touched(boxes: list[SshBox]) -> list[str]:
    """What of ours is on the machines."""
    command = "find /var/lib/anytier /run/anytier -mindepth 1 2>/dev/null; find /etc/systemd/system -name '*anytier*'"
    return [line for box in boxes for line in box.run("sh", "-c", command).stdout.split()]


def test_the_first_preview_refuses_more_memory_than_a_machine_has(stack: Pair, boxes: list[SshBox]) -> None:
    """And where nobody looked at one, the update does, before it puts anything on a machine."""
    asks_for(stack, "900Ti")
    for count, command in itertools.product((2, 1), (("preview",), ("up", "--yes"), ("up", "--yes", "--skip-preview"))):
        stack.list(count)
        refused = stack.pulumi(*command, fails=True)
        assert refused.code != 0 and "Traceback" not in refused.output, refused.tail()
        told = [line for line in refused.output.splitlines() if line.startswith("    error: workloads.web.containers")]
        assert len(told) == 1 and " GiB of memory, and " in told[0] and "GiB is asked for: web" in told[0], (
            refused.tail()
        )
        assert "anytier:host:Proxy" not in refused.output, refused.tail()
        assert touched(boxes) == [], command


def test_a_preview_looks_at_all_machines_at_once_and_bears_with_one_that_is_off(
    stack: Pair, boxes: list[SshBox]
) -> None:
    asks_for(stack, "1Mi")
    seen = stack.pulumi("preview")
    assert seen.output.count("which is known nowhere yet") >= 2 and "not looked at" not in seen.output, seen.tail()
    assert boxes[0].host_key.split()[1] in seen.output and touched(boxes) == []
    docker("pause", boxes[0].name)
    docker("pause", boxes[1].name)
    try:
        silent = stack.pulumi("preview")
    finally:
        docker("unpause", boxes[0].name)
        docker("unpause", boxes[1].name)
    for box in boxes:
        assert f"not looked at: machine 127.0.0.1:{box.port}: no answer" in silent.output, silent.tail()
    assert silent.seconds < seen.seconds + WHOLE + 5, "one after the other they would take twice as long"
    docker("stop", "--time", "1", boxes[1].name)
    try:
        off = stack.pulumi("preview")
    finally:
        docker("start", boxes[1].name)
    assert f"not looked at: machine 127.0.0.1:{boxes[1].port}: " in off.output, off.tail()
    assert f"not looked at: machine 127.0.0.1:{boxes[0].port}: " not in off.output, off.tail()


def test_a_machine_that_does_not_do_is_refused_by_the_first_preview(stack: Pair, boxes: list[SshBox]) -> None:
    stack.machines[0] |= {"user": "plain", "sudo": False}
    stack.list(2)
    refused = stack.pulumi("preview", fails=True)
    assert refused.code != 0 and "Traceback" not in refused.output, refused.tail()
    assert "the login is plain, who is not root -> set sudo: true, or user: root" in refused.output, refused.tail()


def logins(box: SshBox) -> int:
    """So many have come to be, by the machine's own log."""
    return box.run("journalctl", "--quiet", "--unit", "ssh").stdout.count("Accepted publickey")


def test_a_run_without_changes_asks_no_machine_and_a_refresh_logs_in_once(stack: Pair, boxes: list[SshBox]) -> None:
    stack.pulumi("up", "--yes", "--skip-preview")
    before = [logins(box) for box in boxes]
    assert all(before), "the log tells of logins"
    stack.pulumi("up", "--yes", "--expect-no-changes")
    assert [logins(box) for box in boxes] == before
    stack.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert [logins(box) - count for box, count in zip(boxes, before, strict=True)] == [1, 1]
    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert touched(boxes) == []
