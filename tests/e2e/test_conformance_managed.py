"""Tiers eks, gke and aks conform, as far as can be told without an account: clouds are stood in, Kubernetes is real.

The tier's real program, with the cloud's real SDK, goes through the real engine; what it makes at the cloud, a stand-in
takes (tests/standins/README.md). The cluster that the cloud hands out is one that tier kubeadm has made, with what else
a cloud would bring (tests/standins/cluster.py), and on it the app is as real as anywhere.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.e2e.suite import AT_LENGTH, assert_conforms, conformance, table
from tests.standins.cluster import RealCluster
from tests.standins.installed import needs_sdks
from tests.standins.stacks import NAME, STACKS, CloudProject

from anytier.render.kubernetes.addons import aws_balancers

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.docker,
    needs_sdks,
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; make e2e-managed"),
]

LONGEST = 3000.0  # seconds: a stack of a hundred resources is gone through at each of its checks
# Tier -> who is logged in to its registry.
USERS = {"eks": "AWS", "gke": "oauth2accesstoken", "aks": "00000000-0000-0000-0000-000000000000"}


@pytest.mark.parametrize("tier", STACKS)
def test_the_tier_conforms(
    tier: str,
    cluster: RealCluster,
    tmp_path: Path,
    pulumi_env: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = CloudProject(tmp_path, tier, builder=cluster.daemon.host)
    project.world.tell(**cluster.tells())
    path = f"{cluster.kubectl.parent}:{os.environ['PATH']}"
    done = conformance(
        NAME,
        longest=LONGEST,
        project=project.folder,
        PULUMI_HOME=pulumi_env["PULUMI_HOME"],
        **project.env(path),
    )
    with capsys.disabled():
        print("\n" + table(done))
    assert_conforms(done, tier, "standard")
    if tier == "eks":  # what the tier has on the cluster goes with the cluster, which is still there
        (controller,) = cluster.deployments(aws_balancers.NAMESPACE)
        assert controller["status"].get("readyReplicas") == 2
    # Everything at the cloud went, and what had been pushed there was pushed by somebody.
    assert [thing.token for thing in project.world.things()] == []
    pushes = [item for item in cluster.daemon.pushed if item.user == USERS[tier]]
    assert pushes and all(item.password for item in pushes)
    assert not [item for item in cluster.daemon.pushed if not item.user]
