"""`objects`: passed through, each in its place."""

from __future__ import annotations

from typing import Any

import pytest
from tests.render.kubernetes.samples import objects, rendered, spec

from anytier.errors import SpecError


def raw(kind: str, name: str = "a", api: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **more}


def definition(scope: str) -> dict[str, Any]:
    names = {"kind": "Toy", "plural": "toys"}
    api = "apiextensions.k8s.io/v1"
    return raw("CustomResourceDefinition", "toys.e.org", api, spec={"group": "e.org", "scope": scope, "names": names})


def test_the_namespace_is_filled_in_where_there_is_one() -> None:
    made = objects(spec(objects=[raw("ConfigMap", data={"a": "${x} $${y}"}), raw("ClusterRole", api="rbac/v1")]))
    assert made["object/ConfigMap.a"]["metadata"]["namespace"] == "anytier-dev-shop"
    assert made["object/ConfigMap.a"]["data"] == {"a": "${x} $${y}"}, "nothing in there is ours"
    assert "namespace" not in made["object/ClusterRole.rbac.a"]["metadata"]


def test_another_namespace_is_kept_and_an_empty_one_is_none() -> None:
    elsewhere, nowhere = raw("ConfigMap"), raw("Thing", api="e.org/v1")
    elsewhere["metadata"]["namespace"], nowhere["metadata"]["namespace"] = "kube-system", ""
    made = objects(spec(objects=[elsewhere, nowhere]))
    assert made["object/ConfigMap.kube-system.a"]["metadata"]["namespace"] == "kube-system"
    assert "namespace" not in made["object/Thing.e.org.a"]["metadata"]


@pytest.mark.parametrize(("scope", "there"), [("Cluster", False), ("Namespaced", True)])
def test_custom_resources_follow_their_definition(scope: str, there: bool) -> None:
    found = rendered(spec(objects=[raw("Toy", api="e.org/v1"), definition(scope)]))
    toy = found["object/Toy.e.org.a"]
    assert ("namespace" in toy.object["metadata"]) == there
    assert "object/CustomResourceDefinition.apiextensions.k8s.io.toys.e.org" in toy.after
    assert "object/Toy.e.org.a" in found["web"].after


def test_two_with_one_name_are_refused() -> None:
    with pytest.raises(SpecError, match=r"objects\[1\]"):
        rendered(spec(objects=[raw("ConfigMap"), raw("ConfigMap")]))
