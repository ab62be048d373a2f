"""`anytier measure` on real places: every figure is taken, and nothing is left. At length only: CI lacks the time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.e2e import vm
from tests.e2e.measured import EMULATED, assert_whole, measured
from tests.e2e.suite import AT_LENGTH
from tests.provider.host.ssh_box import ssh_box
from tests.provider.kubeadm.box import kube_boxes
from tests.provider.kubeadm.stack import bundle, config

from bootstrap.paths import Paths

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not AT_LENGTH, reason="ANYTIER_AT_LENGTH=1 runs it")]


def test_this_machine() -> None:
    assert_whole(measured({"anytier:tier": "local"}), "local")


@pytest.mark.docker
def test_a_daemon_measure_docker() -> None:
    assert_whole(measured({"anytier:tier": "docker"}), "docker")


@pytest.mark.docker
def test_a_machine_on_ssh(tmp_path: Path) -> None:
    """It shares this machine's network, since the suite asks the app at 127.0.0.1."""
    with ssh_box(tmp_path, here=True) as box:
        login: dict[str, Any] = {"user": "deploy", "sudo": True, "keyFile": str(box.key_file)}
        there = {"machines": [{"address": "127.0.0.1", "port": box.port, **login}]}
        said = "The machine was a container with systemd on the machine that measured, reached by SSH only."
        assert_whole(measured({"anytier:tier": "baremetal", "anytier:baremetal": there}, said), "baremetal")


def test_a_guest_measure_libvirt(tmp_path: Path) -> None:
    with vm.hypervisor(tmp_path) as daemon:
        there = {"anytier:tier": "libvirt", "anytier:libvirt": vm.options(daemon.uri, tmp_path)}
        said = "The machine's processor was emulated, instruction by instruction: with KVM everything in it is faster."
        assert_whole(measured(there, said, longest=EMULATED), "libvirt")


@pytest.mark.docker
@pytest.mark.usefixtures("kubernetes_plugin")
def test_a_cluster_measure_kubeadm(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    with kube_boxes(tmp_path, 2) as boxes:
        there = {"anytier:tier": "kubeadm", "anytier:kubeadm": config(boxes, bundle())}
        said = (
            "The machines, a control plane that takes pods and a worker, were containers on the machine that measured."
        )
        env = {"PULUMI_HOME": pulumi_env["PULUMI_HOME"], "ANYTIER_TOOLS_DIR": str(Paths.here().tools)}
        assert_whole(measured(there, said, **env), "kubeadm")
