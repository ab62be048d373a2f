"""Tier kubeadm in a virtual machine that its stack makes: from a hypervisor with nothing on it to the guestbook on a
cluster of one, and back. Every instruction of the machine is emulated, so this is patient: `make e2e-vm`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from tests.e2e import vm
from tests.e2e.suite import AT_LENGTH, ROOT
from tests.provider.kubeadm.stack import KubeStack, bundle

from anytier.conformance.pace import paced

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="a cluster in an emulated machine: make e2e-vm"),
]
LONGEST = 3600.0  # seconds of one run of the engine


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
        "memory": "3Gi",
        "cpus": 2,
        "disk": "10Gi",
        "dataDisk": "2Gi",
        "connectTimeout": 240,
    }


def patient_guestbook(folder: Path) -> Path:
    """The guestbook whose probes and deadlines take ten times as long, as the suite has it for such a machine."""
    shutil.copytree(ROOT / "apps/guestbook", folder)
    file = folder / "app.yaml"
    spec = yaml.safe_load(file.read_text())
    for body in spec["workloads"].values():
        body["update"] = {"healthyDeadline": "60s", "progressDeadline": "180s"}
    file.write_text(yaml.safe_dump(paced(spec, 10), sort_keys=False))
    return file


def test_a_cluster_on_a_machine_that_the_stack_makes(
    tmp_path: Path, pulumi_env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with vm.hypervisor(tmp_path) as daemon:
        given = {"libvirt": options(daemon.uri, tmp_path), "bundle": str(bundle()), "startTimeout": 1800}
        stack = VmCluster([], pulumi_env, str(patient_guestbook(tmp_path / "guestbook")), bundle())
        try:
            stack.write(given)
            told(capsys, "up", stack.timed("up", "--yes", "--skip-preview"))
            assert stack.serves("Guestbook", within=120)
            assert stack.post(name="Ada", message="from a test") == 303
            told(capsys, "again", stack.timed("up", "--yes", "--skip-preview", "--expect-no-changes"))
            assert stack.status()["healthy"]
            told(capsys, "destroy", stack.timed("destroy", "--yes", "--skip-preview"))
            assert not vm.OURS.findall(vm.virsh(daemon.uri, "list", "--all", "--name"))
        finally:
            stack.close()


def told(capsys: pytest.CaptureFixture[str], what: str, seconds: float) -> None:
    with capsys.disabled():
        print(f"\n{what}: {seconds:.0f} s")
