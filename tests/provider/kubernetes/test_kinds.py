"""Revisions, how far a rollout is, and what is applied, from objects as the API gives them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.provider.kubernetes.objects import deployment, pod, replica_set

from anytier.provider.kubernetes import kinds
from anytier.provider.kubernetes.kinds import NUMBER, SERVED, Revision, Seen


def test_a_replica_set_is_a_revision_without_what_the_controller_added() -> None:
    found = kinds.revision(replica_set("web-abc", 3, "h", **{NUMBER: "2", SERVED: "1.5"}))
    assert (found.name, found.order, found.hash, found.number, found.served) == ("web-abc", 3, "h", 2, 1.5)
    assert found.template["metadata"]["labels"] == {"a": "b"}


def test_a_controller_revision_holds_its_template_in_data() -> None:
    template = {"metadata": {"annotations": {kinds.HASH: "h"}}, "spec": {"x": 1}}
    item = {
        "metadata": {"name": "db-1"},
        "revision": 4,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
    }
    found = kinds.revision(item)
    assert (found.order, found.hash, found.template) == (4, "h", template)


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣"])
def test_a_number_that_somebody_else_wrote_is_none(text: str) -> None:
    assert kinds.revision(replica_set("web-abc", 1, "h", **{NUMBER: text})).number == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), unique_by=lambda item: item[0], max_size=6))
def test_numbers_stay_and_new_ones_follow(given_: list[tuple[int, int]]) -> None:
    known = {number for _, number in given_ if number}
    items = [Revision(str(order), order, "", {}, number=number) for order, number in given_ if number == 0]
    items += [Revision(f"n{number}", 0, "", {}, number=number) for number in known]
    told = kinds.numbered(items)
    assert {item.number for item in told if item.name.startswith("n")} == known
    new = [item.order for item in told if not item.name.startswith("n")]
    assert new == sorted(new) and len({item.number for item in told}) == len(items)
    assert all(item.number > max(known, default=0) for item in told if not item.name.startswith("n"))


def test_the_current_one_is_what_the_controller_says_once_it_has_looked() -> None:
    some = [kinds.revision(replica_set("web-a", 1, "old")), kinds.revision(replica_set("web-b", 2, "new"))]
    now = kinds.current("Deployment", deployment(order=2), some)
    assert now is not None and now.name == "web-b"
    late = deployment(order=1, observedGeneration=1)
    assert kinds.current("Deployment", late, some) is None
    stateful = {**deployment(), "status": {"observedGeneration": 2, "updateRevision": "web-a"}}
    found = kinds.current("StatefulSet", stateful, some)
    assert found is not None and found.name == "web-a"


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}, True),
        ({"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3}, False),  # an old one is still there
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 1}, False),
        ({"replicas": 2, "updatedReplicas": 1, "availableReplicas": 2}, False),
        ({"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 1}, False),
        ({}, False),
    ],
)
def test_a_deployment_is_there_when_all_of_it_is_new_and_available(status: dict[str, Any], settled: bool) -> None:
    assert kinds.seen("Deployment", deployment(**status)).settled is settled


def test_a_daemon_set_counts_nodes() -> None:
    status = {
        "desiredNumberScheduled": 3,
        "currentNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 2,
    }
    assert kinds.seen("DaemonSet", deployment(**status)) == Seen(True, 3, 3, 2, 3)


def test_nothing_wanted_is_reached_by_nothing() -> None:
    assert kinds.seen("Deployment", deployment(wanted=0)).settled
    assert kinds.seen("Deployment", deployment(wanted=None)).wanted == 1


def test_what_is_applied_is_the_whole_workload_without_what_the_server_adds() -> None:
    body = kinds.applied(deployment(), "anytier", {"spec": {"new": True}})
    assert body["metadata"] == {
        "name": "web",
        "namespace": "shop",
        "labels": {"app": "web"},
        "annotations": {"kept": "yes"},
    }
    assert body["spec"]["template"] == {"spec": {"new": True}} and "status" not in body
    assert body["spec"]["selector"] == {"matchLabels": {"b": "2", "a": "1"}}


def test_an_autoscalers_number_stays_its_own() -> None:
    live = deployment()
    assert "replicas" not in kinds.applied(live, "anytier")["spec"]
    ours = [{"manager": "anytier", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
    live["metadata"]["managedFields"] = ours
    assert kinds.applied(live, "anytier")["spec"]["replicas"] == 2
    assert kinds.applied(live, "anytier", replicas=0)["spec"]["replicas"] == 0
    live["metadata"]["managedFields"] = [{**ours[0], "manager": "autoscaler"}]
    assert "replicas" not in kinds.applied(live, "anytier")["spec"]
    assert live["spec"]["replicas"] == 2


def test_selectors_are_written_as_the_api_reads_them() -> None:
    assert kinds.selector(deployment()) == "a=1,b=2"


def test_a_pod_that_is_being_stopped_is_going() -> None:
    assert kinds.going(pod(going=True)) and not kinds.going(pod())
    assert kinds.ready(pod()) and not kinds.ready(pod(ready=False))
