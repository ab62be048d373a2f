"""Tier kubeadm conforms, on machines that the suite's own stack makes a cluster of.

In CI these are a control plane that takes pods and a worker. At length they are what people have: a control plane that
takes none, two workers, and a network that holds the app's policies.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH, assert_conforms, conformance, table
from tests.provider.kubeadm.box import KubeBox, kube_boxes
from tests.provider.kubeadm.stack import bundle, bundle_with, config, for_conformance

from bootstrap.paths import Paths

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.usefixtures("kubernetes_plugin")]

# What a cluster does in its own way; CI runs these, `make e2e-cluster` all.
OF_A_CLUSTER = (
    "deploy",
    "env",
    "secrets",
    "identity",
    "routes",
    "replicas",
    "no-op",
    "readiness-probe",
    "heal-process",
    "rolling-update",
    "killed-run",
    "rollback",
    "jobs",
    "bad-image",
    "bad-death",
    "drift",
    "destroy",
)


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[KubeBox]]:
    with kube_boxes(tmp_path, 3 if AT_LENGTH else 2) as made:
        yield made


@pytest.fixture
def stack(boxes: list[KubeBox]) -> Iterator[str]:
    """A stack of this project whose machines are the boxes; their host keys are left to be learned."""
    with for_conformance(at_length(boxes) if AT_LENGTH else config(boxes, bundle())) as name:
        yield name


def at_length(boxes: list[KubeBox]) -> dict[str, Any]:
    found = config(boxes, bundle_with("kube-router"), networkPolicy="kube-router")
    del found["machines"][0]["taints"]
    return found


@pytest.fixture
def home(boxes: list[KubeBox], tmp_path: Path, pulumi_env: dict[str, str]) -> dict[str, str]:
    """A user whose SSH knows the machines, as an import needs it; the engine and its plugins stay where they are."""
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    (ssh / "id_ed25519").write_bytes(boxes[0].key_file.read_bytes())
    (ssh / "id_ed25519").chmod(0o600)
    (ssh / "known_hosts").write_text("".join(f"{box.address} {box.host_key}\n" for box in boxes))
    tools = str(Paths.here().tools)
    return {"HOME": str(ssh.parent), "ANYTIER_TOOLS_DIR": tools, "PULUMI_HOME": pulumi_env["PULUMI_HOME"]}


def test_the_tier_conforms(stack: str, home: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    only = () if AT_LENGTH else OF_A_CLUSTER
    done = conformance(stack, *(f"--only={check}" for check in only), **home)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "kubeadm", None, only=only)
