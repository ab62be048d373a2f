"""What an app's NetworkPolicies say is held on tier kubeadm where the stack asks for kube-router."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.suite import AT_LENGTH
from tests.e2e.test_kubeadm import APP, eventually
from tests.provider.kubeadm.box import KubeBox, kube_boxes
from tests.provider.kubeadm.stack import ROOT, Asking, KubeStack, bundle_with, leftovers
from tests.standins.cluster import Kubectl

from benchmarks.programs import KUBECTL, ensure

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it"),
]

STRANGER = "anytier-test-stranger"
# Connects, if that can be done at once, and says what came of it.
CALL = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=4).close()
    print("answered")
except OSError as error:
    print("closed", error)
"""


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[KubeBox]]:
    with kube_boxes(tmp_path, 2) as made:
        yield made


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The guestbook where it may be changed."""
    return Path(shutil.copytree(ROOT / Path(APP).parent, tmp_path / "app")) / Path(APP).name


@pytest.fixture
def stack(boxes: list[KubeBox], pulumi_env: dict[str, str], app: Path) -> Iterator[KubeStack]:
    made = KubeStack(boxes, pulumi_env, str(app), bundle_with("kube-router"), networkPolicy="kube-router")
    yield made
    made.close()


@pytest.fixture
def kubectl(stack: KubeStack, tmp_path: Path) -> Kubectl:
    """Of a cluster with the app on it."""
    stack.up()
    file = tmp_path / "kubeconfig"
    file.write_text(stack.pulumi("stack", "output", "kubeconfig", "--show-secrets"))
    return Kubectl(ensure(KUBECTL), file)


class Cluster:
    """Who reaches whom there. `home` is the app's namespace."""

    def __init__(self, kubectl: Kubectl) -> None:
        self.kubectl = kubectl
        (self.web, *_) = [item for item in self.pods() if "-web-" in f"-{item['metadata']['name']}"]
        self.home = self.web["metadata"]["namespace"]

    def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", "pods", "--all-namespaces"))["items"]
        return found

    def address(self, name: str) -> tuple[str, int]:
        """Of a Service of the app whose name ends in that."""
        items = json.loads(self.kubectl("get", "services", "-n", self.home))["items"]
        (found,) = [item for item in items if item["metadata"]["name"].endswith(name)]
        return found["spec"]["clusterIP"], found["spec"]["ports"][0]["port"]

    def start(self, namespace: str, node: str) -> None:
        """A pod with nothing to do, of the app's own image, which is on every machine."""
        own = self.web["spec"]["containers"][0]
        container = {
            "name": "idle",
            "image": own["image"],
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-c", "import time; time.sleep(3600)"],
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        spec = {
            "nodeName": node,
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
        }
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": STRANGER, "namespace": namespace}, "spec": spec}
        self.kubectl("apply", "-f", "-", given=pod)
        self.kubectl("wait", "-n", namespace, "--for=condition=Ready", "--timeout=60s", f"pod/{STRANGER}")

    def call(self, namespace: str, pod: str, to: tuple[str, int]) -> str:
        host, port = to
        return self.kubectl("exec", "-n", namespace, pod, "--", "python3", "-c", CALL, host, str(port)).strip()


def instances_get_names(stack: KubeStack, kubectl: Kubectl, app: Path) -> None:
    """A Deployment becomes a StatefulSet, and is changed as one, while it is asked all the time."""
    spec = yaml.safe_load(app.read_text())
    spec["overrides"] = {"kubeadm": {"workloads": {"web": {"controller": "StatefulSet"}}}}
    with Asking(stack) as asking:
        for note in ("first", "second"):
            spec["overrides"]["kubeadm"]["workloads"]["web"]["metadata"] = {"annotations": {"note": note}}
            app.write_text(yaml.safe_dump(spec))
            stack.up()
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    print(f"{asking.asked} requests were answered while web became a StatefulSet and was changed")
    cluster = Cluster(kubectl)
    mine = [pod["metadata"]["name"] for pod in cluster.pods() if pod["metadata"]["namespace"] == cluster.home]
    assert sorted(name for name in mine if name.startswith("web-")) == ["web-0", "web-1"]
    other: tuple[str, int] = ("web-1.web-instances", cluster.web["spec"]["containers"][0]["ports"][0]["containerPort"])
    assert cluster.call(cluster.home, "web-0", other) == "answered"
    cluster.start(cluster.home, "a")
    eventually(lambda: cluster.call(cluster.home, STRANGER, other).startswith("closed"))
    kubectl("delete", "pod", "-n", cluster.home, STRANGER)
    stack.up("--expect-no-changes")


def test_only_those_that_an_app_lets_in_come_in(
    stack: KubeStack, boxes: list[KubeBox], kubectl: Kubectl, app: Path
) -> None:
    """The guestbook's store is its own; its router is everybody's. From both machines, whichever has the store."""
    assert stack.serves("Guestbook", within=10)
    assert stack.post(name="Ada", message="from outside") == 303
    assert stack.serves("from outside")
    stack.up("--expect-no-changes")
    cluster = Cluster(kubectl)
    store, router = cluster.address("store"), cluster.address("router")
    kubectl("create", "namespace", STRANGER)
    for node in ("a", "b"):
        for namespace in (STRANGER, cluster.home):
            cluster.start(namespace, node)
            eventually(lambda space=namespace: cluster.call(space, STRANGER, store).startswith("closed"))
            assert cluster.call(namespace, STRANGER, router) == "answered", (node, namespace)
            kubectl("delete", "pod", "-n", namespace, STRANGER)
    assert cluster.call(cluster.home, cluster.web["metadata"]["name"], store) == "answered"

    # What was said is held without those who said it, and they come back.
    cluster.start(STRANGER, "a")
    eventually(lambda: cluster.call(STRANGER, STRANGER, store).startswith("closed"))
    with Asking(stack) as asking:
        for box in boxes:
            box.ssh("pkill -9 -x kube-router")
            assert cluster.call(STRANGER, STRANGER, store).startswith("closed")
    assert not asking.lost, f"{len(asking.lost)} of {asking.asked}: {asking.lost[:5]}"
    kubectl("delete", "namespace", STRANGER)
    stack.up("--expect-no-changes", "--refresh")

    instances_get_names(stack, kubectl, app)

    stack.pulumi("destroy", "--yes", "--skip-preview")
    assert not [left for box in boxes for left in leftovers(box)]
    for box in boxes:
        assert not [line for line in box.ssh("iptables-save").splitlines() if "KUBE-" in line]
