"""Tier kubeadm conforms where an Ingress controller carries the app's routes, and the app has no router of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.suite import AT_LENGTH, assert_conforms, conformance, table
from tests.provider.kubeadm.box import KubeBox, kube_boxes
from tests.provider.kubeadm.stack import bundle_with, config, for_conformance

from bootstrap.paths import Paths

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it"),
]

# What a controller has a part in. The suite kills an app's own router (`proxy-restart`), which there is none of here.
OF_A_CONTROLLER = (
    "deploy",
    "routes",
    "ports",
    "replicas",
    "no-op",
    "readiness-probe",
    "heal-process",
    "rolling-update",
    "drain",
    "tls",
    "volume",
    "bad-health",
    "destroy",
)


@pytest.fixture
def boxes(tmp_path: Path) -> Iterator[list[KubeBox]]:
    with kube_boxes(tmp_path, 2) as made:
        yield made


@pytest.fixture
def stack(boxes: list[KubeBox]) -> Iterator[str]:
    """Of a control plane that takes pods, too, and a worker: the controller runs on both."""
    with for_conformance(config(boxes, bundle_with("traefik"), ingressController="traefik")) as name:
        yield name


@pytest.fixture
def home(boxes: list[KubeBox], tmp_path: Path, pulumi_env: dict[str, str]) -> dict[str, str]:
    """A user of whom nothing is here but the engine and its plugins."""
    folder = tmp_path / "home"
    folder.mkdir()
    return {
        "HOME": str(folder),
        "ANYTIER_TOOLS_DIR": str(Paths.here().tools),
        "PULUMI_HOME": pulumi_env["PULUMI_HOME"],
    }


def test_an_ingress_controller_carries_the_routes(
    stack: str, home: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    done = conformance(stack, *(f"--only={check}" for check in OF_A_CONTROLLER), **home)
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, "kubeadm", None, only=OF_A_CONTROLLER)
