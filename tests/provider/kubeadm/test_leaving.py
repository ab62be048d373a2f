"""A worker that goes, where something is not as it was: its machine was installed anew, or its data is given up."""

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


async def test_data_that_is_nowhere_else_goes_only_where_that_was_said() -> None:
    def there() -> Any:
        return api(Machine(answers((200, {"items": [volume("data", "two")]})), answers((200, {}))))

    sink = Sink()
    with pytest.raises(Conflict):
        await WorkerResource._let_go_of_volumes(Context("urn", "x", sink), there(), a_worker())
    await WorkerResource._let_go_of_volumes(Context("urn", "x", sink), there(), a_worker(forget=True))
    assert len(sink.warnings) == 1 and "shop/data" in sink.warnings[0] and "forget" in sink.warnings[0]
