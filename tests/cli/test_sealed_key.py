"""Day two on machines that we made: the secrets that lead to them are opened, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anytier.cli import day2, stack

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def state(opened: bool, sealed: bool = True, several: bool = False, docker: bool = False) -> dict[str, Any]:
    def secret(value: Any) -> dict[str, Any]:
        return MARK | ({"plaintext": json.dumps(value)} if opened else {"ciphertext": "v1:x"})

    machine = {"kind": "ssh", "address": "10.0.0.5", **({"privateKey": secret("the key")} if sealed else {})}
    inputs = {"machine": machine, "secrets": secret("hunter2"), "ns": "n", "root": "/r"}
    kind = f"anytier:{'docker' if docker else 'host'}:Workload"
    urn = f"urn:pulumi:dev::p::{kind}::web"
    outputs: dict[str, Any] = {"revision": 1}
    if several:
        members = [{"name": name, "machine": {**machine, "address": address}} for name, address in MACHINES.items()]
        del inputs["machine"]
        inputs["machines"] = secret([{**members[0], "machine": {**machine, "privateKey": "the key"}}])
        outputs["machines"] = members
        inputs |= {"supervisor": "systemd-system"}
    if docker:
        inputs["endpoint"] = {"host": "unix:///run/docker.sock", "machine": inputs.pop("machine")}
    return {"resources": [{"type": kind, "urn": urn, "inputs": inputs, "outputs": outputs}]}


MACHINES = {"vm-1": "10.0.0.5", "vm-2": "10.0.0.6"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the state was asked for with its secrets, call by call."""
    calls: list[bool] = []

    def stack_state(name: str, secrets: bool = False) -> dict[str, Any]:
        calls.append(secrets)
        return state(secrets, sealed=name != "own", several=name == "vms", docker=name == "docker")

    monkeypatch.setattr(stack, "stack_state", stack_state)
    return calls


def test_the_key_is_opened_and_nothing_else(asked: list[bool]) -> None:
    (web,) = day2.deployed("vm")
    assert web.inputs["machine"]["privateKey"] == "the key" and asked == [False, True]
    assert "hunter2" not in str(web.inputs)


def test_so_is_that_of_the_machine_that_a_daemon_is_on(asked: list[bool]) -> None:
    (web,) = day2.deployed("docker")
    assert day2.backend([web]).endpoint.machine.private_key == "the key"  # type: ignore[attr-defined]
    assert "hunter2" not in str(web.inputs)


def test_so_are_those_of_several_machines(asked: list[bool]) -> None:
    (web,) = day2.deployed("vms")
    assert [item["machine"]["privateKey"] for item in web.outputs["machines"]] == ["the key", "the key"]
    assert web.inputs["machines"][0]["machine"]["privateKey"] == "the key" and asked == [False, True]
    assert "hunter2" not in str(web)
    assert list(day2.backend([web]).parts) == list(MACHINES)  # type: ignore[attr-defined]


def test_where_there_is_none_no_secret_is_asked_for(asked: list[bool]) -> None:
    (web,) = day2.deployed("own")
    assert web.inputs["machine"] == {"kind": "ssh", "address": "10.0.0.5"} and asked == [False]
