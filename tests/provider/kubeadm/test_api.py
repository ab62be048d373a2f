"""The API server that is away for a moment: waited for in the middle of a change, told at once anywhere else."""

from __future__ import annotations

import base64
import json
from typing import Any, cast

import pytest

from anytier.errors import Unreachable
from anytier.provider.kubeadm.api import Api, Credentials
from anytier.provider.kubeadm.node import Node

ONE = base64.b64encode(b"x").decode()
CONF = {
    "clusters": [{"cluster": {"server": "https://10.0.0.11:6443", "certificate-authority-data": ONE}}],
    "users": [{"user": {"client-certificate-data": ONE, "client-key-data": ONE}}],
}
AWAY, HERE = {"error": "Connection reset by peer"}, {"answers": [[200, json.dumps({"gitVersion": "v1.34.2"})]]}


class Machine:
    """A node whose API server gives these answers, the last one for ever."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), 0

    async def verb(self, *_: Any, **__: Any) -> Any:
        self.asked += 1
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, Exception):
            raise said
        return said


def api(machine: Machine, patience: float = 0) -> Api:
    return Api(cast(Node, machine), Credentials(json.dumps(CONF).encode()), patience)


async def test_in_the_middle_of_a_change_it_is_asked_again() -> None:
    machine = Machine(AWAY, AWAY, HERE)
    assert await api(machine, patience=30).version() == "v1.34.2" and machine.asked == 3


async def test_anywhere_else_it_is_told_at_once() -> None:
    machine = Machine(AWAY)
    with pytest.raises(Unreachable, match=r"API server https://10\.0\.0\.11:6443"):
        await api(machine).version()
    assert machine.asked == 1


async def test_a_machine_that_is_away_is_no_restart() -> None:
    machine = Machine(Unreachable("machine 10.0.0.11", "does not answer", "see to it"))
    with pytest.raises(Unreachable, match="machine"):
        await api(machine, patience=30).version()
    assert machine.asked == 1


async def test_steady_is_ready_without_a_break() -> None:
    machine = Machine({"answers": [[200, "ok"]]}, AWAY, {"answers": [[200, "ok"]]})
    await api(machine).steady(1, 30)
    assert machine.asked >= 3  # two would have done, had there been no break


async def test_what_its_api_is_like_is_asked_until_it_has_told() -> None:
    machine = Machine({"answers": [[504, "Timeout"]]}, AWAY, {"answers": [[200, ""]]})
    await api(machine).described(30)
    assert machine.asked == 3
    with pytest.raises(Unreachable, match=r"is not ready \(/openapi/v2 504: Timeout\)"):
        await api(Machine({"answers": [[504, "Timeout"]]})).described(0)


async def test_what_never_is_steady_is_told() -> None:
    with pytest.raises(Unreachable, match="reset by peer"):
        await api(Machine(AWAY)).steady(1, 0.5)
