"""A Gateway of the app's own and its HTTPRoutes do what the routes say: the real Traefik is their controller here, on a
real API server with Gateway API's own definitions.

No stack has Traefik for that: these are rights and arguments of the tests, on top of the addon's.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.render.kubernetes import apiserver, gatewayapi
from tests.render.kubernetes.samples import TARGET, objects, served, spec
from tests.render.kubernetes.test_network import PAIR
from tests.render.kubernetes.test_traefik import (
    ROUTES,
    SERVERS,
    Controller,
    echo,
    endpoints,
    free_numbers,
    own_address,
    running,
)
from tests.render.kubernetes.test_traefik import (
    pytestmark as needs,
)

from anytier.conformance.certificate import self_signed
from anytier.provider.kubernetes.address import address_in, unprogrammed
from anytier.render.kubernetes.addons import parts, traefik

pytestmark = needs

GROUP, LOOK = "gateway.networking.k8s.io", ["get", "list", "watch"]
CLASS = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "GatewayClass",
    "metadata": {"name": "traefik"},
    "spec": {"controllerName": "traefik.io/gateway-controller"},
}
# Traefik 3.7 goes by the length of a host's name: which of a.test and *.test comes first is chance, at each start.
EXACT = "shop.test"
OWN = [{**route, "host": EXACT} if route.get("host") == "a.test" else route for route in ROUTES]
APPLIED = ("Namespace", "Service", "Secret", "ClusterRole", "ClusterRoleBinding", "Gateway", "HTTPRoute")


def addon(address: str) -> list[dict[str, Any]]:
    """The addon's objects, and Traefik takes Gateways in the place of Ingresses."""
    found = [copy.deepcopy(item.object) for item in traefik.render([address], 80, 8443, 1)]
    deployment, role = (next(item for item in found if item["kind"] == kind) for kind in ("Deployment", "ClusterRole"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["args"] = [text for text in container["args"] if "kubernetesIngress" not in text]
    container["args"] += [
        "--providers.kubernetesGateway=true",
        f"--providers.kubernetesGateway.statusAddress.ip={address}",
    ]
    role["rules"] += [
        parts.rule(GROUP, ["*"], LOOK),
        parts.rule(GROUP, ["gatewayclasses/status", "gateways/status", "httproutes/status"], ["update"]),
        parts.rule("", ["namespaces", "configmaps"], LOOK),
    ]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apiserver.Server]:
    with apiserver.running(SERVERS[0], tmp_path_factory.mktemp("api")) as found:
        gatewayapi.define(found)
        yield found


@pytest.fixture(scope="module")
def controller(server: apiserver.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    address, numbers, pair = own_address(), free_numbers(), self_signed("tls.example")
    # A listener's port is Traefik's own one: there is nothing between.
    ways = {"port": numbers[traefik.PLAIN], "tls_port": numbers[traefik.ENCRYPTED]}
    target = replace(TARGET, offers=TARGET.offers | {"gateway"}, gateway_class="traefik", **ways)
    app = spec({name: served() for name in ("web", "other", "none")}, routes=OWN, **PAIR)
    made = objects(app, target)
    for item in made.values():
        if item.get("type") == "kubernetes.io/tls":
            item.pop("data", None)
            item["stringData"] = {"tls.crt": pair.certificate, "tls.key": pair.key}
    with echo(address) as web, echo(address) as other:
        own = addon(address)
        for item in (*own, CLASS, *made.values()):
            if item is CLASS or item["kind"] in APPLIED:
                server.apply(item, dry=False)
        ports = {"web": web, "other": other}
        for name, port in ports.items():
            server.apply(endpoints(TARGET.namespace, name, address, port), dry=False)
        with running(tmp_path_factory.mktemp("traefik"), server, own, numbers) as found:
            found.ports |= ports
            settled(found, other)
            yield found


def settled(controller: Controller, other: int) -> None:
    """It serves with the routes that it has seen until then; a host's is not there as soon as the first."""
    until = time.monotonic() + 90
    while controller.get("/long", EXACT)[1] != {"port": other, "path": "/long", "host": EXACT}:
        assert time.monotonic() < until, "the route of a host is not served"
        time.sleep(0.2)


@pytest.mark.parametrize(
    ("path", "host", "who", "seen"),
    [
        ("/seen?a=b", "any.example", "web", "/seen?a=b"),
        ("/strip/it/seen?a=b", "any.example", "web", "/seen?a=b"),
        ("/strip/it", "any.example", "web", "/"),
        ("/strip/item", "any.example", "web", "/strip/item"),
        ("/long", EXACT, "other", "/long"),
        ("/", "b.test", "web", "/"),
    ],
)
def test_a_request_goes_where_its_route_says(controller: Controller, path: str, host: str, who: str, seen: str) -> None:
    status, said, _ = controller.get(path, host)
    assert status == 200 and said == {"port": controller.ports[who], "path": seen, "host": host}


def test_this_controller_lets_a_long_path_without_a_host_go_before_a_host(controller: Controller) -> None:
    """By Gateway API a host goes first; Traefik goes by the length of both together. Ingresses are told by notes."""
    status, said, _ = controller.get("/long/and/longer/than/the/rule/of/any/host", EXACT)
    assert status == 200 and said["port"] == controller.ports["web"], "mended: then docs/kubernetes.md may say so"


def test_an_encrypted_route_answers_there_and_redirects_plain_requests(controller: Controller) -> None:
    number = controller.numbers[traefik.ENCRYPTED]
    status, said, _ = controller.get("/seen", "tls.example", traefik.ENCRYPTED)
    assert status == 200 and said["port"] == controller.ports["other"]
    status, _, where = controller.get("/seen?a=b", "tls.example")
    assert status == 301 and where == f"https://tls.example:{number}/seen?a=b"
    assert controller.get("/", "any.example", traefik.ENCRYPTED)[0] == 404


def test_the_gateways_status_tells_that_it_serves_and_where(controller: Controller, server: apiserver.Server) -> None:
    path, until = f"/apis/{GROUP}/v1/namespaces/{TARGET.namespace}", time.monotonic() + 60
    while unprogrammed(found := server.ask("GET", f"{path}/gateways/gateway")) and time.monotonic() < until:
        time.sleep(0.2)
    assert unprogrammed(found) is None and address_in(found) == own_address()


def test_every_route_is_accepted_by_the_listener_that_it_names(
    controller: Controller, server: apiserver.Server
) -> None:
    routes = server.ask("GET", f"/apis/{GROUP}/v1/namespaces/{TARGET.namespace}/httproutes")["items"]
    said = {item["metadata"]["name"]: item["status"]["parents"][0]["conditions"] for item in routes}
    assert len(said) == len(ROUTES) + 1
    for name, conditions in said.items():
        assert {item["type"]: item["status"] for item in conditions}["Accepted"] == "True", (name, conditions)


def test_one_that_nobody_controls_tells_what_is_missing(controller: Controller, server: apiserver.Server) -> None:
    listener = {"name": "http", "protocol": "HTTP", "port": 8080}
    nobodys = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "Gateway",
        "metadata": {"name": "nobodys", "namespace": TARGET.namespace},
        "spec": {"gatewayClassName": "nobodys", "listeners": [listener]},
    }
    assert unprogrammed(server.apply(nobodys, dry=False)) == "Waiting for controller"
