"""The managed tiers themselves under the real engine: a stack comes up although its cloud fails once, changes nothing,
changes as users change it, is held by its protection, and goes in an order that leaves nothing behind.

The clouds are stood in (tests/standins/README.md), the API server is real. One story for each tier, since a run costs
minutes: `make e2e-managed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.suite import AT_LENGTH
from tests.provider.kubernetes.controlplane import programs
from tests.standins.installed import needs_sdks
from tests.standins.managed import APP, CANARY, ManagedProject, cluster
from tests.standins.world import FOLDER, Fault

pytestmark = [
    pytest.mark.e2e,
    needs_sdks,
    pytest.mark.skipif(not AT_LENGTH, reason="takes long; make e2e-managed"),
    pytest.mark.skipif(programs() is None, reason="no kube-apiserver: ANYTIER_KUBERNETES_BIN names their folder"),
    pytest.mark.usefixtures("kubernetes_plugin"),
]


@dataclass(frozen=True)
class Story:
    """Types of a cloud: its pools of machines, its cluster, and what that stands on and must outlive it.

    `more`: options besides `nodes` that make other pools, and one that changes the cluster. `pools`: how many pools.
    """

    pool: str
    cluster: str
    below: tuple[str, ...]
    login: str
    more: dict[str, Any] = field(default_factory=dict)
    pools: int = 1


STORIES = {
    "eks": Story(
        "aws:eks/nodeGroup:NodeGroup",
        "aws:eks/cluster:Cluster",
        ("aws:ec2/natGateway:NatGateway", "aws:ec2/subnet:Subnet", "aws:ec2/vpc:Vpc", "aws:kms/key:Key"),
        "aws sso login",
    ),
    "gke": Story(
        "gcp:container/nodePool:NodePool",
        "gcp:container/cluster:Cluster",
        (
            "gcp:compute/routerNat:RouterNat",
            "gcp:compute/address:Address",
            "gcp:compute/subnetwork:Subnetwork",
            "gcp:compute/network:Network",
        ),
        "gcloud auth application-default login",
    ),
    "aks": Story(
        "azure-native:containerservice:AgentPool",
        "azure-native:containerservice:ManagedCluster",
        ("azure-native:network:VirtualNetwork", "azure-native:keyvault:Vault", "azure-native:resources:ResourceGroup"),
        "az login",
        {"system": {"size": "large", "disk": 99}, "zones": ["1", "2"], "sla": "premium"},
        pools=2,
    ),
}
LARGE = [{"size": "large", "min": 2, "max": 3}]


@pytest.fixture
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A cluster of the test's own: what a tier has on one goes with it, and would be in the next one's way."""
    with cluster(tmp_path_factory.mktemp("standins") / "control-plane") as said:
        yield said


@pytest.mark.parametrize("tier", STORIES)
def test_a_managed_stack_comes_changes_and_goes(
    tier: str, tmp_path: Path, pulumi_env: dict[str, str], told: dict[str, Any]
) -> None:
    story = STORIES[tier]
    stack = ManagedProject(tmp_path, pulumi_env, tier, told)

    # what a cloud refuses half way is recorded as far as it came, and the next run goes on from there
    stack.trouble(Fault("create", story.pool, error="quota of machines exceeded"))
    failed = stack.up(check=False)
    assert failed.code and "quota of machines exceeded" in failed.out, failed.out
    made = {thing.id for thing in stack.world.things()}
    assert one(stack, story.cluster) and not of(stack, story.pool) and stack.pending() == []
    stack.trouble()
    shown = stack.up().out
    assert made <= {thing.id for thing in stack.world.things()} and of(stack, story.pool)
    assert CANARY not in failed.out + shown + stack.recorded()

    # nothing to do is nothing done
    stack.world.forget()
    assert "unchanged" in stack.up("--expect-no-changes").out
    assert [line for line in stack.world.journal() if line["event"] == "begin"] == []

    # another kind of machine is another pool, there before the old one goes; the cluster stays what it is
    whole, pools = one(stack, story.cluster).id, {thing.id for thing in of(stack, story.pool)}
    large = {"nodes": LARGE, **story.more}
    stack.options(**large, protect=True)
    stack.up()
    assert one(stack, story.cluster).id == whole
    steps = [(line["phase"], line["name"]) for line in stack.world.journal() if done(line, story.pool)]
    count = story.pools
    assert [phase for phase, _ in steps if phase != "update"] == ["create"] * count + ["delete"] * count, steps
    assert len(pools) == count and not {thing.id for thing in of(stack, story.pool)} & pools
    assert "unchanged" in stack.up("--expect-no-changes").out

    # protected, nothing of it goes, not even the app: the preview, which `anytier down` has too, ends it and says why
    stack.world.forget()
    before = set(stack.state())
    refused = stack.run("destroy", "--yes", check=False)
    assert refused.code and "protect" in refused.out and set(stack.state()) == before, refused.out
    assert [line for line in stack.world.journal() if line["event"] == "begin"] == []
    stack.options(**large)
    stack.up()

    # the app goes first, then machines, cluster, and what that stood on
    stack.world.forget()
    gone = stack.destroy().out
    deleted = [line["type"] for line in stack.world.journal() if line["event"] == "done" and line["phase"] == "delete"]
    assert last(deleted, story.pool) < deleted.index(story.cluster)
    for type in story.below:
        assert deleted.index(story.cluster) < deleted.index(type), type
    order = re.findall(r"^ *- +(\S+) .*deleted", gone, re.MULTILINE)
    assert order.index("kubernetes:core/v1:Namespace") < order.index(shown_as(story.pool))
    assert (stack.world.things(), stack.state()) == ([], {})


@pytest.mark.parametrize("tier", STORIES)
def test_nobody_logged_in_is_one_line_of_the_preview(tier: str, tmp_path: Path, pulumi_env: dict[str, str]) -> None:
    stack = ManagedProject(tmp_path, pulumi_env, tier, {})
    stack.nobody()
    refused = stack.run("preview", check=False)
    told = refused.out.partition("Diagnostics:")[2]
    (line,) = [line for line in told.splitlines() if "nobody is logged in" in line]
    assert refused.code and STORIES[tier].login in line and "Traceback" not in refused.out
    assert stack.world.journal() == []


def test_another_class_of_load_balancer_is_another_service_and_the_old_one_goes_last(
    tmp_path: Path, pulumi_env: dict[str, str], told: dict[str, Any]
) -> None:
    """As with a stack of EKS that was there before its controller was: a Service's class never changes."""
    stack = ManagedProject(tmp_path, pulumi_env, "eks", told)
    (tmp_path / "app.yaml").write_text(APP.replace("targetPort: 8080", "targetPort: 8080, expose: public"))
    stack.options(loadBalancerController="none")
    stack.up()
    assert services(stack) == {"web": None, "web-exposed": None}
    stack.options()
    shown = stack.up().out
    assert services(stack) == {"web": None, "web-exposed-nlb": "service.k8s.aws/nlb"}
    steps = re.findall(r"^ *([+-]+) +kubernetes:core/v1:Service +web\.exposed +(.*)$", shown, re.MULTILINE)
    done = [(sign, text) for sign, text in steps if text.startswith(("created", "deleted"))]
    assert [sign for sign, _ in done] == ["++", "--"], shown
    # and back again: the old one goes while whoever looks after it is still there
    stack.options(loadBalancerController="none")
    gone = stack.up().out
    assert services(stack) == {"web": None, "web-exposed": None}
    order = re.findall(r"^ *-+ +(\S+) +(\S+) +deleted", gone, re.MULTILINE)
    service, controller = ("kubernetes:core/v1:Service", "web.exposed"), ("kubernetes:apps/v1:Deployment", "balancers")
    assert order.index(service) < order.index(controller), gone
    stack.destroy()


def services(stack: ManagedProject) -> dict[str, str | None]:
    """Name -> class, of the app's."""
    found = [item["inputs"] for item in stack.state().values() if item["type"] == "kubernetes:core/v1:Service"]
    return {item["metadata"]["name"]: item["spec"].get("loadBalancerClass") for item in found}


def test_a_second_clone_of_a_gke_stack_is_refused_by_google_and_takes_nothing_over(
    tmp_path: Path, pulumi_env: dict[str, str], told: dict[str, Any]
) -> None:
    """Same project, same stack, another state: the first one's cluster stays the first one's."""
    first = ManagedProject(folder(tmp_path / "first"), pulumi_env, "gke", told)
    second = ManagedProject(folder(tmp_path / "second"), pulumi_env, "gke", told)
    second.env[FOLDER] = first.env[FOLDER]
    for each in (first, second):
        each.options(enableApis=False)  # that is nobody's alone, and no conflict
    first.up()
    before = {thing.id: thing.inputs for thing in first.world.things()}
    refused = second.up(check=False)
    assert refused.code and re.search(r"networks/anytier-test-[0-9a-f]+ already exists", refused.out), refused.out
    second.destroy()
    assert before.items() <= {thing.id: thing.inputs for thing in first.world.things()}.items()
    first.destroy()


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def shown_as(type: str) -> str:
    """As the engine's display has it: `aws:eks:NodeGroup`."""
    return re.sub("/[^:]*", "", type)


def of(stack: ManagedProject, type: str) -> list[Any]:
    return [thing for thing in stack.world.things() if thing.token == type]


def one(stack: ManagedProject, type: str) -> Any:
    (found,) = of(stack, type)
    return found


def done(line: dict[str, Any], type: str) -> bool:
    return bool(line["event"] == "done" and line["type"] == type)


def last(items: list[str], item: str) -> int:
    return len(items) - 1 - items[::-1].index(item)
