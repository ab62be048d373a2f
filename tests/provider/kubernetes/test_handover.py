"""A number changes hands before an autoscaler decides it; where it is not ours, nothing is done."""

from __future__ import annotations

from typing import Any

import pytest
from tests.provider.kubernetes.objects import deployment
from tests.provider.sink import Sink

from anytier.provider.kubernetes import handover
from anytier.provider.kubernetes.client import MANAGER
from anytier.provider.kubernetes.handover import HandoverInputs, HandoverResource
from anytier.provider.kubernetes.workload import HOLDER, handed
from anytier.provider.resource import Context

GIVEN = HandoverInputs(kubeconfig="x", ns="shop", name="web")


def owned(manager: str = MANAGER, field: str = "f:replicas", wanted: int | None = 4) -> dict[str, Any]:
    made = deployment(wanted)
    made["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": {"f:spec": {field: {}}}}]
    return made


class Api:
    """Has one workload, or none."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.patched: list[Any] = []

    async def find(self, path: str) -> Any:
        assert path == "/apis/apps/v1/namespaces/shop/deployments/web"
        return self.live

    async def patch(self, path: str, body: Any, kind: str, manager: str) -> None:
        assert kind == "apply", "and without force: a number that changes meanwhile is not put back"
        self.patched.append((path, body, manager))


async def made(monkeypatch: pytest.MonkeyPatch, live: Any) -> Api:
    there = Api(live)
    monkeypatch.setattr(handover, "api", lambda kubeconfig: there)
    id, _ = await HandoverResource().create(Context("urn", "web", Sink()), GIVEN)
    assert id == "shop/Deployment/web"
    return there


async def test_somebody_else_has_the_number_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = await made(monkeypatch, owned())
    (patched,) = there.patched
    assert patched == (
        "/apis/apps/v1/namespaces/shop/deployments/web",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "uid-web"},
            "spec": {"replicas": 4},
        },
        HOLDER,
    )
    assert HOLDER != MANAGER


@pytest.mark.parametrize(
    "live",
    [None, owned("kube-controller-manager"), owned(field="f:template"), owned(wanted=None), deployment()],
    ids=["no workload", "an autoscaler's", "another field", "no number", "nobody's"],
)
async def test_without_a_number_of_ours_nothing_is_done(monkeypatch: pytest.MonkeyPatch, live: Any) -> None:
    assert (await made(monkeypatch, live)).patched == []


def test_none_at_all_is_a_number_too() -> None:
    body = handed(owned(wanted=0))
    assert body is not None and body["spec"] == {"replicas": 0}
