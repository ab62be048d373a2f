"""Tier kubeadm measures what its pods use where it is asked to, and an autoscaler goes by that."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH
from tests.e2e.test_kubeadm import eventually
from tests.provider.kubeadm.box import KubeBox, kube_boxes
from tests.provider.kubeadm.stack import KubeStack, bundle_with
from tests.standins.cluster import Kubectl

from benchmarks.programs import KUBECTL, ensure

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it"),
]

CONFORMANCE = Path(__file__).resolve().parents[2] / "apps" / "conformance"
MOST = 3
# What one may use is held, so that the machine which tests has something left, and is twice what is wanted of it.
WEB: dict[str, Any] = {
    "containers": {
        "web": {
            "build": {"context": "."},
            "args": ["python3", "app.py", "serve"],
            "user": "10001",
            "variables": {"CONF_VERSION": "v1"},
            "readinessProbe": {
                "httpGet": {"path": "/health/ready", "port": 8080},
                "timeoutSeconds": 10,
                "failureThreshold": 6,
            },
            "resources": {
                "requests": {"cpu": "200m", "memory": "32Mi"},
                "limits": {"cpu": "400m", "memory": "128Mi"},
            },
        }
    },
    "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
    "scale": {"min": 1, "max": MOST, "metrics": [{"cpu": 50}]},
}
APP = {
    "apiVersion": "anytier.dev/v1",
    "kind": "App",
    "metadata": {"name": "scaled"},
    "workloads": {"web": WEB},
    "routes": [{"path": "/", "workload": "web", "port": "http"}],
}


class Load:
    """Requests that compute for some seconds each, one after the other, until it is told to end or all are spent."""

    def __init__(self, stack: KubeStack, seconds: int = 5, most: int = 100) -> None:
        self.stack, self.seconds, self.most = stack, seconds, most
        self.asked = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _ask(self) -> None:
        while self.asked < self.most and not self._over.is_set():
            self.asked += 1
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(self.stack.address, self.stack.port, timeout=45)
                with contextlib.closing(connection):
                    connection.request("POST", f"/burn?seconds={self.seconds}", headers={"Connection": "close"})
                    connection.getresponse().read()


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[KubeBox]]:
    with kube_boxes(tmp_path, 2) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The conformance app's own, with another spec."""
    shutil.copytree(CONFORMANCE, tmp_path / "app")
    (tmp_path / "app" / "app.yaml").write_text(json.dumps(APP))
    return tmp_path / "app"


@pytest.fixture
def stack(boxes: list[KubeBox], folder: Path, pulumi_env: dict[str, str]) -> Iterator[KubeStack]:
    software = bundle_with("metrics-server")
    made = KubeStack(boxes, pulumi_env, str(folder / "app.yaml"), software, metrics=True)
    yield made
    made.close()


@pytest.fixture
def kubectl(stack: KubeStack, tmp_path: Path) -> Kubectl:
    """Once the stack is up."""
    stack.up()
    (tmp_path / "admin").write_text(stack.pulumi("stack", "output", "kubeconfig", "--show-secrets"))
    return Kubectl(ensure(KUBECTL), tmp_path / "admin")


def available(kubectl: Kubectl) -> bool:
    """Whether the API server has found who answers for what is measured."""
    found = json.loads(kubectl("get", "apiservice", "v1beta1.metrics.k8s.io"))
    said = {item["type"]: item["status"] for item in found.get("status", {}).get("conditions", [])}
    return said.get("Available") == "True"


def figures(kubectl: Kubectl, *what: str) -> list[list[str]]:
    """What `kubectl top` prints, by lines and words; nothing where there are no figures yet."""
    try:
        return [line.split() for line in kubectl("top", *what, "--no-headers").splitlines()]
    except AssertionError as error:
        assert "not available" in str(error) or "not found" in str(error), error
        return []


def scaler(kubectl: Kubectl) -> dict[str, Any]:
    (found,) = json.loads(kubectl("get", "horizontalpodautoscalers", "--all-namespaces"))["items"]
    return dict(found)


def use(kubectl: Kubectl) -> int | None:
    """Percent of what is asked for, by the autoscaler itself; None before it has read a figure."""
    for item in scaler(kubectl).get("status", {}).get("currentMetrics") or []:
        if item["type"] == "Resource" and item["resource"]["name"] == "cpu":
            found: int | None = item["resource"]["current"].get("averageUtilization")
            return found
    return None


def wanted(kubectl: Kubectl) -> int:
    """How many the Deployment is to have."""
    namespace = scaler(kubectl)["metadata"]["namespace"]
    return int(json.loads(kubectl("-n", namespace, "get", "deployment", "web"))["spec"]["replicas"])


def test_an_app_grows_with_what_it_uses_and_no_run_sets_it_back(
    stack: KubeStack, kubectl: Kubectl, folder: Path
) -> None:
    eventually(lambda: available(kubectl), 180)
    nodes = {node["name"] for node in stack.status()["nodes"]}
    eventually(lambda: {line[0] for line in figures(kubectl, "nodes")} == nodes, 180)
    eventually(lambda: any(line[1].startswith("web-") for line in figures(kubectl, "pods", "-A")), 180)
    eventually(lambda: use(kubectl) is not None, 180)
    print(kubectl("top", "nodes"), kubectl("top", "pods", "-A"), use(kubectl), "percent")
    assert wanted(kubectl) == 1

    with Load(stack) as load:
        eventually(lambda: wanted(kubectl) == MOST, 300)
    print(load.asked, "requests", use(kubectl), "percent", kubectl("top", "pods", "-A"))
    assert load.asked < load.most, "it computed for longer than it should have needed to"
    assert scaler(kubectl)["status"]["desiredReplicas"] == MOST
    eventually(lambda: ready(stack) == {"wanted": MOST, "ready": MOST}, 180)

    stack.up("--expect-no-changes")
    stack.pulumi("preview", "--refresh", "--expect-no-changes")
    stack.up("--expect-no-changes", "--refresh")
    assert wanted(kubectl) == MOST
    # a new revision has as many; they go only minutes after the load
    other = {**WEB["containers"]["web"], "variables": {"CONF_VERSION": "v2"}}
    workloads = {"web": {**WEB, "containers": {"web": other}}}
    (folder / "app.yaml").write_text(json.dumps({**APP, "workloads": workloads}))
    stack.up()
    assert wanted(kubectl) == MOST and stack.serves('"v2"')
    stack.pulumi("destroy", "--yes", "--skip-preview")


def ready(stack: KubeStack) -> Any:
    """As `anytier status` tells it, whose exit code says whether they are the same."""
    command = (sys.executable, "-m", "anytier", "status", "--stack", stack.name, "--json")
    (found,) = json.loads(stack.run(*command, codes=(0, 1)))
    return found["replicas"]
