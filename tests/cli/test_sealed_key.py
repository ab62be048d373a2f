"""Day two on a machine that we made: the one secret that leads to it is opened, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest

from anytier.cli import day2, stack

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def state(opened: bool, sealed: bool = True) -> dict[str, Any]:
    def secret(value: str) -> dict[str, Any]:
        return MARK | ({"plaintext": json.dumps(value)} if opened else {"ciphertext": "v1:x"})

    machine = {"kind": "ssh", "address": "10.0.0.5", **({"privateKey": secret("the key")} if sealed else {})}
    inputs = {"machine": machine, "secrets": secret("hunter2"), "ns": "n", "root": "/r"}
    urn = "urn:pulumi:dev::p::anytier:host:Workload::web"
    return {"resources": [{"type": "anytier:host:Workload", "urn": urn, "inputs": inputs}]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether the state was asked for with its secrets, call by call."""
    calls: list[bool] = []

    def stack_state(name: str, secrets: bool = False) -> dict[str, Any]:
        calls.append(secrets)
        return state(secrets, sealed=name == "vm")

    monkeypatch.setattr(stack, "stack_state", stack_state)
    return calls


def test_the_key_is_opened_and_nothing_else(asked: list[bool]) -> None:
    (web,) = day2.deployed("vm")
    assert web.inputs["machine"]["privateKey"] == "the key" and asked == [False, True]
    assert "hunter2" not in str(web.inputs)


def test_where_there_is_none_no_secret_is_asked_for(asked: list[bool]) -> None:
    (web,) = day2.deployed("own")
    assert web.inputs["machine"] == {"kind": "ssh", "address": "10.0.0.5"} and asked == [False]
