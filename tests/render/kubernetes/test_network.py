"""Services, routes by what the cluster offers, the app's own router, and who may call whom."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.render.kubernetes.samples import TARGET, finished, objects, pod, rendered, served, spec, workload

from anytier.errors import CapabilityError, ConfigError, SpecError
from anytier.render.kubernetes import Offer, Target
from anytier.render.kubernetes.names import service_name

ROUTE = {"workload": "web", "port": "http"}


def offering(*more: Offer, **fields: Any) -> Target:
    return replace(TARGET, offers=TARGET.offers | set(more), **fields)


INGRESS = offering("ingress", ingress_class="nginx")
TRAEFIK = offering("ingress", ingress_class="traefik")
PAIR = {"secrets": {"c": {"from": "config"}, "k": {"from": "config"}}}
GIVEN = {"secretRef": {"certificate": "c", "key": "k"}}
GATEWAY = offering("gateway", gateway="infra/main")
OWN = offering("gateway", gateway_class="eg")
GOOGLES = offering("gateway", gateway_class="gke-l7-global-external-managed")


def routed(route: dict[str, Any], target: Target = TARGET, **more: Any) -> dict[str, Any]:
    return objects(spec({"web": served()}, routes=[{**ROUTE, **route}], **more), target)


# services


def test_a_service_leads_to_the_apps_own_ports() -> None:
    ports = {"http": {"port": 80, "targetPort": 8080, "appProtocol": "http"}, "dns": {"port": 53, "protocol": "UDP"}}
    made = objects(spec({"web": workload(service={"ports": ports})}))["web.service"]["spec"]
    assert made["ports"] == [
        {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP", "appProtocol": "http"},
        {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
    ]


def test_a_service_begins_with_a_letter_and_is_found_by_its_placeholder() -> None:
    app = spec({"9a": served(), "web": workload({"variables": {"URL": "${workloads.9a.host}"}})})
    made = objects(app)
    name = made["9a.service"]["metadata"]["name"]
    assert name == service_name("9a") and name[0].isalpha()
    called = {"name": "URL", "value": f"{name}.{TARGET.namespace}.svc.cluster.local"}
    assert made["web"]["spec"]["template"]["spec"]["containers"][0]["env"] == [called]
    elsewhere = objects(app, replace(TARGET, dns_domain="inside.example"))
    (env,) = elsewhere["web"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env["value"].endswith(".svc.inside.example")


def test_a_workload_without_ports_has_a_name_only_where_somebody_says_it() -> None:
    app = spec({"a": workload(), "b": workload({"variables": {"A": "${workloads.a.host}"}})})
    made = objects(app)
    assert made["a.service"]["spec"]["clusterIP"] == "None" and "b.service" not in made


@pytest.mark.parametrize("expose", ["host", "public"])
def test_what_is_exposed_is_on_the_clusters_addresses_or_a_load_balancers(expose: str) -> None:
    app = spec({"web": workload(service={"ports": {"tcp": {"port": 5000, "expose": expose}}})})
    assert objects(app)["web.exposed"]["spec"]["externalIPs"] == ["10.0.0.1", "10.0.0.2"]
    balanced = objects(app, offering("load-balancer"))["web.exposed"]["spec"]
    assert balanced["type"] == "LoadBalancer" and "externalIPs" not in balanced
    with pytest.raises(CapabilityError, match="takes requests from outside"):
        rendered(app, replace(TARGET, addresses=()))


def test_an_exposed_port_does_not_take_the_routes() -> None:
    exposed = {"http": {"port": 8080, "expose": "public"}}
    with pytest.raises(SpecError, match="the routes' own"):
        rendered(spec({"web": workload(service={"ports": exposed})}, routes=[ROUTE]))


RESERVED = replace(TARGET, reserved=frozenset({22, 6443}))


def test_an_exposed_port_does_not_take_the_machines_own() -> None:
    """Each node would send what comes for its own address to pods: SSH would be lost, or the API server."""

    def app(**port: Any) -> Any:
        return spec({"web": workload(service={"ports": {"ssh": {"port": 22, **port}}})})

    for expose in ("host", "public"):
        with pytest.raises(SpecError, match="port 22 is the machines' own") as caught:
            rendered(app(expose=expose), RESERVED)
        assert (
            caught.value.path == "workloads.web.service.ports.ssh" and "`targetPort` may be this one" in caught.value.do
        )
    rendered(app(), RESERVED)
    rendered(app(expose="host", protocol="UDP"), RESERVED)
    rendered(app(expose="host", port=2222, targetPort=22), RESERVED)
    rendered(app(expose="host"), replace(RESERVED, offers=TARGET.offers | {"load-balancer"}))


def test_the_routes_do_not_take_the_machines_own_ports() -> None:
    app = spec({"web": served()}, routes=[ROUTE])
    with pytest.raises(
        ConfigError, match=r"anytier:port: is 6443, which is the machines' own.*config set anytier:port"
    ):
        rendered(app, replace(RESERVED, port=6443))
    rendered(app, replace(RESERVED, tls_port=6443))
    rendered(spec(), replace(RESERVED, port=6443))
    encrypted = spec({"web": served()}, routes=[{**ROUTE, "host": "a.test", "tls": {}}])
    with pytest.raises(ConfigError, match="anytier:tlsPort: is 6443"):
        rendered(encrypted, replace(RESERVED, tls_port=6443))
    rendered(app, replace(RESERVED, port=6443, offers=TARGET.offers | {"load-balancer"}))


def test_a_protocol_that_no_cluster_takes_is_refused() -> None:
    ports = {"http": {"port": 80, "appProtocol": "a b"}}
    with pytest.raises(SpecError, match="no protocol's name"):
        rendered(spec({"web": workload(service={"ports": ports})}))


# routes


def test_an_ingress_where_the_cluster_has_a_class_of_it() -> None:
    pair = {"secrets": {"c": {"from": "config"}, "k": {"from": "config"}}}
    tls = {"secretRef": {"certificate": "c", "key": "k"}}
    made = routed({"host": "a.test", "path": "/x", "tls": tls}, INGRESS, **pair)
    found = made["route/a.test"]
    assert (found["kind"], found["spec"]["ingressClassName"]) == ("Ingress", "nginx")
    [rule] = found["spec"]["rules"]
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    assert rule["host"] == "a.test"
    assert rule["http"]["paths"] == [{"path": "/x", "pathType": "Prefix", "backend": backend}]
    held = made["ingress-certificate/c"]
    assert held["type"] == "kubernetes.io/tls"
    assert found["spec"]["tls"] == [{"hosts": ["a.test"], "secretName": held["metadata"]["name"]}]
    assert "router/proxy" not in made


@pytest.mark.parametrize("field", [{"path": "/x", "stripPrefix": True}, {"timeout": 5}, {"host": "a.b", "tls": {}}])
def test_what_an_ingress_cannot_say_is_refused(field: dict[str, Any]) -> None:
    with pytest.raises(CapabilityError, match=r"routes\[0\]\."):
        routed(field, INGRESS)


def by_gateway(*routes: dict[str, Any], target: Target = OWN, **more: Any) -> dict[str, Any]:
    return objects(spec({"web": served()}, routes=[{**ROUTE, **route} for route in routes], **more), target)


def http_routes(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [item["spec"] for key, item in made.items() if key.startswith("route/")]


def test_a_gateway_takes_prefixes_off_and_has_time_limits() -> None:
    made = next(
        item
        for item in routed({"path": "/x", "stripPrefix": True, "timeout": 1.5}, GATEWAY).values()
        if item["kind"] == "HTTPRoute"
    )
    assert made["spec"]["parentRefs"] == [{"name": "main", "namespace": "infra"}]
    [rule] = made["spec"]["rules"]
    assert rule["filters"][0]["urlRewrite"]["path"] == {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    assert rule["timeouts"] == {"request": "1s500ms"} and rule["backendRefs"] == [{"name": "web", "port": 80}]
    with pytest.raises(CapabilityError, match="a Gateway's own listeners"):
        routed({"host": "a.b", "tls": {}}, GATEWAY)


SIZES = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}


@given(st.floats(0, 366 * 86400) | st.integers(1, 366 * 86400))
@example(120).via("minutes")
@example(366 * 86400 - 0.001).via("every unit")
def test_a_gateway_takes_every_time_limit(seconds: float) -> None:
    """By the pattern of Gateway API's own definition of an HTTPRoute."""
    [route] = http_routes(routed({"timeout": seconds}, GATEWAY))
    [rule] = route["rules"]
    if not seconds:
        assert "timeouts" not in rule
        return
    text = rule["timeouts"]["request"]
    assert re.fullmatch(r"([0-9]{1,5}(h|m|s|ms)){1,4}", text)
    total = sum(int(count) * SIZES[unit] for count, unit in re.findall(r"([0-9]+)([a-z]+)", text))
    assert total == max(1, round(seconds * 1000))


def test_a_gateway_that_is_there_is_all_that_an_app_names() -> None:
    made = by_gateway({}, {"host": "a.test"}, target=GATEWAY)
    assert {item["kind"] for item in made.values()} & {"Gateway", "HTTPRoute"} == {"HTTPRoute"}
    assert [each.get("hostnames") for each in http_routes(made)] == [None, ["a.test"]]
    assert "router/proxy" not in made and "policy/gateway" not in made


def test_an_app_has_a_gateway_of_its_own_with_a_listener_for_each_encrypted_host() -> None:
    made = by_gateway({}, {"host": "a.test", "tls": GIVEN}, {"host": "*.test", "tls": GIVEN}, **PAIR)
    found = made["app/gateway"]["spec"]
    assert found["gatewayClassName"] == "eg" and "addresses" not in found
    secret = made["ingress-certificate/c"]["metadata"]["name"]
    assert [(item["name"], item["protocol"], item["port"], item.get("hostname")) for item in found["listeners"]] == [
        ("http", "HTTP", 8080, None),
        ("https-a.test", "HTTPS", 8443, "a.test"),
        ("https-wildcard.test", "HTTPS", 8443, "*.test"),
    ]
    assert found["listeners"][1]["tls"] == {"mode": "Terminate", "certificateRefs": [{"name": secret}]}
    after = rendered(spec({"web": served()}, routes=[{**ROUTE, "host": "a.test", "tls": GIVEN}], **PAIR), OWN)
    assert "app/gateway" in after["route/a.test"].after and "ingress-certificate/c" in after["app/gateway"].after


def test_plain_requests_for_an_encrypted_route_are_sent_there() -> None:
    for port, said in ((8443, {"port": 8443}), (443, {})):
        encrypted, plain = http_routes(
            by_gateway({"host": "a.test", "tls": GIVEN}, target=replace(OWN, tls_port=port), **PAIR)
        )
        assert encrypted["parentRefs"] == [{"name": "gateway", "sectionName": "https-a.test"}]
        assert plain["parentRefs"] == [{"name": "gateway", "sectionName": "http"}]
        [rule] = plain["rules"]
        assert rule["filters"][0]["requestRedirect"] == {"scheme": "https", "statusCode": 301, **said}
        assert "backendRefs" not in rule
    alone = by_gateway({"host": "a.test", "tls": {**GIVEN, "redirect": False}}, **PAIR)
    assert len(http_routes(alone)) == 1 and len(alone["app/gateway"]["spec"]["listeners"]) == 1


def test_pods_of_ones_own_gateway_are_called_by_everybody() -> None:
    found = by_gateway({})["policy/gateway"]["spec"]
    assert found["podSelector"] == {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "gateway"}}
    assert found["ingress"] == found["egress"] == [{}]
    assert not {"policy/gateway", "app/gateway"} & objects(spec({"web": served()}), OWN).keys()


@pytest.mark.parametrize(
    ("routes", "path", "said"),
    [
        ([{"host": "a.b", "tls": {}}], "routes[0].tls", "fetches certificates for a Gateway"),
        ([{}, {"path": "/a//b"}], "routes[1].path", "no path of an HTTPRoute"),
        ([{"path": "/a/./b"}], "routes[0].path", "no path of an HTTPRoute"),
        ([{"path": "/a{b}"}], "routes[0].path", "no path of an HTTPRoute"),
        ([{"path": "/" + "a" * 1024}], "routes[0].path", "no path of an HTTPRoute"),
        ([{"host": f"{n}.test", "tls": GIVEN} for n in range(64)], "routes", "at most 64 listeners"),
    ],
)
def test_what_a_gateway_cannot_do_is_refused_by_name(routes: list[dict[str, Any]], path: str, said: str) -> None:
    with pytest.raises(CapabilityError, match=said) as caught:
        by_gateway(*routes, **PAIR)
    assert caught.value.path == path and "router" in caught.value.do


# google's gateways


def test_googles_load_balancer_sees_that_a_pod_serves_by_its_readiness_probe() -> None:
    probe = {
        "httpGet": {"port": 8081, "path": "/ready", "host": "shop.test"},
        "periodSeconds": 30,
        "failureThreshold": 20,
    }
    app = spec({"web": served({"readinessProbe": probe})}, routes=[ROUTE])
    for target in (GOOGLES, replace(GOOGLES, gateway="infra/web")):
        found = objects(app, target)["web.health-check"]["spec"]
        assert found["targetRef"] == {"group": "", "kind": "Service", "name": "web"}
        assert found["default"] == {
            "checkIntervalSec": 5,
            "timeoutSec": 1,
            "healthyThreshold": 1,
            "unhealthyThreshold": 10,
            "config": {
                "type": "HTTP",
                "httpHealthCheck": {
                    "portSpecification": "USE_FIXED_PORT", "port": 8081, "host": "shop.test", "requestPath": "/ready",
                },
            },
        }  # fmt: skip
    [bare] = [item for key, item in by_gateway({}, target=GOOGLES).items() if key == "web.health-check"]
    assert bare["spec"]["default"]["config"]["type"] == "TCP"
    assert "web.health-check" not in by_gateway({})


def test_googles_load_balancer_waits_as_long_as_the_routes_say() -> None:
    made = by_gateway({"timeout": 90.5}, {"path": "/x", "timeout": 90.5}, target=GOOGLES)
    assert made["web.backend"]["spec"]["default"]["timeoutSec"] == 91
    assert all("timeouts" not in each["rules"][0] for each in http_routes(made))
    assert by_gateway({}, target=GOOGLES)["web.backend"]["spec"]["default"]["timeoutSec"] == 86_400
    with pytest.raises(CapabilityError, match=r"routes\[1\].timeout: .*one time limit"):
        by_gateway({"timeout": 90}, {"path": "/x"}, target=GOOGLES)


def test_googles_gateway_gets_the_address_that_was_made_for_it() -> None:
    found = by_gateway({}, target=replace(GOOGLES, gateway_address="shop"))
    assert found["app/gateway"]["spec"]["addresses"] == [{"type": "NamedAddress", "value": "shop"}]
    assert "policy/gateway" not in found, "its pods are nowhere"


# traefik


def ingresses(*routes: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = objects(spec({"web": served()}, routes=[{**ROUTE, **route} for route in routes], **more), TRAEFIK)
    return {key.removeprefix("route/"): item for key, item in made.items() if key.startswith("route/")}


def noted(item: dict[str, Any]) -> dict[str, str]:
    return {key.rpartition(".")[2]: text for key, text in item["metadata"]["annotations"].items()}


def test_traefik_has_an_ingress_for_each_route_and_takes_prefixes_off() -> None:
    made = ingresses({}, {"path": "/x/y", "stripPrefix": True}, {"path": "/x-y"}, {"host": "a.test"})
    assert len(made) == 4 and {"any", "a.test"} <= {*made}
    assert noted(made["any"]) == {"entrypoints": "web", "priority": "1000001"}
    by_path = {item["spec"]["rules"][0]["http"]["paths"][0]["path"]: item for key, item in made.items() if key != "any"}
    assert noted(by_path["/x/y"])["middlewares"] == "strip-2@file" and "middlewares" not in noted(by_path["/x-y"])
    assert {item["spec"]["ingressClassName"] for item in made.values()} == {"traefik"}


def test_a_host_goes_before_a_wildcard_and_that_before_any_path() -> None:
    long = "/" + "x" * 200
    made = ingresses({"host": "a.test"}, {"host": "*.test"}, {"path": long})
    ranks = [int(noted(item)["priority"]) for item in made.values()]
    assert ranks == sorted(ranks, reverse=True) and len({*ranks}) == 3


def test_a_given_certificate_is_traefiks_and_plain_requests_are_sent_there() -> None:
    made = ingresses({"host": "a.test", "path": "/x", "tls": GIVEN}, **PAIR)
    encrypted, plain = made.values()
    assert noted(encrypted)["entrypoints"] == "websecure" and noted(encrypted)["tls"] == "true"
    assert encrypted["spec"]["tls"][0]["hosts"] == ["a.test"]
    assert noted(plain)["entrypoints"] == "web" and noted(plain)["middlewares"] == "to-https@file"
    assert "tls" not in plain["spec"] and "tls" not in noted(plain)
    assert len(ingresses({"host": "a.test", "tls": {**GIVEN, "redirect": False}}, **PAIR)) == 1


@pytest.mark.parametrize(
    ("field", "way_out"),
    [
        ({"timeout": 5}, "then the app has a router"),
        ({"host": "a.b", "tls": {}}, "tls.secretRef, or let the cluster offer neither Gateway nor Ingress"),
        ({"path": "/a" * 9, "stripPrefix": True}, "then the app has a router"),
    ],
)
def test_what_traefik_cannot_do_is_refused_with_a_way_out(field: dict[str, Any], way_out: str) -> None:
    with pytest.raises(CapabilityError, match=r"routes\[0\]\.") as caught:
        ingresses(field)
    assert way_out in caught.value.do


def test_the_numbers_of_a_controller_on_the_machines_are_no_workloads() -> None:
    exposed = {"http": {"port": 80}, "own": {"port": TARGET.port, "expose": "public"}}
    with pytest.raises(SpecError, match="the routes' own"):
        rendered(spec({"web": workload(service={"ports": exposed})}), TRAEFIK)
    rendered(
        spec({"web": workload(service={"ports": exposed})}),
        replace(TRAEFIK, offers=frozenset({"ingress", "load-balancer"})),
    )


def test_whoever_a_route_leads_to_lets_the_controller_in() -> None:
    made = objects(spec({"web": served()}, routes=[ROUTE]), TRAEFIK)
    assert [{*rule} for rule in made["web.policy"]["spec"]["ingress"]] == [{"ports"}]
    assert "router/policy" not in made and "router/proxy" not in made


# the router


def caddy(made: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made["router/config"]["data"]["caddy.json"])
    return found


def proxies(made: dict[str, Any], server: str = "public") -> list[dict[str, Any]]:
    routes = caddy(made)["apps"]["http"]["servers"][server]["routes"]
    return [handler for route in routes for handler in route["handle"] if handler["handler"] == "reverse_proxy"]


def test_the_router_leads_to_services_and_keeps_no_connection() -> None:
    made = routed({"path": "/x", "stripPrefix": True, "timeout": 7})
    [proxy] = proxies(made)
    assert proxy["upstreams"] == [{"dial": "web:80"}]
    assert proxy["transport"]["keep_alive"] == {"enabled": False}
    assert proxy["transport"]["response_header_timeout"] == "7s" and proxy["load_balancing"]["try_duration"] == "5s"
    assert "strip_path_prefix" in json.dumps(caddy(made)) and caddy(made)["admin"]["disabled"]


def test_the_router_is_two_that_start_first_and_is_reached_where_the_stack_says() -> None:
    made = routed({})
    assert made["router/proxy"]["kind"] == "Deployment" and made["router/proxy"]["spec"]["replicas"] == 2
    service = made["router/service"]["spec"]
    assert service["ports"] == [{"name": "http", "port": 8080, "targetPort": 8080, "protocol": "TCP"}]
    assert service["externalIPs"] == ["10.0.0.1", "10.0.0.2"]
    name = made["router/config"]["metadata"]["name"]
    assert pod(made["router/proxy"])["volumes"][0]["configMap"]["name"] == name
    assert routed({"path": "/other"})["router/config"]["metadata"]["name"] != name


def test_given_certificates_lie_beside_the_router() -> None:
    pair = {"secrets": {"c": {"from": "config"}, "k": {"from": "config"}}}
    made = routed({"host": "a.test", "tls": {"secretRef": {"certificate": "c", "key": "k"}}}, **pair)
    held = made["certificate/c"]["metadata"]["name"]
    volume = next(item for item in pod(made["router/proxy"])["volumes"] if item["name"] == "certificates")
    assert volume["projected"]["sources"][0]["secret"]["name"] == held
    loaded = caddy(made)["apps"]["tls"]["certificates"]["load_files"]
    assert loaded == [
        {"certificate": "/etc/anytier/certificates/c.crt", "key": "/etc/anytier/certificates/c.key"},
    ]
    assert [port["port"] for port in made["router/service"]["spec"]["ports"]] == [8080, 8443]
    [redirect] = [route for route in caddy(made)["apps"]["http"]["servers"]["public"]["routes"] if "match" in route]
    assert ":8443" in json.dumps(redirect)


def test_automatic_certificates_need_one_router_with_a_volume() -> None:
    made = routed({"host": "a.test", "tls": {}})
    assert made["router/proxy"]["kind"] == "StatefulSet" and made["router/proxy"]["spec"]["replicas"] == 1
    assert made["router/volume"]["kind"] == "PersistentVolumeClaim" and "router/budget" not in made
    with pytest.raises(CapabilityError, match="makes volumes"):
        routed({"host": "a.test", "tls": {}}, replace(TARGET, offers=frozenset()))


def test_the_routers_name_is_its_own() -> None:
    with pytest.raises(SpecError, match="the app's own router"):
        rendered(spec({"anytier-router": workload()}))


# policies


def test_nothing_goes_in_and_only_what_must_goes_out() -> None:
    """By one policy a way: kube-router takes what one of both ways lets out for a permission to come in."""
    made = objects(spec())
    inward, outward = made["policy/default"]["spec"], made["policy/outward"]["spec"]
    assert inward == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert (outward["podSelector"], outward["policyTypes"]) == ({}, ["Egress"])
    assert "169.254.0.0/16" in json.dumps(outward["egress"])
    assert {"protocol": "UDP", "port": 53} in outward["egress"][0]["ports"]


def test_who_depends_on_a_workload_or_names_it_may_call_it() -> None:
    app = spec(
        {
            "db": served(),
            "a": workload(dependsOn={"db": {}}),
            "b": workload({"variables": {"DB": "${workloads.db.ports.http}"}}),
            "c": workload(),
        },
        jobs={"j": workload(trigger="preDeploy", dependsOn={"db": {}})},
    )
    made = objects(app)
    [rule] = made["db.policy"]["spec"]["ingress"]
    labels = [tuple(item["podSelector"]["matchLabels"].items()) for item in rule["from"]]
    assert labels == [
        (("anytier.dev/job", "j"),), (("anytier.dev/workload", "a"),), (("anytier.dev/workload", "b"),),
    ]  # fmt: skip
    assert rule["ports"] == [{"protocol": "TCP", "port": 8080}], "by then a Service's number is gone"
    assert made["a.policy"]["spec"]["egress"] and made["job/j.policy"]["spec"]["egress"] and "c.policy" not in made


def test_a_route_opens_its_port_for_the_router_only_and_an_exposed_one_is_for_all() -> None:
    ports = {"http": {"port": 80, "targetPort": 8080}, "raw": {"port": 5000, "expose": "public"}}
    app = spec({"web": workload(service={"ports": ports})}, routes=[ROUTE])
    by_router, by_all = objects(app)["web.policy"]["spec"]["ingress"]
    assert by_router["from"] == [{"podSelector": {"matchLabels": {"anytier.dev/router": "anytier-router"}}}]
    assert by_router["ports"] == [{"protocol": "TCP", "port": 8080}]
    assert by_all == {"ports": [{"protocol": "TCP", "port": 5000}]}
    [by_ingress] = objects(spec({"web": served()}, routes=[ROUTE]), INGRESS)["web.policy"]["spec"]["ingress"]
    assert by_ingress == {"ports": [{"protocol": "TCP", "port": 8080}]}


EXPOSED = workload(service={"ports": {"tcp": {"port": 5000, "expose": "public"}}})
CLASSED = offering("load-balancer", addresses=(), balancer_class="example.org/nlb", balancer={"note": "it"})


def test_a_service_of_a_class_has_a_name_of_its_own_since_its_class_never_changes() -> None:
    app = spec({"web": served(), "db": EXPOSED}, routes=[ROUTE])
    for target, end, held in ((CLASSED, "-nlb", "example.org/nlb"), (replace(CLASSED, balancer_class=None), "", None)):
        found = objects(app, target)
        for key, name in (("router/service", "anytier-router"), ("db.exposed", "db-exposed")):
            assert found[key]["metadata"]["name"] == f"{name}{end}" and found[key]["metadata"]["annotations"]["note"]
            assert found[key]["spec"].get("loadBalancerClass") == held
        inside = found["web.service"]
        assert inside["metadata"]["name"] == "web" and "loadBalancerClass" not in inside["spec"]


@pytest.mark.parametrize(
    ("name", "target", "at"),
    [
        ("anytier-router-nlb", CLASSED, "anytier-router-nlb"),
        ("db-exposed", offering("load-balancer", addresses=()), "db-exposed"),
    ],
)
def test_a_workload_that_is_called_like_anothers_service_is_refused(name: str, target: Target, at: str) -> None:
    app = spec({"web": served(), "db": EXPOSED, name: served()}, routes=[ROUTE])
    with pytest.raises(SpecError) as caught:
        rendered(app, target)
    assert caught.value.path in (f"workloads.{at}", "workloads.db") and name in caught.value.what


def test_a_load_balancers_service_of_the_router() -> None:
    found = rendered(spec({"web": served()}, routes=[ROUTE]), offering("load-balancer", addresses=()))
    assert finished(found["router/service"].object)["spec"]["type"] == "LoadBalancer"
