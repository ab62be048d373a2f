"""The stood-in clouds under the real engine, with the clouds' real SDKs: one stack for each story, since a run costs
seconds. What they are and can tell is in tests/standins/README.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.standins.installed import needs_sdks
from tests.standins.project import Project
from tests.standins.world import Fault

pytestmark = [pytest.mark.e2e, needs_sdks]

CANARY = "c4nary-1n-a-coalmine"
AWS = """
    import pulumi
    from pulumi_aws import eks, iam

    role = iam.Role("role", assume_role_policy="{}", description=pulumi.Output.secret("CANARY"))
    cluster = eks.Cluster(
        "cluster", name="prod", role_arn=role.arn, version="VERSION", tags={"team": "a"},
        vpc_config={"subnet_ids": ["subnet-1", "subnet-2"]},
        kubernetes_network_config={"service_ipv4_cidr": "CIDR"},
    )
    nodes = eks.NodeGroup(
        "nodes", cluster_name=cluster.name, node_role_arn=role.arn, subnet_ids=["subnet-1"],
        scaling_config={"desired_size": 1, "min_size": 1, "max_size": 2},
    )
    pulumi.export("endpoint", cluster.endpoint)
    pulumi.export("issuer", cluster.identities[0].oidcs[0].issuer)
"""


def aws(version: str = "1.33", cidr: str = "10.100.0.0/16") -> str:
    return AWS.replace("CANARY", CANARY).replace("VERSION", version).replace("CIDR", cidr)


@pytest.fixture
def stack(tmp_path: Path, pulumi_env: dict[str, str]) -> Project:
    return Project(tmp_path, pulumi_env, {"aws:region": "eu-central-1"})


def test_life_of_a_cluster(stack: Project) -> None:
    stack.program(aws())
    shown = stack.up().out
    assert "eks.amazonaws.com" in shown
    cluster = stack.world.named("cluster")
    assert stack.world.done("create") == ["role", "cluster", "nodes"]
    assert stack.state()["cluster"]["outputs"]["vpcConfig"]["vpcId"].startswith("vpc-")
    assert "unchanged" in stack.up("--expect-no-changes").out
    assert CANARY not in shown + stack.recorded()

    stack.program(aws(version="1.34"))
    stack.up()
    assert (stack.world.named("cluster").id, stack.world.named("cluster").inputs["version"]) == (cluster.id, "1.34")
    assert stack.world.done("update") == ["cluster"]

    stack.world.forget()
    stack.program(aws(version="1.34", cidr="10.200.0.0/16"))
    steps = stack.preview()["cluster"]
    assert list(steps) == ["replace"]
    kinds = {path: change["kind"] for path, change in steps["replace"]["detailedDiff"].items()}
    assert kinds == {"kubernetesNetworkConfig.serviceIpv4Cidr": "update-replace"}
    stack.up()  # its name is given, so the old one goes first, and before it what stands on it
    assert stack.world.done("delete") == ["nodes", "cluster"]
    assert stack.world.done("create") == ["cluster", "nodes"]

    stack.world.forget()
    stack.destroy()
    assert stack.world.done("delete") == ["nodes", "cluster", "role"]
    assert (stack.world.things(), stack.state()) == ([], {})


def test_half_made_is_recorded_and_the_next_up_goes_on(stack: Project) -> None:
    stack.program(aws())
    stack.world.tell(faults=[Fault("create", "aws:eks/cluster:*", error="CREATE_FAILED: no capacity", partial=True)])
    failed = stack.up(check=False)
    assert failed.code and "CREATE_FAILED: no capacity" in failed.out
    assert stack.state()["cluster"]["initErrors"] == ["CREATE_FAILED: no capacity"]
    assert not stack.world.named("cluster").whole

    stack.world.tell(faults=[Fault("create", name="nodes", error="quota exceeded")])
    failed = stack.up(check=False)
    assert failed.code and "quota exceeded" in failed.out
    assert "nodes" not in stack.state() and stack.pending() == []
    assert stack.world.named("cluster").whole and stack.world.done("create") == ["role"]

    stack.world.tell(faults=[Fault("create", name="nodes", delay=60)])
    stopped = stack.interrupted_up("nodes")
    assert stopped.code and stopped.seconds < 20
    assert stack.state()["nodes"]["id"] == "prod:" + stack.world.named("nodes").inputs["nodeGroupName"]
    stack.world.tell()
    stack.up()
    assert stack.world.named("nodes").whole
    assert CANARY not in stack.recorded()


def test_what_the_sdk_does_not_know_is_refused_in_a_preview(stack: Project) -> None:
    stack.program(
        """
        from pulumi_aws import eks
        eks.NodeGroup("nodes", cluster_name="c", node_role_arn="r", subnet_ids=["s"],
                      scaling_config={"desired_size": "1", "min_size": 1, "max_sise": 2})
        """
    )
    refused = stack.run("preview", check=False)
    assert refused.code
    for said in (
        "scalingConfig.desiredSize: must be integer, not a string",
        "scalingConfig.max_sise: is not known to the SDK",
        "scalingConfig.maxSize: is required",
    ):
        assert said in refused.out
    assert stack.world.journal() == []


def test_two_other_clouds_and_a_real_clusters_address(tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    config = {"gcp:project": "p", "gcp:region": "europe-west3", "azure-native:location": "westeurope"}
    stack = Project(tmp_path, pulumi_env, config)
    stack.world.tell(clusters={"prod": {"endpoint": "https://127.0.0.1:6443", "ca": "Y2E=", "kubeconfig": "real"}})
    stack.program(
        """
        import pulumi, base64
        from pulumi_azure_native import containerservice, resources
        from pulumi_gcp import container, kms
        ring = kms.KeyRing("ring", name="ring", location="europe-west3")
        gke = container.Cluster("gke", name="prod", location="europe-west3", initial_node_count=1)
        pulumi.export("gke", pulumi.Output.format("{}/{}", gke.endpoint, gke.master_auth.cluster_ca_certificate))
        group = resources.ResourceGroup("group")
        pool = {"name": "first", "count": 1, "mode": "System", "vm_size": "Standard_D2s_v5"}
        aks = containerservice.ManagedCluster(
            "aks", resource_name_="prod", resource_group_name=group.name, agent_pool_profiles=[pool])
        given = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=group.name, resource_name=aks.name)
        pulumi.export("aks", given.kubeconfigs[0].value.apply(lambda text: base64.b64decode(text).decode()))
        """
    )
    shown = stack.up().out
    assert '"127.0.0.1:6443/Y2E="' in shown and '"real"' in shown
    assert stack.world.named("aks").inputs["location"] == "westeurope"
    assert "unchanged" in stack.up("--expect-no-changes").out
    refused = stack.destroy(check=False)
    assert refused.code and "deletion_protection" in refused.out
    assert {thing.name for thing in stack.world.things()} >= {"gke"}
