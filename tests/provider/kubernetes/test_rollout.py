"""The rollout and the wait for jobs against Kubernetes' own API server and controllers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.provider.kubernetes.controlplane import Kubelet, control_plane, programs
from tests.provider.sink import Sink

from anytier.errors import Conflict, NotFound, Rejected, RolloutFailed, Unreachable
from anytier.provider.kubernetes import client, kinds
from anytier.provider.kubernetes.claim import OWNER, ClaimInputs, ClaimResource
from anytier.provider.kubernetes.client import MANAGER, Api
from anytier.provider.kubernetes.day2 import KubernetesBackend
from anytier.provider.kubernetes.going import MARGIN
from anytier.provider.kubernetes.handover import HandoverInputs, HandoverResource
from anytier.provider.kubernetes.job import RunInputs, RunOutputs, RunResource
from anytier.provider.kubernetes.kinds import HASH
from anytier.provider.kubernetes.rollout import RolloutInputs, RolloutOutputs, RolloutResource
from anytier.provider.kubernetes.volume import VolumeInputs, VolumeOutputs, VolumeResource
from anytier.provider.kubernetes.workload import KEPT_FOR
from anytier.provider.resource import Context

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(programs() is None, reason="no kube-apiserver: ANYTIER_KUBERNETES_BIN names their folder"),
]


@pytest.fixture(scope="module")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with control_plane(tmp_path_factory.mktemp("control-plane")) as made:
        yield made


@dataclass
class Shop:
    """A namespace with a kubelet's stand-in, and one workload as pulumi-kubernetes would put it there."""

    kubeconfig: str
    there: Api
    kubelet: Kubelet
    ns: str
    kind: str = "Deployment"
    sink: Sink = field(default_factory=Sink)
    state: RolloutOutputs | None = None
    made: RolloutOutputs | None = None

    def inputs(self, image: str, replicas: int | None = 2, **more: Any) -> RolloutInputs:
        policy = {"healthyDeadline": 2, "progressDeadline": 15, **more.pop("update", {})}
        given = {"kubeconfig": self.kubeconfig, "ns": self.ns, "kind": self.kind, "name": "web", "hash": hash_of(image)}
        return RolloutInputs.model_validate({**given, "replicas": replicas, "update": policy, **more})

    async def apply(self, image: str, replicas: int | None = 2) -> None:
        """By server-side apply as MANAGER, as pulumi-kubernetes is told to."""
        object = workload(self.kind, self.ns, image, replicas)
        await self.there.patch(kinds.path(self.kind, self.ns, "web"), object, "apply", force=True)  # type: ignore[arg-type]

    async def watch(self, image: str, replicas: int | None = 2, **more: Any) -> RolloutOutputs:
        """What the engine does with the Rollout, with what it would record."""
        ctx, inputs = Context("urn", "web", self.sink), self.inputs(image, replicas, **more)
        try:
            if self.state is None:
                _, self.state = await RolloutResource().create(ctx, inputs)
            else:
                self.state = await RolloutResource().update(ctx, "id", inputs, self.state, inputs)
        except BaseException:
            if ctx.last_made is not None:
                assert isinstance(ctx.last_made.outputs, RolloutOutputs)
                self.state = ctx.last_made.outputs
            raise
        assert RolloutResource().drifted(inputs, self.state) == []
        return self.state

    async def up(self, image: str, replicas: int | None = 2, **more: Any) -> RolloutOutputs:
        await self.apply(image, replicas)
        return await self.watch(image, replicas, **more)

    async def live(self) -> dict[str, Any]:
        return await self.there.get(kinds.path(self.kind, self.ns, "web"))  # type: ignore[arg-type]

    async def image(self) -> str:
        found = await self.live()
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def hash_of(image: str) -> str:
    return f"hash-of-{image.replace(':', '-')}"


def workload(kind: str, ns: str, image: str, replicas: int | None) -> dict[str, Any]:
    labels = {"anytier.dev/workload": "web"}
    spec: dict[str, Any] = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels, "annotations": {HASH: hash_of(image)}},
            "spec": {"containers": [{"name": "web", "image": image}], "terminationGracePeriodSeconds": 0},
        },
        **({"replicas": replicas} if replicas is not None and kind != "DaemonSet" else {}),
        **({"serviceName": "web"} if kind == "StatefulSet" else {}),
        **({"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}} if kind == "Deployment" else {}),
        "revisionHistoryLimit": 3,
    }
    head = {"name": "web", "namespace": ns, "labels": labels, "annotations": {"given": "by the user"}}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": head, "spec": spec}


@pytest.fixture
async def shop(kubeconfig: str, request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    there = Api(kubeconfig)
    made = await there.post(
        "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "anytier-test-"}}
    )
    ns = made["metadata"]["name"]
    async with Kubelet(there, ns) as kubelet:
        kubelet.images = {"x:1": "good", "x:2": "good", "x:3": "good", "crash:1": "crash", "absent:1": "absent"}
        yield Shop(kubeconfig, there, kubelet, ns, getattr(request, "param", "Deployment"))
        await there.delete(f"/api/v1/namespaces/{ns}")
    await there.close()
    for api in client._APIS.values():
        await api.close()
    client._APIS.clear()


BOTH = pytest.mark.parametrize("shop", ["Deployment", "StatefulSet"], indirect=True)


@BOTH
async def test_a_rollout_ends_when_all_of_it_is_new_and_counts_on(shop: Shop) -> None:
    first = await shop.up("x:1")
    assert (first.revision, first.replicas, first.ready, first.pending) == (1, 2, 2, False)
    second = await shop.up("x:2")
    assert second.revision == 2 and [item.revision for item in second.history] == [1, 2]
    assert all(item.served for item in second.history)
    assert any("rolling" in line and "r1 -> r2" in line for line in shop.sink.lines)
    third = await shop.up("x:2", 3)
    assert (third.revision, third.replicas) == (2, 3)


@pytest.mark.parametrize("seconds", [1.5, 60])
async def test_a_rollout_waits_for_old_pods_to_stop_but_not_for_a_node_that_is_gone(shop: Shop, seconds: float) -> None:
    """A finalizer holds a pod as one that drains is held: the Deployment no longer counts it."""
    await shop.up("x:1")
    where, held = kinds.pods(shop.ns), {"metadata": {"finalizers": ["anytier.dev/test"]}}
    old = [item["metadata"]["name"] for item in await shop.there.items(where)]
    for name in old:
        await shop.there.patch(f"{where}/{name}", held)

    async def stop() -> None:
        await asyncio.sleep(seconds)
        for name in old:
            await shop.there.patch(f"{where}/{name}", {"metadata": {"finalizers": None}})

    stopping = asyncio.create_task(stop())
    began = time.monotonic()
    second = await shop.up("x:2")
    took, left = time.monotonic() - began, {item["metadata"]["name"] for item in await shop.there.items(where)}
    assert second.ready == 2 and any(line.startswith("draining  ") for line in shop.sink.lines)
    if seconds < MARGIN:
        assert took >= seconds and not left & set(old)
        await stopping
    else:
        assert took >= MARGIN and left >= set(old)
        stopping.cancel()
        seconds = 0
        await stop()


@BOTH
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("crash:1", r"was not healthy within 2 s: container web: the process ended \(exit 3\).*no database"),
        ("absent:1", r"container web: image absent:1 cannot be pulled \(ErrImagePull\): not found"),
    ],
)
async def test_a_bad_release_goes_back_to_what_served_and_says_why(shop: Shop, bad: str, reason: str) -> None:
    await shop.up("x:1")
    with pytest.raises(RolloutFailed, match=f"(?s){reason}.*r1 keeps serving on 2 of 2 replicas") as caught:
        await shop.up(bad)
    assert caught.value.path == "workloads.web"
    assert await shop.image() == "x:1"
    assert (await shop.live())["metadata"]["annotations"]["given"] == "by the user"
    assert shop.state is not None and shop.state.pending


async def test_the_same_bad_release_again_is_tried_again_and_a_good_one_goes_on(shop: Shop) -> None:
    """pulumi-kubernetes sees no change in the first case: the template comes from where it is kept."""
    await shop.up("x:1")
    with pytest.raises(RolloutFailed):
        await shop.up("crash:1")
    assert await shop.image() == "x:1"
    with pytest.raises(RolloutFailed, match="exit 3"):
        await shop.watch("crash:1")
    assert await shop.image() == "x:1"

    shop.kubelet.images["crash:1"] = "good"  # what it lacked is there now
    mended = await shop.watch("crash:1")
    assert mended.revision == 2 and await shop.image() == "crash:1"
    changed = await shop.up("x:2")
    assert changed.revision == 3 and await shop.image() == "x:2"


async def test_a_bad_release_that_is_reverted_is_as_before(shop: Shop) -> None:
    await shop.up("x:1")
    with pytest.raises(RolloutFailed):
        await shop.up("crash:1")
    again = await shop.up("x:1")
    assert (again.revision, again.pending) == (1, False)


async def test_what_went_back_owns_no_field_that_a_later_release_leaves_out(shop: Shop) -> None:
    """The way back is applied as pulumi-kubernetes' own manager, so that what it then leaves out goes."""
    await shop.apply("x:1")
    path = kinds.path("Deployment", shop.ns, "web")
    object = workload("Deployment", shop.ns, "x:1", 2)
    object["spec"]["template"]["spec"]["containers"][0]["env"] = [{"name": "OLD", "value": "1"}]
    await shop.there.patch(path, object, "apply", force=True)
    await shop.watch("x:1")
    with pytest.raises(RolloutFailed):
        await shop.up("crash:1")
    assert (await shop.live())["spec"]["template"]["spec"]["containers"][0]["env"]
    await shop.up("x:2")
    live = await shop.live()
    assert "env" not in live["spec"]["template"]["spec"]["containers"][0]
    managers = {item["manager"] for item in live["metadata"]["managedFields"] if "subresource" not in item}
    assert managers <= {MANAGER, "kube-controller-manager"}


@BOTH
async def test_a_first_release_that_fails_leaves_nothing_running_and_comes_again(shop: Shop) -> None:
    with pytest.raises(RolloutFailed, match="it was the first revision: nothing serves"):
        await shop.up("crash:1")
    assert (await shop.live())["spec"]["replicas"] == 0
    shop.kubelet.images["crash:1"] = "good"
    done = await shop.watch("crash:1")
    assert (done.revision, done.ready) == (1, 2)


async def test_without_auto_rollback_the_bad_release_stays(shop: Shop) -> None:
    await shop.up("x:1")
    with pytest.raises(RolloutFailed, match="nothing was rolled back"):
        await shop.up("crash:1", update={"autoRollback": False})
    assert await shop.image() == "crash:1"


async def test_a_pinned_revision_comes_back_and_the_next_run_goes_forward(shop: Shop) -> None:
    await shop.up("x:1")
    await shop.up("x:2")
    back = await shop.watch("x:2", rollback_to=1)
    assert back.revision == 1 and await shop.image() == "x:1"
    with pytest.raises(NotFound, match="revision 7 is not kept -> choose one of: 1, 2"):
        await shop.watch("x:2", rollback_to=7)
    forward = await shop.watch("x:2")
    assert forward.revision == 2 and await shop.image() == "x:2"


async def test_what_somebody_changed_by_hand_is_seen_and_put_back(shop: Shop) -> None:
    await shop.up("x:1")
    path = kinds.path("Deployment", shop.ns, "web")
    edit = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}
    await shop.there.patch(path, edit)
    assert shop.state is not None
    found = None
    for _ in range(50):
        found = await RolloutResource().read(Context("urn", "web", shop.sink), "id", shop.inputs("x:1"), shop.state)
        assert found is not None
        if found[1].pending:
            break
        import asyncio

        await asyncio.sleep(0.1)
    assert found is not None and RolloutResource().drifted(shop.inputs("x:1"), found[1]) == ["hash"]
    shop.state = found[1].model_copy(update={"holder": shop.state.holder})
    await shop.watch("x:1")
    assert (await shop.live())["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0


async def test_a_workload_that_is_gone_is_gone_and_a_cluster_that_is_gone_is_not(shop: Shop) -> None:
    await shop.up("x:1")
    ctx, inputs = Context("urn", "web", shop.sink), shop.inputs("x:1")
    await shop.there.delete(kinds.path("Deployment", shop.ns, "web"))
    assert await RolloutResource().read(ctx, "id", inputs, shop.state) is None
    with pytest.raises(NotFound, match="somebody deleted it"):
        await shop.watch("x:1")
    dead = json.loads(shop.kubeconfig)
    dead["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    with pytest.raises(Unreachable, match=r"cluster https://127\.0\.0\.1:1"):
        await RolloutResource().read(ctx, "id", inputs.model_copy(update={"kubeconfig": json.dumps(dead)}), shop.state)


async def test_an_autoscalers_number_is_left_to_it(shop: Shop) -> None:
    await shop.up("x:1", None)
    path = kinds.path("Deployment", shop.ns, "web")
    await shop.there.patch(f"{path}/scale", {"spec": {"replicas": 3}})
    done = await shop.up("x:2", None)
    assert done.replicas == 3
    with pytest.raises(RolloutFailed):
        await shop.up("crash:1", None)
    assert (await shop.live())["spec"]["replicas"] == 3


async def test_an_autoscaler_that_comes_finds_the_number_and_one_that_goes_leaves_it(shop: Shop) -> None:
    ctx, ns = Context("urn", "web", shop.sink), shop.ns
    await shop.up("x:1", 3)
    handed = HandoverInputs.model_validate({"kubeconfig": shop.kubeconfig, "ns": ns, "name": "web"})
    await HandoverResource().create(ctx, handed)
    await shop.apply("x:2", None)
    scalers = f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers"
    await shop.there.post(scalers, scaler(ns, 2, 5))
    assert (await shop.live())["spec"]["replicas"] == 3, "left out by its only owner it would be 1"
    assert (await shop.watch("x:2", None)).replicas == 3
    await HandoverResource().create(ctx, handed)  # nothing of ours is left to hand over

    await shop.apply("x:2", 4)
    assert shop.state is not None
    before, after = shop.inputs("x:2", None), shop.inputs("x:2", 4)
    done = await RolloutResource().update(ctx, "id", before, shop.state, after)
    assert done.replicas == 4 and await bounds(shop) == (4, 4), "held until the engine removes it"
    await shop.apply("x:2", None)  # some other workload failed, and the spec goes back
    assert (await shop.live())["spec"]["replicas"] == 4, "left out by its only owner it would be 1"
    await RolloutResource().update(ctx, "id", after, done, before)
    assert await bounds(shop) == (2, 5)

    await shop.apply("x:2", 2)
    await shop.there.delete(f"{scalers}/web")
    assert (await shop.live())["spec"]["replicas"] == 2


async def test_a_failed_way_back_from_an_autoscaler_leaves_it_and_the_number(shop: Shop) -> None:
    ctx, ns = Context("urn", "web", shop.sink), shop.ns
    await shop.up("x:1", None)
    await shop.there.patch(f"{kinds.path('Deployment', ns, 'web')}/scale", {"spec": {"replicas": 3}})
    await shop.there.post(f"/apis/autoscaling/v2/namespaces/{ns}/horizontalpodautoscalers", scaler(ns, 2, 5))
    assert shop.state is not None
    await shop.apply("crash:1", 4)
    with pytest.raises(RolloutFailed, match="r1 keeps serving"):
        await RolloutResource().update(ctx, "id", shop.inputs("x:1", None), shop.state, shop.inputs("crash:1", 4))
    assert await bounds(shop) == (2, 5)
    await shop.apply("x:1", None)
    assert (await shop.live())["spec"]["replicas"] == 4, "left out by its only owner it would be 1"


async def bounds(shop: Shop) -> tuple[int, int]:
    spec = (await shop.there.get(f"/apis/autoscaling/v2/namespaces/{shop.ns}/horizontalpodautoscalers/web"))["spec"]
    return spec["minReplicas"], spec["maxReplicas"]


def scaler(ns: str, least: int, most: int) -> dict[str, Any]:
    head = {"name": "web", "namespace": ns, "labels": {"anytier.dev/workload": "web"}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "minReplicas": least, "maxReplicas": most}
    return {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": head, "spec": spec}


async def test_quotas_and_pod_security_are_told_from_what_the_controller_said(shop: Shop) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await shop.there.patch(f"/api/v1/namespaces/{shop.ns}", label)
    with pytest.raises(RolloutFailed, match=r"PodSecurity forbids these pods: .*allowPrivilegeEscalation"):
        await shop.up("x:1", update={"progressDeadline": 3})


async def test_a_pod_that_nobody_takes_waits_for_the_progress_deadline(shop: Shop) -> None:
    with pytest.raises(RolloutFailed, match="nothing moved for 3 s"):
        await shop.up("nobody:1", update={"progressDeadline": 3})


async def config(shop: Shop, name: str) -> None:
    head = {"name": name, "namespace": shop.ns, "labels": {KEPT_FOR: "web", "anytier.dev/workload": "web"}}
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": {"a": name}, "immutable": True}
    await shop.there.post(f"/api/v1/namespaces/{shop.ns}/configmaps", item)


async def test_configs_that_no_kept_revision_names_go_and_the_others_are_the_workloads(shop: Shop) -> None:
    await config(shop, "used")
    await config(shop, "unused")
    path = kinds.path("Deployment", shop.ns, "web")
    object = workload("Deployment", shop.ns, "x:1", 2)
    object["spec"]["template"]["spec"]["volumes"] = [{"name": "c", "configMap": {"name": "used"}}]
    await shop.there.patch(path, object, "apply", force=True)
    await shop.watch("x:1")
    found = await shop.there.items(f"/api/v1/namespaces/{shop.ns}/configmaps", labelSelector=KEPT_FOR)
    assert [item["metadata"]["name"] for item in found] == ["used"]
    assert found[0]["metadata"]["ownerReferences"][0]["name"] == "web"


def job(ns: str, image: str, name: str = "migrate-1") -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": image}], "restartPolicy": "Never"}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": ns}, "spec": spec}


async def test_a_job_is_waited_for_told_why_it_failed_and_made_anew_by_the_next_run(shop: Shop) -> None:
    path = f"/apis/batch/v1/namespaces/{shop.ns}/jobs"
    shop.kubelet.images |= {"job:1": "failed"}
    await shop.there.post(path, job(shop.ns, "job:1"))
    ctx = Context("urn", "job", shop.sink)
    given = {"kubeconfig": shop.kubeconfig, "ns": shop.ns, "job": "migrate", "name": "migrate-1", "deadline": 30}
    inputs = RunInputs.model_validate(given)
    with pytest.raises(Rejected, match=r"(?s)jobs\.migrate: failed \(BackoffLimitExceeded\).*exit 3.*no database"):
        await RunResource().create(ctx, inputs)
    assert ctx.last_made is not None and isinstance(ctx.last_made.outputs, RunOutputs)
    state = ctx.last_made.outputs
    assert RunResource().drifted(inputs, state) == ["name"]

    shop.kubelet.images["job:1"] = "done"
    done = await RunResource().update(ctx, "id", inputs, state, inputs)
    assert done.finished_at and done.uid != state.uid and RunResource().drifted(inputs, done) == []
    again = await RunResource().update(ctx, "id", inputs, done, inputs)
    assert again.uid == done.uid

    # one of another spec stays until the wanted one has ended well; the last goes with the run
    labels = {"labels": {"anytier.dev/job": "migrate"}}
    shop.kubelet.images |= {"job:2": "done"}
    await shop.there.patch(f"{path}/migrate-1", {"metadata": labels})
    await shop.there.post(path, job(shop.ns, "job:2", "migrate-2"))
    await shop.there.patch(f"{path}/migrate-2", {"metadata": labels})
    newer = inputs.model_copy(update={"name": "migrate-2"})
    last = await RunResource().update(ctx, "id", inputs, again, newer)
    assert await names(shop, path) == {"migrate-2"}
    await RunResource().delete(ctx, "id", newer, last)
    assert await names(shop, path) == set()


async def names(shop: Shop, path: str) -> set[str]:
    """Of those that are not on their way out."""
    found = await shop.there.items(path)
    return {item["metadata"]["name"] for item in found if "deletionTimestamp" not in item["metadata"]}


async def test_a_namespace_of_somebody_else_is_refused(shop: Shop) -> None:
    ctx = Context("urn", "claim", shop.sink)
    inputs = ClaimInputs.model_validate({"kubeconfig": shop.kubeconfig, "ns": shop.ns, "owner": "me"})
    with pytest.raises(Conflict, match="not made by anytier"):
        await ClaimResource().create(ctx, inputs)
    await shop.there.patch(f"/api/v1/namespaces/{shop.ns}", {"metadata": {"annotations": {OWNER: "somebody"}}})
    with pytest.raises(Conflict, match="is deployed from somebody"):
        await ClaimResource().create(ctx, inputs)
    await shop.there.patch(f"/api/v1/namespaces/{shop.ns}", {"metadata": {"annotations": {OWNER: "me"}}})
    await ClaimResource().create(ctx, inputs)
    await ClaimResource().create(ctx, inputs.model_copy(update={"ns": "anytier-test-none"}))


async def test_a_claim_says_itself_what_it_is_and_what_it_cannot_grow_to(shop: Shop) -> None:
    ctx, path = Context("urn", "volume/data", shop.sink), f"/api/v1/namespaces/{shop.ns}/persistentvolumeclaims/data"
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "fast"}
    object = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": spec}
    await shop.there.patch(path, object, "apply", force=True)
    await bind(shop, path)
    given = {"kubeconfig": shop.kubeconfig, "ns": shop.ns, "at": "resources.data", "name": "data", "size": "1Gi"}
    inputs = VolumeInputs.model_validate({**given, "access": ["ReadWriteOnce"], "storageClass": "fast"})
    await VolumeResource().create(ctx, inputs)
    for change in ({"storage_class": "slow"}, {"storage_class": None}, {"access": ["ReadWriteMany"]}):
        with pytest.raises(Rejected, match="would be deleted with its data"):
            await VolumeResource().create(ctx, inputs.model_copy(update=change))
    with pytest.raises(Rejected, match=r"resources\.data\.params\.size: cannot become 2Gi: "):
        bigger = inputs.model_copy(update={"size": "2Gi"})
        await VolumeResource().update(ctx, "id", inputs, VolumeOutputs(), bigger)
    assert (await shop.there.get(path))["spec"]["resources"]["requests"]["storage"] == "1Gi"


async def bind(shop: Shop, path: str) -> None:
    """Gives the claim there a volume, and waits for the controller."""
    modes, claim = ["ReadWriteOnce"], {"namespace": shop.ns, "name": path.rpartition("/")[2]}
    spec = {"accessModes": modes, "capacity": {"storage": "1Gi"}, "storageClassName": "fast", "claimRef": claim}
    body = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": shop.ns}}
    await shop.there.post("/api/v1/persistentvolumes", {**body, "spec": {**spec, "hostPath": {"path": "/tmp/none"}}})
    async with asyncio.timeout(60):
        while (await shop.there.get(path))["status"]["phase"] != "Bound":
            await asyncio.sleep(0.5)


async def test_day_two_sees_the_pods_with_their_revision(shop: Shop) -> None:
    await shop.up("x:1")
    await shop.up("x:2")
    place = KubernetesBackend(shop.kubeconfig, shop.ns)
    try:
        rows = await place.instances()
        assert [(row.workload, row.index, row.revision, row.state) for row in rows] == [
            ("web", 0, 2, "running"),
            ("web", 1, 2, "running"),
        ]
    finally:
        await place.close()
