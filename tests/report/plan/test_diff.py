"""What a change is, and how grave: what keeps data, what loses it, what stops first, and what is not known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from tests.report.plan.graphs import FEW, graph, graphs, node

from anytier.report.plan import kinds
from anytier.report.plan.diff import EFFECTS, Change, compare
from anytier.report.plan.graph import Graph, Node

VOLUME = "anytier:docker:Volume"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def only(before: Node | None, after: Node | None) -> Change:
    (found,) = compare(graph(*filter(None, [before])), graph(*filter(None, [after]))).changes
    return found


def changed(type: str, before: dict[str, Any], after: dict[str, Any], **more: Any) -> tuple[str, str]:
    found = only(node(type, "x", before, **more), node(type, "x", after, **more))
    return found.kind, found.effect


@FEW
@given(graphs())
def test_a_graph_does_not_differ_from_itself(made: Graph) -> None:
    found = compare(made, made)
    assert found.changes == () and found.worst is None
    assert found.same == sum(not item.component for item in made.resources)


@FEW
@given(graphs(), graphs())
def test_what_is_added_one_way_is_removed_the_other(one: Graph, other: Graph) -> None:
    there, back = compare(one, other), compare(other, one)
    assert {item.key for item in there.changes if item.kind == "add"} == {
        item.key for item in back.changes if item.kind == "remove"
    }
    whole = {item.key for item in (*one.resources, *other.resources) if not item.component}
    assert {item.key for item in there.changes} <= whole
    assert there.same + len(there.changes) == len(
        {item.key for item in other.resources if not item.component}
        | {item.key for item in there.changes if item.kind == "remove"}
    )


@FEW
@given(graphs(), graphs())
def test_the_gravest_stands_first(one: Graph, other: Graph) -> None:
    grades = [EFFECTS.index(item.effect) for item in compare(one, other).changes]
    assert grades == sorted(grades, reverse=True)


def test_what_is_new_is_safe_and_what_is_gone_is_missed() -> None:
    thing = node("anytier:docker:Workload", "web", {"workload": "web"})
    assert (only(None, thing).kind, only(None, thing).effect) == ("add", "safe")
    assert (only(thing, None).kind, only(thing, None).effect) == ("remove", "disruptive")


@pytest.mark.parametrize(
    ("inputs", "options", "effect"),
    [
        ({"name": "a"}, {}, "data loss"),
        ({"name": "a", "retain": False}, {}, "data loss"),
        ({"name": "a", "retain": True}, {}, "safe"),
        ({"name": "a"}, {"retain_on_delete": True}, "safe"),
        ({"name": "a"}, {"protect": True}, "disruptive"),
    ],
)
def test_a_volume_that_goes_takes_its_data_along_unless_it_is_kept(
    inputs: dict[str, Any], options: dict[str, Any], effect: str
) -> None:
    found = only(node(VOLUME, "x", inputs, **options), None)
    assert (found.kind, found.effect) == ("remove", effect)


def test_our_own_are_made_anew_for_what_their_fields_say() -> None:
    assert changed(VOLUME, {"name": "a"}, {"name": "b"}) == ("replace", "data loss")
    assert changed(VOLUME, {"name": "a"}, {"name": "a", "labels": {"x": "y"}}) == ("change", "safe")
    endpoint = {"endpoint": {"host": "unix:///a"}}, {"endpoint": {"host": "unix:///b"}}
    assert changed("anytier:docker:Network", *({"name": "a", **item} for item in endpoint)) == ("replace", "replaces")


def test_what_a_field_ignores_is_no_change() -> None:
    before, after = (node("anytier:docker:Workload", "x", {"owner": who}) for who in ("me", "you"))
    assert compare(graph(before), graph(after)).changes == ()


def test_a_rollout_is_safe_unless_the_old_one_stops_first() -> None:
    def workload(order: str, version: str, replicas: int = 1) -> dict[str, Any]:
        return {"template": {"revision": version}, "update": {"order": order}, "replicas": replicas}

    type = "anytier:host:Workload"
    assert changed(type, workload("start-first", "1"), workload("start-first", "2")) == ("change", "safe")
    assert changed(type, workload("stop-first", "1"), workload("stop-first", "2")) == ("change", "disruptive")
    assert changed(type, workload("start-first", "1"), workload("start-first", "1", 0)) == ("change", "disruptive")
    assert changed(type, workload("stop-first", "1"), workload("stop-first", "1", 3)) == ("change", "safe")


def template(image: str, **spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "x", "image": image}]}}, **spec}}


@pytest.mark.parametrize(
    ("type", "spec", "effect"),
    [
        (DEPLOYMENT, {}, "safe"),
        (DEPLOYMENT, {"strategy": {"type": "Recreate"}}, "disruptive"),
        ("kubernetes:apps/v1:StatefulSet", {"replicas": 3}, "safe"),
        ("kubernetes:apps/v1:StatefulSet", {"replicas": 1}, "disruptive"),
        ("kubernetes:apps/v1:StatefulSet", {}, "disruptive"),
        ("kubernetes:apps/v1:DaemonSet", {}, "disruptive"),
        ("kubernetes:apps/v1:DaemonSet", {"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}}, "safe"),
    ],
)
def test_pods_go_before_others_come_or_not(type: str, spec: dict[str, Any], effect: str) -> None:
    assert changed(type, template("a", **spec), template("b", **spec)) == ("change", effect)


@pytest.mark.parametrize("kind", ["networking.k8s.io/v1:Ingress", "gateway.networking.k8s.io/v1:HTTPRoute"])
def test_who_reaches_an_app_and_how_is_no_quiet_change(kind: str) -> None:
    before, after = ({"spec": {"rules": [path]}} for path in ("a", "b"))
    assert changed(f"kubernetes:{kind}", before, after) == ("change", "disruptive")


@pytest.mark.parametrize(
    ("type", "before", "after", "kind"),
    [
        (DEPLOYMENT, {"spec": {"selector": {"a": "b"}}}, {"spec": {"selector": {"a": "c"}}}, "replace"),
        (DEPLOYMENT, {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}, "change"),
        (DEPLOYMENT, {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}, "replace"),
        (DEPLOYMENT, {"metadata": {"labels": {"a": "b"}}}, {"metadata": {"labels": {}}}, "change"),
        ("kubernetes:core/v1:Service", {"spec": {"clusterIP": "None"}}, {"spec": {}}, "replace"),
        ("kubernetes:core/v1:Service", {"spec": {"clusterIPs": []}}, {"spec": {}}, "change"),
        ("kubernetes:core/v1:Service", {"spec": {"clusterIP": "None"}}, {}, "replace"),
        ("kubernetes:core/v1:Service", {"spec": {}}, {"spec": {"loadBalancerClass": "a/b"}}, "replace"),
        ("kubernetes:core/v1:ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}, "replace"),
        ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", {"roleRef": {"name": "a"}}, {"roleRef": {}}, "replace"),
        ("kubernetes:storage.k8s.io/v1:StorageClass", {"provisioner": "a"}, {"provisioner": "b"}, "replace"),
        ("pulumi:providers:kubernetes", {"clusterIdentifier": "a"}, {"clusterIdentifier": "b"}, "replace"),
    ],
)
def test_kubernetes_kinds_are_made_anew_by_their_table(type: str, before: Any, after: Any, kind: str) -> None:
    assert changed(type, before, after)[0] == kind


def test_a_service_that_is_made_anew_takes_its_load_balancers_address_along() -> None:
    def service(name: str, type: str) -> Node:
        return node("kubernetes:core/v1:Service", "router", {"metadata": {"name": name}, "spec": {"type": type}})

    found = only(service("a", "LoadBalancer"), service("a-nlb", "LoadBalancer"))
    assert (found.kind, found.effect) == ("replace", "replaces") and "so is the address" in found.why
    assert only(service("a", "ClusterIP"), service("b", "ClusterIP")).why == ""


def test_a_claim_that_is_made_anew_loses_what_is_in_it() -> None:
    before, after = ({"spec": {"storageClassName": name}} for name in "ab")
    assert changed("kubernetes:core/v1:PersistentVolumeClaim", before, after) == ("replace", "data loss")


def test_what_its_resource_refuses_is_a_change_of_that_resource() -> None:
    """The claim itself says how grave it is."""
    given = {"kubeconfig": "x", "cluster": "c", "ns": "a", "at": "resources.data", "name": "data", "size": "1Gi"}
    before, after = ({**given, "access": ["ReadWriteOnce"], "storageClass": name} for name in "ab")
    assert changed("anytier:kubernetes:Volume", before, after) == ("change", "safe")


@pytest.mark.parametrize("type", ["aws:ec2/subnet:Subnet", "kubernetes:example.org/v1:Thing", "a:b:C", "strange"])
def test_what_is_not_known_is_said_so(type: str) -> None:
    found = only(node(type, "x", {"a": 1}), node(type, "x", {"a": 2}))
    assert (found.kind, found.effect, found.properties[0].replaces) == ("change", "unknown", "unknown")
    assert "the provider's to say" in found.why


CLUSTERS = {
    "aws:eks/cluster:Cluster": ("kubernetesNetworkConfig", "serviceIpv4Cidr", "version"),
    "gcp:container/cluster:Cluster": ("ipAllocationPolicy", "clusterSecondaryRangeName", "minMasterVersion"),
    "azure-native:containerservice:ManagedCluster": ("networkProfile", "podCidr", "kubernetesVersion"),
}


@pytest.mark.parametrize("type", CLUSTERS)
def test_another_managed_cluster_is_the_loss_of_all_that_is_on_it(type: str) -> None:
    """By the list of its tier. What is not in that is for the provider to say, as before."""
    above, below, calm = CLUSTERS[type]
    assert changed(type, {above: {below: "a"}}, {above: {below: "b"}}) == ("replace", "data loss")
    assert changed(type, {above: {below: "a"}, calm: "1.33"}, {above: {below: "a"}, calm: "1.34"}) == (
        "change",
        "unknown",
    )


def test_a_property_that_only_replaces_what_was_there_before_is_not_said_to() -> None:
    """The way from EKS' standard mode to Auto Mode is in place."""
    assert changed("aws:eks/cluster:Cluster", {}, {"computeConfig": {"nodeRoleArn": "r"}}) == ("change", "unknown")


def test_what_the_program_says_of_a_resource_counts() -> None:
    type = "aws:ec2/subnet:Subnet"
    assert changed(type, {"a": {"b": 1}}, {"a": {"b": 2}}, replace_on_changes=("a",)) == ("replace", "replaces")
    same = [node(type, "x", {"a": value, "b": 1}, ignore_changes=("a",)) for value in (1, 2)]
    assert compare(graph(same[0]), graph(same[1])).changes == ()


def test_another_cluster_gets_everything_anew() -> None:
    def on(cluster: str) -> Graph:
        provider = node("pulumi:providers:kubernetes", "cluster", {"clusterIdentifier": cluster})
        claim = node("kubernetes:core/v1:PersistentVolumeClaim", "data", {"spec": {}}, provider=provider.key)
        return graph(provider, claim, node("kubernetes:core/v1:Service", "elsewhere", {"spec": {}}))

    found = {item.name: item for item in compare(on("a"), on("b")).changes}
    assert set(found) == {"cluster", "data"}
    assert (found["data"].kind, found["data"].effect) == ("replace", "data loss")
    assert "its provider is another one" in found["data"].why


def test_who_reads_of_what_is_made_anew_is_named() -> None:
    volume = [node("anytier:libvirt:Volume", "root", {"name": name}) for name in "ab"]
    machine = node("anytier:libvirt:Domain", "machine", {"disks": ["<root.path>"]}, reads={"disks": (volume[0].key,)})
    base, head = (graph(each, machine.model_copy(update={"depends": (each.key,)})) for each in volume)
    (found,) = compare(base, head).changes
    assert found.reached == (machine.key,)


def test_a_map_that_is_kept_for_its_old_revision_is_no_danger() -> None:
    maps = [node("kubernetes:core/v1:ConfigMap", "x", {"metadata": {"name": n}}, retain_on_delete=True) for n in "ab"]
    found = only(*maps)
    assert (found.kind, found.effect) == ("replace", "safe") and "the old one stays" in found.why


def test_a_job_that_runs_again_is_no_loss() -> None:
    assert changed("kubernetes:batch/v1:Job", template("a"), template("b")) == ("replace", "safe")


def test_true_is_not_one_and_a_secret_shows_where_it_comes_and_goes() -> None:
    assert changed("a:b:C", {"a": True}, {"a": 1})[0] == "change"
    before, after = node("a:b:C", "x", {"a": "plain"}), node("a:b:C", "x", {"a": "[secret]"}, secrets=(("a",),))
    assert only(before, after).properties[0].hidden


def test_the_tables_name_types_that_there_are() -> None:
    from anytier.provider.registry import RESOURCES

    own = [*kinds.HOLDS, *kinds.RESTARTS, *kinds.CALM, *kinds.SPENT, *kinds.WORKLOADS, *kinds.JOBS]
    for type in own:
        if type.startswith("anytier:") and "*" not in type:
            assert type in RESOURCES
