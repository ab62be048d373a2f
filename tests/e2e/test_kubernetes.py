"""An app on a cluster by the real engine: it comes up, changes, is taken back, is looked at, and goes.

The cluster is Kubernetes' own control plane without a node (tests/provider/kubernetes/controlplane.py).
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
import time
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.provider.kubernetes.controlplane import TOKEN, control_plane, kubelet, programs
from tests.render.test_yamltext import TELLING

from anytier.provider.kubernetes.client import Api
from anytier.render.yamltext import dumped

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(programs() is None, reason="no kube-apiserver: ANYTIER_KUBERNETES_BIN names their folder"),
]
ROOT = Path(__file__).resolve().parents[2]
NS = "anytier-test-shop"
FATES = {
    "x:1": "good", "x:2": "good", "store:1": "good", "crash:1": "crash", "job:1": "done", "caddy:2.11.2": "good"
}  # fmt: skip
AS_DEPLOYMENT = {"kubeadm": {"workloads": {"store": {"controller": "Deployment"}}}}
PROGRAM = """
import json, os, pulumi
from pathlib import Path
from anytier.app import App
from anytier.names import ROLLBACK_ENV
from anytier.program import end_quietly_when_interrupted
from anytier.tiers.places import Cluster

end_quietly_when_interrupted()
place = Cluster(
    kubeconfig=Path("kubeconfig").read_text(), version="1.34", port=8080, tls_port=8443, address="shop.example.org",
    addresses=("10.0.0.1",), offers=frozenset({"storage"}), storage_class="none",
)
made = App("shop", spec="app.yaml", place=place, ns="NS", owner="tests",
    scale=json.loads(Path("scale").read_text()),
    rollback=json.loads(os.environ.get(ROLLBACK_ENV) or "{}"), secret_config=lambda key: Path("secret").read_text())
for name, value in made.exports.items():
    pulumi.export(name, value)
"""


def app(image: str, **more: Any) -> dict[str, Any]:
    web = {
        "containers": {"web": {"image": image, "secrets": {"TOKEN": "token"}, "user": "1000"}},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "scale": {"replicas": 2},
        "update": {"healthyDeadline": "3s", "progressDeadline": "30s"},
        "dependsOn": {"store": {"condition": "healthy"}},
    }
    store = {
        "containers": {
            "store": {"image": "store:1", "user": "1000", "volumes": {"/data": {"source": "${resources.data}"}}}
        },
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
    }
    job = {"containers": {"job": {"image": "job:1", "user": "1000"}}, "trigger": "preDeploy"}
    return {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "shop"},
        "workloads": {"web": web, "store": store},
        "jobs": {"migrate": job},
        "resources": {"data": {"type": "volume"}},
        "secrets": {"token": {"from": "config", "key": "token"}},
        "routes": [{"path": "/", "workload": "web", "port": "http"}],
        **more,
    }


class Stack:
    """A project of its own, with anytier's plugin."""

    def __init__(self, folder: Path, kubeconfig: str, env: dict[str, str]) -> None:
        self.folder = folder
        self.env = {**env, "PYTHONPATH": str(ROOT / "components")}
        plugins = f"plugins:\n  providers:\n    - {{name: anytier, path: {ROOT / 'bin'}}}\n"
        (folder / "Pulumi.yaml").write_text(f"name: shop\nruntime: python\n{plugins}")
        (folder / "Pulumi.test.yaml").write_text("config: {}\n")
        (folder / "__main__.py").write_text(PROGRAM.replace("NS", NS))
        (folder / "kubeconfig").write_text(kubeconfig)
        (folder / "secret").write_text("hunter2")
        (folder / "scale").write_text("{}")
        self.run("pulumi", "stack", "init", "test")

    def run(self, *command: str, code: int = 0) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def pulumi(self, *argv: str, code: int = 0) -> str:
        return self.run("pulumi", *argv, "--stack", "test", "--non-interactive", code=code)

    def up(self, image: str, *argv: str, code: int = 0, **more: Any) -> str:
        (self.folder / "app.yaml").write_text(yaml.safe_dump(app(image, **more)))
        return self.pulumi("up", "--yes", "--skip-preview", *argv, code=code)

    def anytier(self, *argv: str, code: int = 0) -> str:
        return self.run(sys.executable, "-m", "anytier", *argv, code=code)


def test_an_app_on_a_cluster_from_its_first_release_to_its_end(
    tmp_path: Path, pulumi_env: dict[str, str], kubernetes_plugin: None
) -> None:
    (tmp_path / "control-plane").mkdir()
    (tmp_path / "project").mkdir()
    with control_plane(tmp_path / "control-plane") as kubeconfig, kubelet(kubeconfig, NS, FATES):
        stack = Stack(tmp_path / "project", kubeconfig, pulumi_env)

        def live(path: str) -> Any:
            async def ask() -> Any:
                there = Api(kubeconfig)
                try:
                    return await there.find(path)
                finally:
                    await there.close()

            return asyncio.run(ask())

        def image() -> str:
            found = live(f"/apis/apps/v1/namespaces/{NS}/deployments/web")
            return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

        stack.up("x:1")
        assert image() == "x:1"
        began = time.monotonic()
        stack.up("x:1", "--expect-no-changes")
        print(f"a run without changes took {time.monotonic() - began:.1f} s")
        stack.pulumi("preview", "--refresh", "--expect-no-changes")
        assert "hunter2" not in stack.pulumi("stack", "export")

        stack.up("x:2")
        outputs = json.loads(stack.pulumi("stack", "output", "--json"))
        assert outputs["workloads"]["web"] == {"revision": 2, "replicas": 2}
        said = stack.up("crash:1", code=1)
        assert "exit 3" in said and "no database" in said and "r2 keeps serving on 2 of 2 replicas" in said
        assert image() == "x:2"
        stack.up("crash:1", code=1)  # pulumi-kubernetes sees no change; the rollout does
        stack.up("x:2")

        status = json.loads(stack.anytier("status", "-s", "test", "--json"))
        assert {item["workload"]: item["replicas"] for item in status} == {
            "web": {"wanted": 2, "ready": 2},
            "store": {"wanted": 1, "ready": 1},
        }
        stack.anytier("rollback", "-s", "test", "1", "web")
        assert image() == "x:1"

        # What writes to a volume alone does not get a second one beside it while it becomes another kind.
        said = stack.up("x:1", code=1, overrides=AS_DEPLOYMENT)
        assert "workloads.store.controller" in said and "would have a second writer" in said
        stack.up("x:1")
        (stack.folder / "scale").write_text('{"store": 0}')
        stack.up("x:1")
        (stack.folder / "scale").write_text("{}")
        stack.up("x:1", overrides=AS_DEPLOYMENT)
        assert live(f"/apis/apps/v1/namespaces/{NS}/statefulsets/store") is None
        found = live(f"/apis/apps/v1/namespaces/{NS}/deployments/store")
        assert found["spec"]["strategy"] == {"type": "Recreate"} and found["status"]["readyReplicas"] == 1

        (stack.folder / "secret").write_text("another")
        stack.up("x:2", overrides=AS_DEPLOYMENT)
        assert image() == "x:2"
        found = live(f"/apis/apps/v1/namespaces/{NS}/deployments/web")
        name = found["spec"]["template"]["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"]
        secrets = [item["metadata"]["name"] for item in live(f"/api/v1/namespaces/{NS}/secrets")["items"]]
        assert name in secrets and len(secrets) == 2  # a kept revision names the other

        stack.pulumi("destroy", "--yes", "--skip-preview")
        assert live(f"/api/v1/namespaces/{NS}") is None


def test_texts_in_our_yaml_are_texts_to_an_api_server(tmp_path: Path) -> None:
    """It reads YAML itself, and more as numbers and booleans than PyYAML does."""
    with control_plane(tmp_path) as kubeconfig:
        there = urlsplit(yaml.safe_load(kubeconfig)["clusters"][0]["cluster"]["server"])
        data = {
            f"k{number}": text for number, text in enumerate([*TELLING, "yes", "null", "2001-01-01", "1:30", "a: b"])
        }
        for fast in (False, True):
            head = {"generateName": "anytier-test-", "namespace": "default"}
            body = dumped({"apiVersion": "v1", "kind": "ConfigMap", "metadata": head, "data": data}, fast=fast)
            connection = HTTPSConnection(there.hostname or "", there.port, context=ssl._create_unverified_context())
            headers = {"Content-Type": "application/yaml", "Authorization": f"Bearer {TOKEN}"}
            connection.request("POST", "/api/v1/namespaces/default/configmaps", body, headers)
            answer = connection.getresponse()
            assert answer.status == 201, answer.read()
            assert json.loads(answer.read())["data"] == data
            connection.close()
