"""Tier kubeadm in a virtual machine that its stack makes: from a hypervisor with nothing on it to an app on a cluster,
and back. Every instruction of the machine is emulated, so this is patient: `make e2e-vm`.

Kubernetes alone keeps two emulated processors busy while nothing happens. So it has the least to do here: it writes no
audit log, nobody is elected, and the app is a program of the bundle's, since an image that is sent to a node while its
cluster runs takes longer than the API server's own health check has patience.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.e2e import vm
from tests.e2e.suite import AT_LENGTH
from tests.provider.kubeadm.stack import KubeStack, bundle

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="a cluster in an emulated machine: make e2e-vm"),
]
LONGEST = 3600.0  # seconds of one run of the engine
GREETING = "served by a machine that is emulated"
ALONE = {"leader-elect": "false"}
QUIET = {
    "audit": False,
    "storage": "none",
    "controllerManager": ALONE | {"node-monitor-grace-period": "300s"},
    "scheduler": ALONE,
    "etcd": {"heartbeat-interval": "1000", "election-timeout": "10000"},
}


class VmCluster(KubeStack):
    """Its address is the machine's, which the stack tells."""

    longest = LONGEST

    @property
    def address(self) -> str:
        return str(urlsplit(self.pulumi("stack", "output", "url").strip()).hostname)


def options(uri: str, folder: Path) -> dict[str, Any]:
    """Enough of a machine for a control plane and an app, with all the time that it wants."""
    return {
        **vm.options(uri, folder),
        "cpu": "maximum",
        "memory": "3Gi",
        "cpus": 2,
        "disk": "10Gi",
        "dataDisk": "2Gi",
        "connectTimeout": 240,
    }


def app() -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 20, "timeoutSeconds": 20}
    container = {
        "image": "busybox:1.37.0",
        "command": ["/bin/busybox"],
        "args": ["httpd", "-f", "-p", "8080", "-h", "/www"],
        "files": {"/www/index.html": {"content": GREETING}},
        "readinessProbe": probe,
    }
    body = {
        "containers": {"web": container},
        "service": {"ports": {"http": {"port": 80, "targetPort": 8080}}},
        "update": {"healthyDeadline": "600s", "progressDeadline": "1800s"},
    }
    return {
        "apiVersion": "anytier.dev/v1",
        "kind": "App",
        "metadata": {"name": "emulated"},
        "workloads": {"web": body},
        "routes": [{"path": "/", "workload": "web", "port": "http"}],
    }


def test_a_cluster_on_a_machine_that_the_stack_makes(
    tmp_path: Path, pulumi_env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(json.dumps(app()))
    with vm.hypervisor(tmp_path) as daemon:
        given = {"libvirt": options(daemon.uri, tmp_path), "bundle": str(bundle()), "startTimeout": 1800, **QUIET}
        stack = VmCluster([], pulumi_env, str(file), bundle())
        try:
            stack.write(given)
            told(capsys, "up", stack.timed("up", "--yes", "--skip-preview"))
            assert stack.serves(GREETING, within=120)
            told(capsys, "again", stack.timed("up", "--yes", "--skip-preview", "--expect-no-changes"))
            assert stack.status()["healthy"]
            told(capsys, "destroy", stack.timed("destroy", "--yes", "--skip-preview"))
            assert not vm.OURS.findall(vm.virsh(daemon.uri, "list", "--all", "--name"))
        finally:
            stack.close()


def told(capsys: pytest.CaptureFixture[str], what: str, seconds: float) -> None:
    with capsys.disabled():
        print(f"\n{what}: {seconds:.0f} s")
