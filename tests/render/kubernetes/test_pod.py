"""An instance as a pod: variables, order of containers, who it is, how long it has."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from tests.render.kubernetes.samples import container, objects, pod, served, spec, workload
from tests.spec.strategies import raw_texts

from anytier.errors import CapabilityError, SpecError
from anytier.render.kubernetes.pod import unexpanded


def expanded(text: str) -> str:
    """As the kubelet does it, without any variable: third_party/forked/golang/expansion."""
    out, at = "", 0
    while at < len(text):
        if text[at] == "$" and at + 1 < len(text):
            after = text[at + 1]
            if after == "$":
                out, at = out + "$", at + 2
                continue
            if after == "(":
                end = text.find(")", at)
                out, at = (out + "gone", end + 1) if end >= 0 else (out + "$(", at + 2)
                continue
            out, at = out + "$" + after, at + 2
            continue
        out, at = out + text[at], at + 1
    return out


@given(raw_texts)
def test_kubernetes_expands_nothing_of_the_apps_own(text: str) -> None:
    assert expanded(unexpanded(text)) == text


@pytest.mark.parametrize("text", ["$(X)", "$$(X)", "$$$", "$", "a$b", "$$$(", "$x$$(Y)$"])
def test_dollars(text: str) -> None:
    assert expanded(unexpanded(text)) == text


def test_init_containers_and_sidecars_come_in_their_order() -> None:
    containers = {
        "main": {"image": "x"},
        "late": {"image": "x", "before": {"main": {"ready": "complete"}}},
        "side": {
            "image": "x",
            "readinessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 5},
            "before": {"late": {"ready": "healthy"}},
        },
    }
    made = pod(objects(spec({"web": {"containers": containers}}))["web"])
    side, late = made["initContainers"]
    assert (side["name"], side["restartPolicy"]) == ("side", "Always") and "restartPolicy" not in late
    assert side["startupProbe"]["failureThreshold"] == 12, "it has healthyDeadline to become healthy"
    assert [item["name"] for item in made["containers"]] == ["main"]


def test_a_sidecar_that_need_only_be_started_is_not_waited_for() -> None:
    probe = {"tcpSocket": {"port": 1}}
    side = {"image": "x", "readinessProbe": probe, "before": {"main": {"ready": "started"}}}
    made = pod(objects(spec({"web": {"containers": {"side": side, "main": {"image": "x"}}}}))["web"])
    assert "startupProbe" not in made["initContainers"][0]


def test_an_init_container_is_not_probed() -> None:
    first = {"image": "x", "livenessProbe": {"tcpSocket": {"port": 1}}, "before": {"main": {"ready": "complete"}}}
    with pytest.raises(CapabilityError, match=r"workloads\.web\.containers\.first\.livenessProbe"):
        objects(spec({"web": {"containers": {"first": first, "main": {"image": "x"}}}}))


def test_nobody_is_root_unless_the_spec_says_so() -> None:
    made = objects(spec({"web": workload()}))
    security = container(made["web"])["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
    }
    assert pod(made["web"])["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(made["web"])["automountServiceAccountToken"] is False
    assert made["app/namespace"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("main", "level"),
    [
        ({"user": "0"}, "baseline"),
        ({"user": "root:root"}, "baseline"),
        ({"securityContext": {"capAdd": ["CHOWN"]}}, "baseline"),
        ({"securityContext": {"capAdd": ["NET_BIND_SERVICE"]}}, "restricted"),
        ({"user": "1000:2000"}, "restricted"),
    ],
)
def test_the_namespace_is_as_strict_as_the_spec_lets_it(main: dict[str, Any], level: str) -> None:
    labels = objects(spec({"web": workload(main)}))["app/namespace"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == level
    assert labels["pod-security.kubernetes.io/enforce-version"] == "v1.34"


def test_a_user_is_a_number() -> None:
    made = container(objects(spec({"web": workload({"user": "1000:2000"})}))["web"])["securityContext"]
    assert (made["runAsUser"], made["runAsGroup"]) == (1000, 2000)
    with pytest.raises(CapabilityError, match="numbers only"):
        objects(spec({"web": workload({"user": "app"})}))


def test_nothing_here_is_privileged() -> None:
    with pytest.raises(CapabilityError, match="more than PodSecurity baseline allows"):
        objects(spec({"web": workload({"securityContext": {"capAdd": ["SYS_ADMIN"]}})}))


def test_a_low_port_needs_no_root() -> None:
    ports = {"http": {"port": 80}}
    made = pod(objects(spec({"web": workload(service={"ports": ports})}))["web"])
    assert made["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]


def test_an_instance_serves_on_while_it_goes() -> None:
    made = objects(spec({"web": served({"stopGracePeriod": 7}, update={"drainTimeout": 12})}))["web"]
    assert container(made)["lifecycle"] == {"preStop": {"sleep": {"seconds": 12}}}
    assert pod(made)["terminationGracePeriodSeconds"] == 19


def test_an_own_hook_before_the_stop_wins() -> None:
    hook = {"preStop": {"exec": {"command": ["drain"]}}}
    made = objects(spec({"web": served({"lifecycle": hook})}))["web"]
    assert container(made)["lifecycle"] == {"preStop": {"exec": {"command": ["drain"]}}}
    assert pod(made)["terminationGracePeriodSeconds"] == 20, "its time is not taken from the app's"


def test_what_serves_nobody_goes_at_once() -> None:
    made = objects(spec({"web": workload()}))["web"]
    assert "lifecycle" not in container(made) and pod(made)["terminationGracePeriodSeconds"] == 10


def test_something_is_set_aside_for_each() -> None:
    def amounts(given: dict[str, Any]) -> Any:
        return container(objects(spec({"web": workload({"resources": given})}))["web"])["resources"]

    assert amounts({}) == {"requests": {"cpu": "10m", "memory": "32Mi"}}
    limited = amounts({"limits": {"cpu": 2, "memory": "1Gi"}})
    assert limited == {"requests": {"cpu": "10m", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    assert amounts({"requests": {"memory": "1000B", "cpu": "1500m"}})["requests"] == {"cpu": "1500m", "memory": "1000"}
    assert amounts({"requests": {"gpu": 2}})["limits"] == {"nvidia.com/gpu": "2"}


def test_a_headers_name_and_a_mounts_path_are_as_kubernetes_has_them() -> None:
    header = {"httpGet": {"port": 1, "httpHeaders": [{"name": "X_A", "value": "b"}]}}
    with pytest.raises(CapabilityError, match="no header that Kubernetes sends"):
        objects(spec({"web": workload({"readinessProbe": header})}))
    with pytest.raises(CapabilityError, match="colon"):
        objects(spec({"web": workload({"files": {"/a:b": {"content": "x"}}})}))


def test_nodes_are_chosen_by_name_and_label() -> None:
    made = pod(objects(spec({"web": workload(placement={"hosts": ["a.b"], "labels": {"disk": "ssd"}})}))["web"])
    assert made["nodeSelector"] == {"disk": "ssd"} and re.search("'a.b'", str(made["affinity"]))
    with pytest.raises(SpecError, match="no name that a node can have"):
        objects(spec({"web": workload(placement={"hosts": ["a b"]})}))


def test_an_image_that_is_built_is_a_token_until_it_has_a_name() -> None:
    made = objects(spec({"web": {"containers": {"main": {"build": {"context": "."}}}}}))["web"]
    assert container(made)["image"] == "local/web/main:1"
    assert container(made)["imagePullPolicy"] == "IfNotPresent"


def test_what_has_no_containers_is_refused() -> None:
    with pytest.raises(CapabilityError, match=r"workloads\.web\.containers: is empty"):
        objects(spec({"web": {"host": {"command": ["x"]}}}))
