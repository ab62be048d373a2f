"""An autoscaler that the spec no longer has is held at the spec's number, and as it was where that comes to nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.provider.kubernetes.objects import deployment, replica_set
from tests.provider.sink import Sink

from anytier.errors import Conflict, RolloutFailed
from anytier.provider.kubernetes import rollout, scaler
from anytier.provider.kubernetes.client import MANAGER
from anytier.provider.kubernetes.patience import Verdict
from anytier.provider.kubernetes.rollout import RolloutInputs, RolloutOutputs, RolloutResource
from anytier.provider.kubernetes.scaler import HELD, held, hold, own, release, released
from anytier.provider.kubernetes.workload import HOLDER
from anytier.provider.resource import Context

WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
SCALERS = "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers"


def autoscaler(least: int = 2, most: int = 5, note: str | None = None) -> dict[str, Any]:
    notes = {} if note is None else {HELD: note}
    head = {"name": "web", "resourceVersion": "7", "annotations": notes}
    return {"metadata": head, "spec": {"minReplicas": least, "maxReplicas": most}}


class Api:
    """One Deployment with two templates, the older of which served, and one autoscaler or none."""

    def __init__(self, scaled: Any = None, conflicts: int = 0) -> None:
        self.live = deployment(4)
        entry = {"manager": MANAGER, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        self.live["metadata"]["managedFields"] = [entry]
        self.sets = [
            replica_set("web-1", 1, "old", **{"anytier.dev/served": "1.0"}),
            replica_set("web-2", 2, "new"),
        ]
        self.scaler, self.conflicts = scaled, conflicts
        self.put: list[Any] = []
        self.bounds: list[Any] = []  # at each write of the workload

    async def find(self, path: str) -> Any:
        return copy.deepcopy(self.live if path == WEB else self.scaler)

    async def items(self, path: str, **params: str) -> list[Any]:
        if path == SCALERS:
            assert params == {"labelSelector": "a=1,b=2"}
            return [] if self.scaler is None else [self.scaler]
        return self.sets if path.endswith("/replicasets") else []

    async def patch(self, path: str, body: Any, kind: str = "merge", force: bool = False, manager: str = "") -> None:
        if path == WEB:
            self.put.append((manager or MANAGER, body["spec"].get("replicas")))
            self.bounds.append(now(self.scaler))
        elif path.startswith(SCALERS):
            self.conflicts -= 1
            if self.conflicts >= 0:
                raise Conflict("horizontalpodautoscalers/web", "has been modified")
            assert body["metadata"]["resourceVersion"] == "7"
            self.scaler["metadata"]["annotations"] |= body["metadata"]["annotations"]
            self.scaler["spec"] |= body.get("spec", {})

    async def delete(self, path: str) -> None:
        raise AssertionError("nothing is removed that the state has")


def now(item: Any) -> tuple[int, int] | None:
    return (item["spec"]["minReplicas"], item["spec"]["maxReplicas"]) if item else None


async def test_it_is_held_and_let_go_with_its_own_bounds() -> None:
    there: Any = Api(autoscaler(), conflicts=2)
    assert await hold(there, "shop", there.live, 4) and now(there.scaler) == (4, 4)
    assert await hold(there, "shop", there.live, 3) and now(there.scaler) == (3, 3)
    await release(there, "shop", there.live)
    assert now(there.scaler) == (2, 5) and there.scaler["metadata"]["annotations"] == {HELD: None}
    await release(there, "shop", there.live)
    assert now(there.scaler) == (2, 5)
    assert not await hold(Api(), "shop", there.live, 4)  # type: ignore[arg-type]


def test_bounds_that_somebody_gave_it_since_then_stay() -> None:
    changed = autoscaler(2, 6, "2,5,4")
    assert own(changed) is None
    body = released(changed)
    assert body is not None and "spec" not in body and body["metadata"]["annotations"] == {HELD: None}
    again = held(changed, 4)
    assert again is not None and again["metadata"]["annotations"] == {HELD: "2,6,4"}


@pytest.mark.parametrize("note", ["", "2,5", "a,b,c", "2,5,4,1"])
def test_a_note_that_says_nothing_is_none(note: str) -> None:
    assert own(autoscaler(4, 4, note)) is None


def test_what_is_so_already_is_not_written() -> None:
    assert held(autoscaler(4, 4, "2,5,4"), 4) is None
    assert held(autoscaler(), 0) is None, "with none at all it is off by itself"
    assert released(autoscaler()) is None


# with a rollout


def inputs(replicas: int | None) -> RolloutInputs:
    return RolloutInputs(kubeconfig="x", ns="shop", name="web", hash="new", replicas=replicas)


async def updated(monkeypatch: pytest.MonkeyPatch, there: Api, replicas: int | None, bad: bool) -> None:
    """From an autoscaler to `replicas`, or on with it, with a template that is bad or not."""
    verdicts = iter([Verdict("nothing moved", []) if bad else None, None])

    async def reach(*given: Any, **more: Any) -> Verdict | None:
        return next(verdicts)

    monkeypatch.setattr(rollout, "api", lambda kubeconfig: there)
    monkeypatch.setattr(rollout._Run, "reach", reach)
    state = RolloutOutputs(revision=1, hash="old", replicas=3, ready=3, holder="web-1")
    await RolloutResource().update(Context("urn", "web", Sink()), "id", inputs(None), state, inputs(replicas))


async def test_a_number_again_holds_the_autoscaler_until_the_engine_removes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Api(autoscaler())
    await updated(monkeypatch, there, 4, bad=False)
    assert now(there.scaler) == (4, 4)
    assert there.put == [(HOLDER, 4)], "should another workload fail, and the spec go back, the number stays"


async def test_a_failed_rollout_leaves_the_autoscaler_and_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state has it, and a Handover, both of which the spec of before would find made already."""
    there = Api(autoscaler())
    with pytest.raises(RolloutFailed, match="r1 keeps serving"):
        await updated(monkeypatch, there, 4, bad=True)
    assert there.put == [(HOLDER, 4), (MANAGER, 4)], "not the number of before, which HOLDER would not have"
    assert there.bounds == [(4, 4), (4, 4)] and now(there.scaler) == (2, 5)


async def test_without_an_autoscaler_the_number_of_before_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    there = Api()
    with pytest.raises(RolloutFailed, match="r1 keeps serving"):
        await updated(monkeypatch, there, 4, bad=True)
    assert there.put == [(MANAGER, 3)]


async def test_a_spec_that_goes_back_lets_it_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it was another workload that failed, and this one's own rollout had ended well."""
    there = Api(autoscaler(4, 4, "2,5,4"))
    await updated(monkeypatch, there, None, bad=False)
    assert now(there.scaler) == (2, 5) and there.put == []
    assert scaler.own(there.scaler) is None
