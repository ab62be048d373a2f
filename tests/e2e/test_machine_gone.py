"""A machine of several that is switched off: as long as the stack lists it, it stops everything; then it is let go."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.test_conformance_baremetal import machine
from tests.e2e.tiny import Tiny, gone_afterwards
from tests.provider.host.ssh_box import SshBox, ssh_boxes
from tests.provider.host.systemd_box import docker

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


class Pair(Tiny):
    """A throw-away stack with an instance on each of two machines; the first takes the requests."""

    def __init__(self, boxes: list[SshBox]) -> None:
        probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
        super().__init__({"path": "/"}, container={"readinessProbe": probe}, scale={"replicas": 2})
        self.machines = [machine(letter, box) for letter, box in zip("ab", boxes, strict=True)]
        self.list(2)
        self.begin()

    def list(self, count: int) -> None:
        """The stack's file, with the first of the machines."""
        old = self.config_file.read_text().splitlines() if self.config_file.exists() else []
        salt = [line for line in old if line.startswith("encryptionsalt")]
        config = {**self.config, **self.own_config(), "anytier:baremetal": {"machines": self.machines[:count]}}
        self.config_file.write_text("\n".join([*salt, f"config: {json.dumps(config)}", ""]))

    def answering(self) -> set[str]:
        """The machines that answer at the stack's address."""
        found = set()
        for _ in range(8):
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
                found.add(answer.headers["X-Machine"])
        return found

    def names(self) -> set[str]:
        """Of the machines, as the state has them."""
        return {str(item["id"]) for item in self.urns().values() if item["type"] == "anytier:host:Machine"}


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[SshBox]]:
    with ssh_boxes(tmp_path, 2, here=True) as made:
        yield made


@pytest.fixture
def stack(boxes: list[SshBox]) -> Iterator[Pair]:
    with gone_afterwards(Pair(boxes)) as made:
        yield made


def test_a_machine_that_is_off_stops_everything_until_it_leaves_the_list(stack: Pair, boxes: list[SshBox]) -> None:
    stack.anytier("up")
    assert len(stack.answering()) == 2 and len(stack.names()) == 2

    docker("stop", "--time", "1", boxes[1].name)
    failed = stack.anytier("up", fails=True)
    assert failed.code == 1 and "no SSH server answers there" in failed.output, failed.tail()
    assert f"machine 127.0.0.1:{boxes[1].port}" in failed.output and "Traceback" not in failed.output
    assert len(stack.names()) == 2 and len(stack.answering()) == 1

    stack.list(1)
    gone = stack.anytier("up")
    assert "is no longer in the list and does not answer: it is let go" in gone.output, gone.tail()
    assert len(stack.names()) == 1 and len(stack.answering()) == 1
    stack.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    stack.pulumi("destroy", "--yes", "--skip-preview")
