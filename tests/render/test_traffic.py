"""An app's ports and routes as listeners, routes and pools: on Docker behind names, on hosts behind loopback ports."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.errors import SpecError
from anytier.render.proxy import ProxyConfig, Route
from anytier.render.traffic import Publish, Traffic, certificate_pairs, internal_ports, is_http, on_docker, on_hosts
from anytier.spec import App

WEB = {"http": {"port": 80, "targetPort": 8080}}


def app(workloads: dict[str, Any], routes: list[dict[str, Any]] | None = None, **more: Any) -> App:
    """`workloads`: name -> its ports, or its body where it has `containers`."""
    main = {"main": {"image": "x"}}
    bodies = {
        name: {"containers": main, **(body if "service" in body else {"service": {"ports": body}})}
        for name, body in workloads.items()
    }
    data = {"metadata": {"name": "shop"}, "workloads": bodies, "routes": routes or [], **more}
    return App.model_validate({"apiVersion": "anytier.dev/v1", "kind": "App", **data})


def docker(made: App, port: int = 8080, tls_port: int = 8443) -> Traffic:
    return on_docker(made, port, tls_port, "/certificates")


def hosts(made: App, port: int = 8080, tls_port: int = 8443) -> Traffic:
    return on_hosts(made, "anytier-dev-shop", port, tls_port, "/certificates")


def route(**more: Any) -> dict[str, Any]:
    return {"workload": "web", "port": "http", "path": "/", **more}


def of(config: ProxyConfig, listener: str) -> list[Route]:
    return [item for item in config.routes if item.listener == listener]


# what is balanced


@pytest.mark.parametrize(
    ("ports", "balanced"),
    [
        ({"http": {"port": 80}}, True),
        ({"http-admin": {"port": 80}}, True),
        ({"web": {"port": 80}}, True),
        ({"api": {"port": 80}}, False),
        ({"api": {"port": 80, "appProtocol": "http"}}, True),
        ({"http": {"port": 80, "appProtocol": "redis"}}, False),
        ({"http": {"port": 80, "protocol": "UDP"}}, False),
    ],
)
def test_a_port_is_http_if_it_says_so_or_is_named_so(ports: dict[str, Any], balanced: bool) -> None:
    assert is_http(app({"web": ports}), "web", next(iter(ports))) is balanced


def test_a_port_is_http_if_a_route_leads_to_it_or_a_probe_asks_it() -> None:
    for wanted in ("api", 80):
        assert is_http(app({"web": {"api": {"port": 80}}}, [route(port=wanted)]), "web", "api")
    probed = {"main": {"image": "x", "livenessProbe": {"httpGet": {"port": 8080}}}}
    ports = {"api": {"port": 80, "targetPort": 8080}, "raw": {"port": 81}}
    made = app({"web": {"containers": probed, "service": {"ports": ports}}})
    assert is_http(made, "web", "api") and not is_http(made, "web", "raw")


# Docker


def test_on_docker_a_name_leads_to_the_proxy_and_the_port_to_its_pool() -> None:
    made = docker(app({"web": WEB, "store": {"http": {"port": 81}}}))
    assert made.aliases == ["store", "web"] and made.publish == []
    assert {name: item.address for name, item in made.config.listeners.items()} == {
        "service-80": ":80",
        "service-81": ":81",
    }
    assert [(item.listener, item.pool, item.host) for item in made.config.routes] == [
        ("service-80", "web/http", None),
        ("service-81", "store/http", None),
    ]
    assert set(made.config.pools) == {"web/http", "store/http"}


def test_on_docker_workloads_that_share_a_number_are_told_apart_by_host() -> None:
    made = docker(app({"web": WEB, "store": WEB}))
    assert [(item.pool, item.host) for item in of(made.config, "service-80")] == [
        ("web/http", "web"),
        ("store/http", "store"),
    ]


def test_on_docker_a_port_that_is_not_http_bypasses_the_proxy() -> None:
    made = docker(app({"db": {"sql": {"port": 5432}}, "web": WEB}))
    assert made.aliases == ["web"] and set(made.config.pools) == {"web/http"}


def test_on_docker_what_is_exposed_is_published_on_the_right_address() -> None:
    ports = {"http": {"port": 80, "expose": "host"}, "http-all": {"port": 81, "expose": "public"}}
    made = docker(app({"web": ports}, [route(), route(host="a.test", tls={"auto": True})]))
    assert made.publish == [
        Publish("127.0.0.1", 80, 48500),
        Publish("0.0.0.0", 81, 48501),
        Publish("0.0.0.0", 8080, 48080),
        Publish("0.0.0.0", 8443, 48443),
    ]
    listens = {item.address for item in made.config.listeners.values()}
    assert {f":{item.listen}" for item in made.publish} <= listens


@pytest.mark.parametrize("number", [48080, 48500])
def test_on_docker_a_service_cannot_have_the_proxys_own_numbers(number: int) -> None:
    ports = {"http": {"port": number}, "http-out": {"port": 81, "expose": "host"}}
    with pytest.raises(SpecError, match=rf"workloads\.web\.service\.ports\.http\.port: {number} is the proxy's own"):
        docker(app({"web": ports}, [route()]))


# hosts


def test_on_hosts_every_service_has_a_loopback_port_of_its_own() -> None:
    made = hosts(app({"web": WEB, "store": WEB}))
    numbers = internal_ports(app({"web": WEB, "store": WEB}), "anytier-dev-shop")
    assert len(set(numbers.values())) == 2 and made.publish == [] and made.aliases == []
    for name in ("web", "store"):
        listener = made.config.listeners[f"service-{name}-http"]
        assert listener.address == f"127.0.0.1:{numbers[name, 'http']}"
        assert [item.pool for item in of(made.config, f"service-{name}-http")] == [f"{name}/http"]


def test_on_hosts_exposed_ports_listen_where_they_say() -> None:
    ports = {"http": {"port": 90, "expose": "host"}, "http-all": {"port": 91, "expose": "public"}}
    listeners = hosts(app({"web": ports})).config.listeners
    assert listeners["expose-web-http"].address == "127.0.0.1:90"
    assert listeners["expose-web-http-all"].address == ":91"


def test_on_hosts_a_port_that_is_not_http_keeps_its_number() -> None:
    assert internal_ports(app({"db": {"sql": {"port": 5432}}}), "ns") == {("db", "sql"): 5432}


@given(st.sets(st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True), min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_loopback_ports_are_distinct_in_their_range_and_stay_when_others_go(
    names: set[str], data: st.DataObject
) -> None:
    numbers = internal_ports(app(dict.fromkeys(sorted(names), WEB)), "ns")
    assert len(set(numbers.values())) == len(names) and all(20000 <= number < 30000 for number in numbers.values())
    backwards = internal_ports(app(dict.fromkeys(sorted(names, reverse=True), WEB)), "ns")
    assert backwards == numbers
    one = data.draw(st.sampled_from(sorted(names)))
    alone = internal_ports(app({one: WEB}), "ns")
    free = all(numbers[key] == alone.get(key, numbers[key]) for key in numbers)
    assert free or abs(numbers[one, "http"] - alone[one, "http"]) < len(names)  # moved on by a neighbour's number


# the machine's numbers


@pytest.mark.parametrize("place", [docker, hosts])
@pytest.mark.parametrize(
    ("workloads", "routes", "said"),
    [
        (
            {"a": {"http": {"port": 90, "expose": "host"}}, "b": {"http": {"port": 90, "expose": "public"}}},
            [],
            r"workloads\.b\.service\.ports\.http: port 90 .* wanted by workloads\.a\.service\.ports\.http",
        ),
        (
            {"web": {"http": {"port": 8080, "expose": "host"}}},
            [route()],
            r"port 8080 of the machine is also wanted by .*(anytier:port|web).* -> .*anytier:port",
        ),
        (
            {"a": {"sql": {"port": 90, "expose": "host"}}, "b": {"http": {"port": 90, "expose": "host"}}},
            [],
            r"workloads\.b\.service\.ports\.http: port 90 of the machine is also wanted by workloads\.a",
        ),
    ],
)
def test_no_number_of_the_machine_is_given_twice(place: Any, workloads: Any, routes: Any, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        place(app(workloads, routes))


def test_on_hosts_two_programs_cannot_listen_on_one_number() -> None:
    made = app({"a": {"sql": {"port": 90}}, "b": {"sql": {"port": 90}}})
    with pytest.raises(SpecError, match=r"workloads\.b\.service\.ports\.sql: port 90"):
        hosts(made)
    assert docker(made).publish == []  # two containers can


def test_one_number_may_serve_tcp_and_udp() -> None:
    ports = {"dns": {"port": 53, "expose": "host"}, "dns-udp": {"port": 53, "protocol": "UDP", "expose": "host"}}
    assert docker(app({"dns": ports})).publish == []


# routes


def test_a_route_names_its_port_by_name_or_number() -> None:
    for wanted in ("http", 80, "80"):
        assert [item.pool for item in of(hosts(app({"web": WEB}, [route(port=wanted)])).config, "public")] == [
            "web/http"
        ]


def test_a_route_with_everything() -> None:
    made = hosts(app({"web": WEB}, [route(host="a.test", path="/shop", stripPrefix=True, timeout="90s")])).config
    expected = Route(listener="public", pool="web/http", host="a.test", path="/shop", strip_prefix=True, timeout=90)
    assert of(made, "public") == [expected] and made.listeners["public"].address == ":8080"


def test_tls_is_a_listener_of_its_own_and_plain_requests_are_sent_there() -> None:
    routes = [route(host="a.test", tls={"auto": True}), route(host="b.test", tls={"auto": True, "redirect": False})]
    made = docker(app({"web": WEB}, routes), tls_port=443).config
    assert [(item.host, item.mode) for item in made.listeners["public-tls"].tls] == [
        ("a.test", "auto"),
        ("b.test", "auto"),
    ]
    assert [(item.host, item.redirect) for item in of(made, "public")] == [("a.test", 443)]
    assert [item.redirect for item in of(made, "public-tls")] == [None, None]


def test_each_host_has_its_own_certificate() -> None:
    pairs = [{"certificate": f"{name}-crt", "key": f"{name}-key"} for name in ("a", "b")]
    secrets = {name: {"from": "env", "key": "X"} for pair in pairs for name in pair.values()}
    routes = [route(host=f"{n}.test", tls={"secretRef": pair}) for n, pair in zip("ab", pairs, strict=True)]
    made = app({"web": WEB}, routes, secrets=secrets)
    assert [(item.host, item.certificate, item.key) for item in hosts(made).config.listeners["public-tls"].tls] == [
        (f"{n}.test", f"/certificates/{n}-crt.crt", f"/certificates/{n}-crt.key") for n in "ab"
    ]
    assert certificate_pairs(made) == {"a-crt": ("a-crt", "a-key"), "b-crt": ("b-crt", "b-key")}


@pytest.mark.parametrize(("host", "mode"), [(None, "internal"), ("localhost", "internal"), ("a.test", "auto")])
def test_without_a_public_name_the_certificate_is_our_own(host: str | None, mode: str) -> None:
    made = hosts(app({"web": WEB}, [route(host=host, tls={})])).config
    assert [item.mode for item in made.listeners["public-tls"].tls] == [mode]
