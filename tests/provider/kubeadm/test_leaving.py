"""A worker that goes, where something is not as it was: its machine was installed anew, or has data, or is silent."""

from __future__ import annotations

from typing import Any

import pytest
from tests.provider.kubeadm.test_api import Machine, api
from tests.provider.kubeadm.test_pure import a_worker
from tests.provider.kubeadm.test_volumes import answers, volume
from tests.provider.sink import Sink

from anytier.errors import AnytierError, Conflict, Denied, Unreachable
from anytier.provider.kubeadm import worker
from anytier.provider.kubeadm.api import AdminGone
from anytier.provider.kubeadm.worker import WorkerResource
from anytier.provider.resource import Context


def node(ready: str) -> dict[str, Any]:
    return {"metadata": {"name": "two"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ([answers((200, node("Unknown"))), answers((200, {}))], 2),  # the second removes it
        ([answers((200, node("True")))], 1),  # another machine has the name by now
        ([answers((404, {}))], 1),
    ],
)
async def test_the_node_of_a_machine_that_was_installed_anew_goes(
    said: list[Any], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(*said)

    async def api_of(control: Any) -> Any:
        return api(machine)

    monkeypatch.setattr(worker, "api_of", api_of)
    await WorkerResource._forget_node(Context("urn", "x", Sink()), a_worker())
    assert machine.asked == asked


@pytest.mark.parametrize("kind", [Unreachable, AdminGone, Denied])
async def test_a_cluster_that_cannot_be_asked_keeps_no_empty_machine(
    kind: type[AnytierError], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def api_of(control: Any) -> Any:
        raise kind("machine one", "does not answer", "")

    monkeypatch.setattr(worker, "api_of", api_of)
    sink = Sink()
    await WorkerResource._forget_node(Context("urn", "x", sink), a_worker())
    assert len(sink.warnings) == 1 and "Node two may stay" in sink.warnings[0]


@pytest.mark.parametrize("forget", [False, True])
async def test_data_that_is_nowhere_else_keeps_a_machine_that_answers(
    forget: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`forget` may be left in the stack from another day."""
    found = answers((200, {"items": [volume("data", "two")]}))
    machine = Machine(answers((200, node("True"))), found, answers((200, {})))

    async def api_of(control: Any) -> Any:
        return api(machine)

    monkeypatch.setattr(worker, "api_of", api_of)
    with pytest.raises(Conflict, match="shop/data") as error:
        await WorkerResource()._leave(Context("urn", "x", Sink()), a_worker(forget=forget), None)
    assert ("take `forget` out again" in error.value.do) is forget and "kubectl delete pvc" in error.value.do


@pytest.mark.parametrize("forget", [False, True])
async def test_of_a_machine_that_is_silent_it_is_let_go(forget: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(answers((200, node("Unknown"))), answers((200, {})))  # the second removes it

    async def api_of(control: Any) -> Any:
        return api(machine)

    monkeypatch.setattr(worker, "api_of", api_of)
    silence = Unreachable("machine 10.0.0.12", "does not answer", "")
    await WorkerResource()._leave(Context("urn", "x", Sink()), a_worker(forget=forget), silence)
    assert machine.asked == 2
