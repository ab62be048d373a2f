"""Every object of every example is taken by a real API server of each supported minor, unknown fields forbidden.

Nothing but namespaces and definitions is really made: all else is a dry run of server-side apply. The server warns
where a pod would break the namespace's PodSecurity level, and of what is deprecated: no example may make it.
Objects of Gateway API and GKE's policies are judged by their projects' own definitions.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.render.kubernetes import apiserver, gatewayapi
from tests.render.kubernetes.samples import OFFERS, SPECS, TARGET, finished, objects, served, spec
from tests.render.kubernetes.test_network import GIVEN, PAIR

from anytier.provider import certificate
from anytier.render.kubernetes import Rendered, Target, addons, render
from anytier.render.kubernetes.addons import aws_balancers
from anytier.spec.load import load
from anytier.tiers.kubeadmargs import MINORS

pytestmark = pytest.mark.e2e

FIRST = ("Namespace", "CustomResourceDefinition")
WHY = "no kube-apiserver: make e2e-cluster builds it, or ANYTIER_KUBERNETES_BIN names its folder"


@pytest.fixture(scope="module", params=list(apiserver.programs()) or [pytest.param("", marks=pytest.mark.skip(WHY))])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with apiserver.running(request.param, tmp_path_factory.mktemp("api")) as found:
        found.version = request.param.rpartition(".")[0]
        gatewayapi.define(found)
        yield found


TARGETS = {
    "router": {},
    "ingress": {"offers": OFFERS | {"ingress"}, "ingress_class": "nginx"},
    "traefik": {"offers": OFFERS | {"ingress"}, "ingress_class": "traefik"},
    "load-balancer": {"offers": OFFERS | {"load-balancer"}, "addresses": ()},
    "class": {"offers": OFFERS | {"load-balancer"}, "addresses": (), "balancer_class": aws_balancers.CLASS},
    "gateway": {"offers": OFFERS | {"gateway"}, "gateway": "infra/web"},
    "own-gateway": {"offers": OFFERS | {"gateway"}, "gateway_class": "eg"},
    "gke-gateway": {
        "offers": OFFERS | {"gateway"},
        "gateway_class": "gke-l7-global-external-managed",
        "gateway_address": "shop",
    },
}
PEM = [base64.b64encode(text.encode()).decode() for text in certificate.made([aws_balancers.SERVER])]
CONTROLLER = aws_balancers.Choice("anytier-prod-0a1b2c3d", "eu-central-1", "vpc-0a1b2c3d", *PEM)
# What an Ingress has no words for, and what neither Traefik nor a Gateway can do.
LEFT_OUT = {
    "ingress": ("conformance", "everything"),
    **dict.fromkeys(TARGETS.keys() - {"router", "ingress", "load-balancer", "class"}, ("everything",)),
}


def items(name: str, way: str, version: str) -> list[Rendered]:
    path = SPECS[name]
    given: dict[str, Any] = TARGETS[way]
    target: Target = replace(TARGET, namespace=f"anytier-{way}-{name}", version=version, **given)
    return render(load(path, "kubeadm"), target, path.parent)


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in SPECS for way in TARGETS if name not in LEFT_OUT.get(way, ())],
)
def test_every_object_is_taken_and_nothing_is_warned_of(server: Any, name: str, way: str) -> None:
    refused: list[str] = []
    server.warnings.clear()
    for item in items(name, way, server.version):
        made = finished(item.object)
        _settle(made)
        try:
            server.apply(made, dry=made["kind"] not in FIRST)
        except apiserver.Refused as error:
            refused.append(f"{item.key}: {error}")
    # A certificate's value is made up here. Only tier kubeadm has a cluster's machines at their own addresses.
    expected = ["failed to find any PEM data", *([] if of_kubeadm(server.version) else ["externalIPs is deprecated"])]
    said = [warning for warning in server.warnings if not any(text in warning for text in expected)]
    assert (refused, said) == ([], [])


def of_kubeadm(minor: str) -> bool:
    return tuple(map(int, minor.split("."))) in MINORS


@pytest.mark.parametrize("way", [way for way in TARGETS if "gateway" in way])
def test_whatever_routes_say_is_taken_by_the_definitions_of_gateway_api(server: Any, way: str) -> None:
    probe = {"readinessProbe": {"httpGet": {"port": 8080, "path": "/ready?a=b"}}}
    routes: list[dict[str, Any]] = [
        {},
        {"path": "/x", "stripPrefix": True, "timeout": 0.5},
        {"host": "*.test", "path": "/a%20b/~c/"},
        *({"path": f"/{number}"} for number in range(40)),
    ]
    if way != "gateway":
        routes += [{"host": host, "tls": GIVEN} for host in ("a.test", "*.a.test", "localhost")]
        routes.append({"path": "/any", "tls": {**GIVEN, "redirect": False}})
    if way == "gke-gateway":
        routes = [{**route, "timeout": 100} for route in routes]
    given: dict[str, Any] = TARGETS[way]
    target = replace(TARGET, namespace=f"anytier-{way}-routes", version=server.version, **given)
    app = spec(
        {"web": served(probe)}, routes=[{"workload": "web", "port": "http", **route} for route in routes], **PAIR
    )
    made = objects(app, target)
    server.apply(made["app/namespace"], dry=False)
    kinds = {"Gateway", "HTTPRoute", "HealthCheckPolicy", "GCPBackendPolicy"}
    judged = [item for item in made.values() if item["kind"] in kinds]
    for item in judged:
        server.apply(item)
    assert {item["kind"] for item in judged} == {
        "gateway": {"HTTPRoute"}, "own-gateway": {"Gateway", "HTTPRoute"}, "gke-gateway": kinds,
    }[way]  # fmt: skip


def _settle(made: dict[str, Any]) -> None:
    """A custom resource's definition is known to the server only a moment later: that is not what is tested here."""
    if made["kind"] == "Toy":
        made |= {"apiVersion": "v1", "kind": "ConfigMap"}
        made.pop("spec")


def test_the_controller_of_aws_load_balancers_is_taken_and_nothing_is_warned_of(server: Any) -> None:
    """In a namespace that lets nothing run but what is restricted."""
    refused: list[str] = []
    server.warnings.clear()
    for item in aws_balancers.render(CONTROLLER):
        try:
            server.apply(item.object, dry=item.object["kind"] not in FIRST)
        except apiserver.Refused as error:
            refused.append(f"{item.key}: {error}")
    assert (refused, server.warnings) == ([], [])


@pytest.mark.parametrize("cni", ["flannel", "flannel-vxlan"])
def test_the_addons_are_taken_too(server: Any, cni: Any) -> None:
    refused: list[str] = []
    for item in addons.render(
        addons.Choice(
            "10.244.0.0/16",
            cni,
            metrics=True,
            ingress="traefik",
            addresses=("10.0.0.11",),
            network_policy="kube-router",
            plugin=True,
        )
    ):
        try:
            if item.object["kind"] != "APIService":  # it leads to a server that is not there
                server.apply(item.object, dry=item.object["kind"] not in FIRST)
        except apiserver.Refused as error:
            refused.append(f"{item.object['kind']} {item.object['metadata']['name']}: {error}")
    assert refused == []


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda pod: pod["containers"][0].update(livenessprobe={}), "field not declared in schema"),
        (lambda pod: pod["containers"][0].update(name="Upper"), "Invalid value"),
    ],
)
def test_what_is_wrong_is_refused(server: Any, spoil: Any, word: str) -> None:
    """Otherwise the tests above could not fail."""
    found = {item.key: finished(item.object) for item in items("guestbook", "router", server.version)}
    server.apply(found["app/namespace"], dry=False)
    spoil(found["web"]["spec"]["template"]["spec"])
    with pytest.raises(apiserver.Refused, match=word):
        server.apply(found["web"])


def test_a_pod_that_is_less_strict_is_warned_of(server: Any) -> None:
    found = {item.key: finished(item.object) for item in items("guestbook", "router", server.version)}
    server.apply(found["app/namespace"], dry=False)
    found["web"]["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] = False
    found["web"]["spec"]["template"]["spec"]["containers"][0]["securityContext"].pop("runAsNonRoot")
    server.warnings.clear()
    server.apply(found["web"])
    assert any("PodSecurity" in warning for warning in server.warnings)
