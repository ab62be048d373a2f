"""The shop on a cluster that its own stack makes of two bare machines: the third way to run the one file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.e2e.suite import AT_LENGTH
from tests.e2e.test_shop import Shop, base_image, shop, story
from tests.provider.kubeadm.box import kube_boxes
from tests.provider.kubeadm.stack import bundle, config

from anytier.conformance.places.kubeadm import KubeadmPlace

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    pytest.mark.usefixtures("kubernetes_plugin"),
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; ANYTIER_AT_LENGTH=1 runs it"),
]


def test_on_a_cluster(tmp_path: Path) -> None:
    base_image()
    with kube_boxes(tmp_path, 2) as boxes:
        options = config(boxes, bundle())
        with shop(Shop(KubeadmPlace(options), {"anytier:tier": "kubeadm", "anytier:kubeadm": options})) as made:

            def crash() -> None:
                killed = [box.run("pkill", "-9", "-x", "mariadbd").returncode for box in boxes]
                assert sorted(killed) == [0, 1]  # on the one machine that has it

            story(made, crash)
