"""What `anytier status` tells of pods; which workloads of a state are on a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.provider.kubernetes.objects import container, ended, pod, replica_set, waiting

from anytier.cli import day2, stack
from anytier.errors import Rejected, Unreachable
from anytier.provider.kubernetes.day2 import begun, numbers, rows
from anytier.provider.kubernetes.kinds import NUMBER
from anytier.provider.kubernetes.terminal import exit_code
from anytier.report.status import complete

MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def holder(name: str, order: int, hash: str, number: int) -> dict[str, Any]:
    made = replica_set(name, order, hash, **{NUMBER: str(number)})
    made["metadata"]["labels"] = {"anytier.dev/workload": "web"}
    return made


def test_pods_are_rows_with_the_number_of_their_template() -> None:
    probed = {"containers": [{"name": "web", "readinessProbe": {"exec": {}}}], "nodeName": "a"}
    pods = [pod("web-1", "new", spec=probed), pod("web-2", "old", spec=probed), pod("web-3", "new", going=True)]
    old, new = rows(pods, [holder("web-a", 9, "old", 1), holder("web-b", 8, "new", 2)])
    assert (old.id, old.revision, new.id, new.revision) == ("web-2", 1, "web-1", 2)
    assert (new.state, new.health, new.machine, new.workload) == ("running", "healthy", "a", "web")


@pytest.mark.parametrize(
    ("found", "state", "health"),
    [
        (pod(), "running", "none"),
        (pod(ready=False), "running", "unhealthy"),
        (
            pod("a", "x", container(state=waiting("CrashLoopBackOff"), lastState=ended(1)), ready=False),
            "waiting",
            "unhealthy",
        ),
        (pod(ready=False, phase="Failed"), "exited", "unhealthy"),
    ],
)
def test_a_pod_is_running_waiting_or_exited(found: dict[str, Any], state: str, health: str) -> None:
    (row,) = rows([found], [])
    assert (row.state, row.health) == (state, health)


def test_only_what_has_begun_has_a_log() -> None:
    assert begun(container()) and begun(container(state=waiting("CrashLoopBackOff"), lastState=ended(1)))
    assert not begun(container(state=waiting("ContainerCreating")))


def test_a_commands_exit_code_is_its_own() -> None:
    assert exit_code(b'{"status":"Success"}', "p") == 0
    failed = {"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}
    assert exit_code(json.dumps(failed).encode(), "p") == 3
    with pytest.raises(Rejected, match="no such file"):
        exit_code(b'{"status":"Failure","message":"exec: no such file"}', "p")
    with pytest.raises(Unreachable):
        exit_code(b"", "p")


def state(opened: bool) -> dict[str, Any]:
    secret = MARK | ({"plaintext": json.dumps("the config")} if opened else {"ciphertext": "v1:x"})
    inputs = {"kubeconfig": secret, "ns": "n", "name": "web", "kind": "Deployment", "hash": "h"}
    outputs = {"revision": 2, "replicas": 3, "history": [{"revision": 1, "served": True}, {"revision": 2}]}
    kind = "anytier:kubernetes:Rollout"
    items = [
        {"type": kind, "urn": f"urn:pulumi:d::p::{kind}::{name}", "inputs": inputs, "outputs": outputs}
        for name in ("web", "router/proxy")
    ]
    return {"resources": items}


def test_a_workload_on_a_cluster_is_its_rollout_and_the_router_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "stack_state", lambda name, secrets=False: state(secrets))
    (web,) = day2.deployed("dev")
    assert (web.name, web.kind, web.revision, web.inputs["kubeconfig"]) == ("web", "kubernetes", 2, "the config")
    assert not complete([web], rows([pod()], [holder("web-a", 1, "new", 2)]))  # the autoscaler wanted three


def test_what_an_autoscaler_has_decided_since_the_last_run_is_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "stack_state", lambda name, secrets=False: state(secrets))
    live = {"metadata": {"labels": {"anytier.dev/workload": "web"}}, "spec": {"replicas": 1}}
    assert numbers("Deployment", [live]) == {"web": 1}
    on_nodes = {**live, "status": {"desiredNumberScheduled": 4}}
    assert numbers("DaemonSet", [on_nodes]) == {"web": 4}
    (web,) = day2.deployed("dev")
    (now,) = day2.at_this_moment([web], numbers("Deployment", [live]))
    assert complete([now], rows([pod()], [holder("web-a", 1, "new", 2)]))
    assert day2.at_this_moment([web], {}) == [web], "it is gone: what was reached is all that is known"


def test_a_number_of_the_specs_own_is_wanted_whoever_has_changed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    said = state(True)
    for item in said["resources"]:
        item["inputs"]["replicas"] = 3
    monkeypatch.setattr(stack, "stack_state", lambda name, secrets=False: said)
    (web,) = day2.deployed("dev")
    assert day2.at_this_moment([web], {"web": 5}) == [web]
