"""Which controller keeps a workload running, how it changes, how many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.render.kubernetes.samples import TARGET, objects, rendered, served, spec, workload

from anytier.errors import AnytierError, CapabilityError, ConfigError, SpecError

VOLUME = {"volumes": {"/data": {"source": "data"}}}
DATA: dict[str, Any] = {"resources": {"data": {"type": "volume"}}}
SHARED: dict[str, Any] = {"resources": {"data": {"type": "volume", "params": {"access": "ReadWriteMany"}}}}
ASKED: dict[str, Any] = {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}}}


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


def test_a_deployment_with_one_writers_volume_waits_until_the_last_writer_has_ended() -> None:
    """With `maxSurge: 0` it would only wait until the old pod is told to stop."""
    made = rendered(spec({"db": workload(VOLUME, controller="Deployment")}, **DATA))
    assert made["db"].object["kind"] == "Deployment" and made["db"].object["spec"]["strategy"] == {"type": "Recreate"}
    assert made["volume/data"].writers == {"db": "Deployment"}


def test_instances_that_are_asked_for_by_name_have_names_and_may_call_one_another() -> None:
    made = objects(spec({"store": served(scale={"replicas": 3}, controller="StatefulSet")}))
    store, names = made["store"], made["store.instances"]
    assert store["kind"] == "StatefulSet" and store["spec"]["replicas"] == 3
    assert store["spec"]["serviceName"] == names["metadata"]["name"] == "store-instances"
    assert names["spec"]["clusterIP"] == "None" and names["spec"]["publishNotReadyAddresses"] is True
    assert names["spec"]["selector"] == store["spec"]["selector"]["matchLabels"]
    itself = {"podSelector": {"matchLabels": names["spec"]["selector"]}}
    rule = made["store.policy"]["spec"]
    assert [each["from"] for each in rule["ingress"]] == [[itself]] and [each["to"] for each in rule["egress"]] == [
        [itself]
    ]


def test_one_that_its_volume_makes_a_statefulset_stays_what_it_is_when_the_spec_says_so() -> None:
    """`serviceName` cannot change: the object would be made anew."""
    bare, said = (
        objects(spec({"db": workload(VOLUME, **more)}, **DATA)) for more in ({}, {"controller": "StatefulSet"})
    )
    assert bare == said and "db.instances" not in said


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"scale": {"mode": "global"}}, "workloads.store.controller"),
        ({"scale": {"replicas": 2}, "update": {"strategy": "recreate"}}, "workloads.store.update.strategy"),
        ({"scale": {"replicas": 4}, "update": {"maxParallel": "50%"}}, "workloads.store.update.maxParallel"),
        ({"scale": {"max": 4}, "update": {"maxParallel": 2}}, "workloads.store.update.maxParallel"),
    ],
)
def test_what_a_statefulset_cannot_do_is_refused(more: dict[str, Any], path: str) -> None:
    with pytest.raises(AnytierError) as told:
        rendered(spec({"store": served(controller="StatefulSet", **more)}))
    assert told.value.path == path and "leave it out" in told.value.do


def test_a_volume_of_one_writer_knows_who_writes_but_not_of_those_who_are_at_rest() -> None:
    app = spec({"db": workload(VOLUME), "web": workload()}, **DATA)
    assert rendered(app)["volume/data"].writers == {"db": "StatefulSet"}
    assert rendered(app, replace(TARGET, scale={"db": 0}))["volume/data"].writers == {}
    many = spec({"db": workload(VOLUME)}, **SHARED)
    assert rendered(many)["volume/data"].writers == {}


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
    made = objects(spec({"web": served(ASKED, scale=scale, update={"maxParallel": "40%"})}))
    assert "replicas" not in made["web"]["spec"]
    assert made["web"]["spec"]["strategy"]["rollingUpdate"]["maxSurge"] == "40%"
    scaler = made["web.scaler"]["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"], len(scaler["metrics"])) == (2, 5, 2)
    assert scaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler_of = rendered(spec({"web": served(ASKED, scale=scale)}))["web.scaler"]
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
        rendered(spec({"web": workload(ASKED, scale=scale)}), replace(TARGET, **change))


LIMITED = {"resources": {"limits": {"cpu": 1, "memory": "64Mi"}}}


def test_a_share_of_a_memory_limit_is_one_of_what_is_set_aside() -> None:
    made = objects(spec({"web": workload(LIMITED, scale={"max": 3, "metrics": [{"memory": 70}]})}))
    assert made["web.scaler"]["spec"]["metrics"][0]["resource"]["name"] == "memory"


@pytest.mark.parametrize("main", [{}, LIMITED], ids=["nothing", "a limit"])
@pytest.mark.parametrize("metrics", [[], [{"memory": 70}, {"cpu": 70}]], ids=["by default", "as said"])
def test_a_share_of_cpu_that_nobody_asks_for_is_refused(main: dict[str, Any], metrics: list[dict[str, int]]) -> None:
    """What is set aside where the spec says nothing is so little that any load is more than a share of it."""
    asked = {"resources": {**main.get("resources", {}), "requests": {"memory": "32Mi"}}}
    with pytest.raises(SpecError, match="has no cpu") as told:
        rendered(spec({"web": workload(asked, scale={"max": 3, "metrics": metrics})}))
    assert told.value.path == "workloads.web.containers.main.resources.requests" and "cpu: 250m" in told.value.do


def test_a_share_of_memory_that_nobody_asks_for_is_refused() -> None:
    with pytest.raises(SpecError, match="has no memory"):
        rendered(spec({"web": workload(scale={"max": 3, "metrics": [{"memory": 70}]})}))


def test_each_container_that_goes_on_running_asks_for_what_is_scaled_by() -> None:
    def beside(ready: str) -> Any:
        both = {"main": {"image": "x", **ASKED}, "other": {"image": "x", "before": {"main": {"ready": ready}}}}
        return rendered(spec({"web": {"containers": both, "scale": {"max": 3}}}))

    assert "web.scaler" in beside("complete"), "it has ended when anything is measured"
    with pytest.raises(SpecError) as told:
        beside("started")
    assert told.value.path == "workloads.web.containers.other.resources.requests"


@given(st.integers(0, 9), st.none() | st.integers(0, 9), st.none() | st.integers(0, 9))
def test_there_is_a_budget_where_an_autoscaler_leaves_more_than_one(
    replicas: int, least: int | None, most: int | None
) -> None:
    scale = {"replicas": replicas, "min": least, "max": most}
    try:
        made = objects(spec({"web": workload(ASKED, scale=scale)}))
    except SpecError:
        assert most is None and least is not None
        return
    there = made["web.scaler"]["spec"]["minReplicas"] if most is not None else replicas
    assert ("web.budget" in made) == (there > 1)


def test_a_drained_node_takes_one_at_a_time_unless_the_spec_says_more() -> None:
    assert "web.budget" not in objects(spec())
    assert objects(spec({"web": workload(scale={"replicas": 2})}))["web.budget"]["spec"]["maxUnavailable"] == 1
    scaled = objects(spec({"web": workload(ASKED, scale={"replicas": 3, "max": 6})}))
    assert scaled["web.scaler"]["spec"]["minReplicas"] == 3
    assert scaled["web.budget"]["spec"]["maxUnavailable"] == 1
    told = objects(spec({"web": workload(scale={"replicas": 4}, disruption={"minAvailable": "75%"})}))
    assert told["web.budget"]["spec"]["minAvailable"] == "75%"
    with pytest.raises(CapabilityError):
        objects(spec({"web": workload(scale={"mode": "global"}, disruption={"minAvailable": 1})}))


@pytest.mark.parametrize(
    ("scale", "kept", "fits"),
    [
        ({"replicas": 3}, 2, True),
        ({"replicas": 3}, 3, False),
        ({"replicas": 1}, 1, False),
        ({"min": 2, "max": 10}, 1, True),
        ({"min": 2, "max": 10}, 5, False),
        ({"replicas": 3, "max": 10}, 2, True),
        ({"replicas": 4}, "75%", True),
        ({"replicas": 3}, "75%", False),  # rounded up, as Kubernetes does
        ({"replicas": 100}, "100%", False),
        ({"replicas": 0}, 1, True),  # none is there that could be in the way
    ],
)
def test_a_budget_that_lets_no_drain_end_is_refused(scale: dict[str, Any], kept: int | str, fits: bool) -> None:
    app = spec({"web": workload(ASKED, scale=scale, disruption={"minAvailable": kept})})
    if fits:
        assert objects(app)["web.budget"]["spec"]["minAvailable"] == kept
        return
    with pytest.raises(SpecError, match="a drain of its machine never ends") as told:
        objects(app)
    assert told.value.path == "workloads.web.disruption.minAvailable"


def test_a_budget_is_held_against_the_stacks_own_scale() -> None:
    app = spec({"web": workload(scale={"replicas": 2}, disruption={"minAvailable": 2})})
    assert "web.budget" in objects(app, replace(TARGET, scale={"web": 3}))
    assert "web.budget" in objects(app, replace(TARGET, scale={"web": 0}))
    with pytest.raises(SpecError):
        objects(app, replace(TARGET, scale={"web": 2}))


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
