"""Objects of a cluster as resources: their tokens, what they wait for, and what is secret of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.runtimes.record import Secret, record

import pulumi
from anytier.clusterobjects import SKIP_AWAIT, cluster_provider, register, token, unawaited


def test_a_token_is_what_the_sdk_would_say() -> None:
    assert token({"apiVersion": "v1", "kind": "Service"}) == "kubernetes:core/v1:Service"
    assert token({"apiVersion": "apps/v1", "kind": "Deployment"}) == "kubernetes:apps/v1:Deployment"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    assert token(role) == "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole"
    assert token({"apiVersion": "example.org/v1alpha1", "kind": "Thing"}) == "kubernetes:example.org/v1alpha1:Thing"


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3))
def test_not_to_wait_is_an_annotation_and_changes_nothing_else(annotations: dict[str, str]) -> None:
    object = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "a", "annotations": annotations}, "spec": {"a": 1}}
    made = unawaited(object)
    assert made["metadata"]["annotations"] == {**annotations, SKIP_AWAIT: "true"}
    assert made["spec"] == object["spec"] and SKIP_AWAIT not in object["metadata"]["annotations"]  # type: ignore[index]


def test_objects_come_in_their_order_on_their_cluster() -> None:
    def program() -> None:
        class Parent(pulumi.ComponentResource):
            pass

        parent = Parent("test:index:Parent", "parent")
        provider = cluster_provider("cluster", "the text", forget=True, opts=pulumi.ResourceOptions(parent=parent))
        objects: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
            ("ns", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}, ()),
            ("sealed", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b"}, "stringData": {}}, ("ns",)),
            ("agents", {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "c"}}, ("ns", "sealed")),
        ]
        register(objects, provider, parent, wait=["agents"])

    found = record(program)
    provider = found["cluster"]
    assert provider.type == "pulumi:providers:kubernetes"
    assert provider.inputs["kubeconfig"] == Secret("the text") and provider.inputs["deleteUnreachable"] == "true"
    assert found["ns"].type == "kubernetes:core/v1:Namespace" and found["ns"].parent == "parent"
    assert found["ns"].inputs["metadata"]["annotations"] == {SKIP_AWAIT: "true"}
    assert found.after("agents") == {"ns", "sealed"}
    assert "annotations" not in found["agents"].inputs["metadata"]
