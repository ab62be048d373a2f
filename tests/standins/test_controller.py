"""The stood-in controller runs as the tier's pod runs it, and keeps its probes content."""

from __future__ import annotations

import json
import secrets
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.provider.docker.registry import Registry
from tests.standins import controller

from anytier.conformance.load import until
from anytier.render.kubernetes.addons import aws_balancers
from anytier.render.kubernetes.addons.aws_balancers import HEALTH, Choice

(CONTROLLER,) = [
    item.object["spec"]["template"]["spec"]
    for item in aws_balancers.render(Choice("c", "eu-central-1", "vpc-1", "", ""))
    if item.key == "balancers"
]
(CONTAINER,) = CONTROLLER["containers"]


@pytest.fixture
def running() -> Iterator[str]:
    """Its address, with the arguments, the user and the root of the pod's container."""
    held = CONTAINER["securityContext"]
    name = f"anytier-test-{secrets.token_hex(4)}"
    options = ["--read-only", f"--user={held['runAsUser']}", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
    image = controller.build()
    subprocess.run(
        ["docker", "run", "-d", "--rm", "--name", name, *options, image, *CONTAINER["args"]],
        check=True,
        capture_output=True,
        timeout=60,
    )
    try:
        asked = ["docker", "inspect", name]
        (found,) = json.loads(subprocess.run(asked, check=True, capture_output=True, timeout=30).stdout)
        (network,) = found["NetworkSettings"]["Networks"].values()
        yield f"http://{network['IPAddress']}:{HEALTH}"
    finally:
        subprocess.run(["docker", "rm", "-f", name], check=False, capture_output=True, timeout=60)


def answer(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as told:
            return int(told.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.docker
def test_its_probes_are_content(running: str) -> None:
    for probe in ("livenessProbe", "readinessProbe"):
        path = CONTAINER[probe]["httpGet"]["path"]
        assert until(lambda path=path: answer(running + path) == 200, 20), probe
    assert answer(f"{running}/other") == 404


@pytest.mark.docker
def test_a_mirror_has_it_by_the_name_that_the_tier_pins(tmp_path: Path) -> None:
    with Registry(tmp_path) as registry:
        controller.put(registry)
        assert registry.digest(*controller.repository()).startswith("sha256:")
    assert controller.repository() == ("eks/aws-load-balancer-controller", aws_balancers.IMAGE.rpartition(":")[2])
