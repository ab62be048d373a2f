"""Which controller keeps a workload running, how it changes, how many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.render.kubernetes.samples import TARGET, objects, rendered, served, spec, workload

from anytier.errors import AnytierError, CapabilityError, ConfigError, SpecError

VOLUME = {"volumes": {"/data": {"source": "data"}}}
DATA: dict[str, Any] = {"resources": {"data": {"type": "volume"}}}
SHARED: dict[str, Any] = {"resources": {"data": {"type": "volume", "params": {"access": "ReadWriteMany"}}}}


def test_a_rollout_starts_first_and_leaves_nobody_without() -> None:
    made = objects(spec({"web": served(scale={"replicas": 8}, update={"maxParallel": "30%"})}))["web"]
    assert made["kind"] == "Deployment"
    assert made["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 3, "maxUnavailable": 0}


def test_stop_first_is_the_other_way_round() -> None:
    made = objects(spec({"web": served(scale={"replicas": 4}, update={"order": "stop-first", "maxParallel": 2})}))
    assert made["web"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}


def test_recreate_is_recreate() -> None:
    made = objects(spec({"web": served(update={"strategy": "recreate"})}))["web"]
    assert made["spec"]["strategy"] == {"type": "Recreate"}


def test_the_deadlines_and_revisions_are_the_specs() -> None:
    update = {"minHealthyTime": 2.5, "progressDeadline": 300, "retain": 7}
    made = rendered(spec({"web": served(update=update)}))["web"]
    found = made.object["spec"]
    assert (found["minReadySeconds"], found["progressDeadlineSeconds"], found["revisionHistoryLimit"]) == (3, 300, 7)
    assert made.waits == "rollout" and made.update is not None and made.update.retain == 7


@pytest.mark.parametrize(
    ("period", "least", "passes", "gate"),
    [(1, 1.5, 3, None), (2, 4, 3, None), (2, 1, 1, 1), (10, 0, 1, None)],
    ids=["rounded up", "exactly", "asked too seldom", "not wanted"],
)
def test_nobody_is_sent_to_what_is_not_well_for_long_enough(
    period: int, least: float, passes: int, gate: int | None
) -> None:
    """Where its probe can tell; else the instance is watched while it serves, which is Kubernetes' own way."""
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": period}
    body = served({"readinessProbe": probe}, update={"minHealthyTime": least})
    found = objects(spec({"web": body}))["web"]["spec"]
    assert found["template"]["spec"]["containers"][0]["readinessProbe"]["successThreshold"] == passes
    assert found.get("minReadySeconds") == gate


def test_what_writes_to_a_volume_is_one_and_never_two() -> None:
    made = rendered(spec({"db": workload(VOLUME)}, **DATA))["db"]
    assert made.object["kind"] == "StatefulSet" and made.object["spec"]["replicas"] == 1
    assert made.object["spec"]["podManagementPolicy"] == "Parallel"
    assert made.update is not None and made.update.order == "stop-first"
    assert "volume/data" in made.after


def test_a_volume_with_many_writers_asks_for_nothing_special() -> None:
    made = objects(spec({"db": workload(VOLUME, scale={"replicas": 3})}, **SHARED))
    assert made["db"]["kind"] == "Deployment" and made["volume/data"]["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize(
    ("scale", "path"),
    [
        ({"replicas": 2}, "workloads.db.scale.replicas"),
        ({"max": 3}, "workloads.db.scale.max"),
        ({"mode": "global"}, "workloads.db.scale.mode"),
    ],
)
def test_several_that_share_one_writers_volume_are_refused(scale: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecError) as told:
        rendered(spec({"db": workload(VOLUME, scale=scale)}, **DATA))
    assert told.value.path == path and "mount a new volume with `params: {access: ReadWriteMany}`" in told.value.do


def test_a_stacks_own_scale_counts_and_is_refused_alike() -> None:
    app = spec({"web": workload(), "db": workload(VOLUME)}, **DATA)
    assert rendered(app, replace(TARGET, scale={"web": 4}))["web"].object["spec"]["replicas"] == 4
    assert rendered(app, replace(TARGET, scale={"web": 0}))["web"].object["spec"]["replicas"] == 0
    with pytest.raises(SpecError):
        rendered(app, replace(TARGET, scale={"db": 2}))
    with pytest.raises(ConfigError, match="there is no such workload"):
        rendered(app, replace(TARGET, scale={"wbe": 2}))


def test_global_is_one_on_every_node() -> None:
    made = objects(spec({"agent": served(scale={"mode": "global"}, update={"maxParallel": "50%"})}))
    assert made["agent"]["kind"] == "DaemonSet" and "replicas" not in made["agent"]["spec"]
    rolling = made["agent"]["spec"]["updateStrategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": "50%", "maxUnavailable": 0}
    assert "agent.budget" not in made


def test_an_autoscaler_owns_the_number() -> None:
    scale = {"min": 2, "max": 5, "metrics": [{"cpu": 60}, {"memory": 70}]}
    made = objects(spec({"web": served(scale=scale, update={"maxParallel": "40%"})}))
    assert "replicas" not in made["web"]["spec"]
    assert made["web"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "40%"
    scaler = made["web.scaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"], len(scaler["metrics"])) == (2, 5, 2)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler_of = rendered(spec({"web": served(scale=scale)}))["web.scaler"]
    assert scaler_of.on == "web" and "web" not in scaler_of.after, "a rollout that fails leaves it in charge"


@pytest.mark.parametrize(
    ("change", "scale", "kind"),
    [
        ({"offers": frozenset({"storage"})}, {"max": 3}, CapabilityError),
        ({}, {"min": 2}, SpecError),
        ({"scale": {"web": 2}}, {"max": 3}, ConfigError),
    ],
)
def test_an_autoscaler_that_cannot_be_is_refused(
    change: dict[str, Any], scale: dict[str, Any], kind: type[AnytierError]
) -> None:
    with pytest.raises(kind):
        rendered(spec({"web": workload(scale=scale)}), replace(TARGET, **change))


def test_a_drained_node_takes_one_at_a_time_unless_the_spec_says_more() -> None:
    assert "web.budget" not in objects(spec())
    assert objects(spec({"web": workload(scale={"replicas": 2})}))["web.budget"]["spec"]["maxUnavailable"] == 1
    told = objects(spec({"web": workload(scale={"replicas": 4}, disruption={"minAvailable": "75%"})}))
    assert told["web.budget"]["spec"]["minAvailable"] == "75%"
    with pytest.raises(CapabilityError):
        objects(spec({"web": workload(scale={"mode": "global"}, disruption={"minAvailable": 1})}))


def test_instances_lie_apart_where_they_can_and_where_they_must() -> None:
    def spread(**more: Any) -> Any:
        found = objects(spec({"web": workload(scale={"replicas": 2}, **more)}))["web"]["spec"]["template"]["spec"]
        [constraint] = found["topologySpreadConstraints"]
        return constraint["topologyKey"].rpartition("/")[2], constraint["whenUnsatisfiable"]

    assert spread() == ("hostname", "ScheduleAnyway")
    assert spread(placement={"spread": "host"}) == ("hostname", "DoNotSchedule")
    assert spread(placement={"spread": "zone"}) == ("zone", "DoNotSchedule")


def test_selectors_hold_nothing_that_a_user_may_change() -> None:
    labels = {"labels": {"anytier.dev/workload": "mine", "a": "b"}}
    made = objects(spec({"web": served(metadata=labels)}))
    assert made["web"]["spec"]["selector"]["matchLabels"] == {"anytier.dev/workload": "web"}
    assert made["web.service"]["spec"]["selector"] == {"anytier.dev/workload": "web"}
    assert made["web"]["spec"]["template"]["metadata"]["labels"]["anytier.dev/workload"] == "web"
    assert made["web"]["metadata"]["labels"]["a"] == "b"


def test_each_has_an_account_that_may_nothing() -> None:
    made = objects(spec())
    assert made["web.account"]["automountServiceAccountToken"] is False
    assert made["web"]["spec"]["template"]["spec"]["serviceAccountName"] == "web"
