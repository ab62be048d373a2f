"""The proxy's config: read back as it was, routed as its routes say, and taken by the real Caddy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anytier.acme import Acme
from anytier.conformance.certificate import self_signed
from anytier.render import caddy
from anytier.render.proxy import HealthCheck, Listener, Pool, ProxyConfig, Route, Tls, Upstream

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ports = st.integers(1, 65535)
dials = st.builds(lambda host, port: f"{host}:{port}", st.sampled_from(["127.0.0.1", "web-r1-0", "[::1]"]), ports)
paths = st.lists(st.sampled_from(["a", "b", "ab", "é", "x y", "%41"]), max_size=3).map(
    lambda parts: "/" + "/".join(parts)
)
hosts = st.none() | st.sampled_from(["a.test", "b.a.test", "*.a.test", "*.test"])
checks = st.builds(
    HealthCheck,
    path=texts.map("/".__add__),
    interval=st.floats(0.5, 60),
    timeout=st.floats(0.1, 30),
    fails=st.integers(1, 9),
)
configs = st.builds(
    ProxyConfig,
    listeners=st.dictionaries(
        st.sampled_from(["public", "service-80", "expose-web-http"]),
        st.builds(Listener, address=ports.map(":{}".format), tls=st.lists(st.builds(Tls, host=hosts), max_size=2)),
    ),
    routes=st.lists(
        st.builds(
            Route,
            listener=st.sampled_from(["public", "service-80", "gone"]),
            pool=st.sampled_from(["web/http", "store/http", "gone/x"]),
            host=hosts,
            path=paths | texts.map("/".__add__),
            strip_prefix=st.booleans(),
            timeout=st.none() | st.floats(0, 600),
            redirect=st.none() | ports,
        ),
        max_size=5,
    ),
    pools=st.dictionaries(
        st.sampled_from(["web/http", "store/http"]) | texts,
        st.builds(
            Pool,
            health=st.none() | checks,
            upstreams=st.lists(st.builds(Upstream, dial=dials, draining=st.booleans()), max_size=3),
        ),
        max_size=3,
    ),
    grace=st.floats(0, 600),
)


@given(configs)
@settings(max_examples=300, deadline=None)
def test_any_config_is_read_back_from_what_runs(config: ProxyConfig) -> None:
    running = json.loads(json.dumps(caddy.render(config, "/run/admin.sock", "/srv", "127.0.0.1:9")))
    assert caddy.parse(running) == (config if config.listeners else ProxyConfig())


def test_a_proxy_that_was_never_configured_does_nothing() -> None:
    assert caddy.parse({}) == ProxyConfig() == caddy.parse({"apps": None})


# who answers


def answer(server: dict[str, Any], host: str, path: str) -> dict[str, Any]:
    """The last handler of the first route that matches, by Caddy's own rules for its host and path matchers."""
    for route in server["routes"]:
        sets = route.get("match", [])
        if route.get("terminal") and (not sets or any(_matches(m, host, path) for m in sets)):
            return dict(route["handle"][-1])
    raise AssertionError("no answer at all")


def _matches(match: dict[str, list[str]], host: str, path: str) -> bool:
    return _host(match.get("host"), host) and _path(match.get("path"), path)


def _host(wanted: list[str] | None, host: str) -> bool:
    labels = host.split(".")
    return wanted is None or any(_fits(item.split("."), labels) for item in wanted)


def _fits(pattern: list[str], labels: list[str]) -> bool:
    return len(pattern) == len(labels) and all(
        part in ("*", label) for part, label in zip(pattern, labels, strict=True)
    )


def _path(wanted: list[str] | None, path: str) -> bool:
    return wanted is None or any(
        path.lower().startswith(item[:-1].lower()) if item.endswith("*") else path.lower() == item.lower()
        for item in wanted
    )


def expected(routes: list[Route], host: str, path: str) -> str | None:
    """The pool of the most specific route: an exact host beats a pattern, which beats none; then the longest path."""
    fitting = [r for r in routes if _host([r.host] if r.host else None, host) and _under(r.path.rstrip("/"), path)]
    best = sorted(fitting, key=lambda r: (r.host is not None, "*" not in (r.host or "*"), len(r.path.rstrip("/"))))
    return best[-1].pool if best else None


def _under(prefix: str, path: str) -> bool:
    return not prefix or path.lower() == prefix.lower() or path.lower().startswith(prefix.lower() + "/")


@given(
    st.lists(st.tuples(st.sampled_from([None, "a.test", "*.test"]), paths), unique=True, min_size=1, max_size=6),
    st.sampled_from(["a.test", "b.test", "a.b.test", "other"]),
    paths,
)
@settings(max_examples=500)
def test_the_most_specific_route_answers(wanted: list[tuple[str | None, str]], host: str, path: str) -> None:
    routes = [Route(listener="public", pool=f"p{n}", host=host, path=path) for n, (host, path) in enumerate(wanted)]
    pools = {route.pool: Pool(upstreams=[Upstream(dial=f"{route.pool}:80")]) for route in routes}
    config = ProxyConfig(listeners={"public": Listener(address=":80")}, routes=routes, pools=pools)
    said = answer(caddy.render(config)["apps"]["http"]["servers"]["public"], host, path)
    pool = expected(routes, host, path)
    if pool is None:
        assert said["handler"] == "static_response" and said["status_code"] == 404
    else:
        assert said["upstreams"] == [{"dial": f"{pool}:80"}]


def public(*routes: Route, pool: Pool | None = None, **listener: Any) -> ProxyConfig:
    made = Pool(upstreams=[Upstream(dial="127.0.0.1:1000")]) if pool is None else pool
    return ProxyConfig(
        listeners={"public": Listener(address="127.0.0.1:0", **listener)}, routes=list(routes), pools={"web/http": made}
    )


def handlers(config: ProxyConfig) -> list[dict[str, Any]]:
    server = caddy.render(config)["apps"]["http"]["servers"]["public"]
    return [handler for route in server["routes"] for handler in route["handle"]]


ROUTE = Route(listener="public", pool="web/http")


def test_a_draining_upstream_gets_nothing_new_and_is_still_counted() -> None:
    pool = Pool(upstreams=[Upstream(dial="127.0.0.1:1000"), Upstream(dial="127.0.0.1:1001", draining=True)])
    server = caddy.render(public(ROUTE, pool=pool))["apps"]["http"]["servers"]["public"]
    assert answer(server, "any", "/")["upstreams"] == [{"dial": "127.0.0.1:1000"}]
    assert answer(server, "draining.invalid", "/")["upstreams"] == [{"dial": "127.0.0.1:1000"}]  # nobody reaches it
    drained = [
        item for item in handlers(public(ROUTE, pool=pool)) if item.get("upstreams") == [{"dial": "127.0.0.1:1001"}]
    ]
    assert len(drained) == 1


def test_where_nobody_is_ready_the_answer_is_to_come_again() -> None:
    server = caddy.render(public(ROUTE, pool=Pool()))["apps"]["http"]["servers"]["public"]
    said = answer(server, "any", "/")
    assert said["status_code"] == 503 and said["headers"] == {"Retry-After": ["1"]}


def test_a_prefix_is_taken_off_only_where_asked() -> None:
    strip = Route(listener="public", pool="web/http", path="/shop/", strip_prefix=True)
    keep = Route(listener="public", pool="web/http", path="/shop")
    assert {"handler": "rewrite", "strip_path_prefix": "/shop"} in handlers(public(strip))
    assert all(item["handler"] != "rewrite" for item in handlers(public(keep)))


def test_a_redirect_keeps_host_path_and_query() -> None:
    said = handlers(public(Route(listener="public", pool="web/http", redirect=8443)))[1]
    assert said["headers"]["Location"] == ["https://{http.request.host}:8443{http.request.uri}"]
    usual = handlers(public(Route(listener="public", pool="web/http", redirect=443)))[1]
    assert usual["headers"]["Location"] == ["https://{http.request.host}{http.request.uri}"]


# the real one


def certificate(folder: Path) -> dict[str, str]:
    made = self_signed("a.test")
    (folder / "tls.crt").write_text(made.certificate)
    (folder / "tls.key").write_text(made.key)
    return {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")}


def everything(folder: Path) -> ProxyConfig:
    tls = [Tls(mode="files", host="a.test", **certificate(folder)), Tls(mode="internal", host="b.test")]
    tls += [Tls(mode="internal"), Tls(mode="auto", host="c.test")]
    upstreams = [Upstream(dial="127.0.0.1:1000"), Upstream(dial="127.0.0.1:1001", draining=True)]
    health = HealthCheck(path="/healthz?a=b c", interval=0.5, timeout=0.25, fails=3)
    return ProxyConfig(
        listeners={"public": Listener(address=":18080"), "public-tls": Listener(address=":18443", tls=tls)},
        routes=[
            Route(listener="public-tls", pool="web/http", host="a.test", path="/shop", strip_prefix=True, timeout=1.5),
            Route(listener="public-tls", pool="web/http", host="*.test"),
            Route(listener="public", pool="web/http", redirect=8443),
            Route(listener="public", pool="gone/http", path="/é %41 {http.request.uri}"),
        ],
        pools={"web/http": Pool(health=health, upstreams=upstreams)},
        grace=1.5,
        acme=Acme(directory="https://ca.example.org/dir", email="ops@example.org"),
    )


def validate(config: ProxyConfig, folder: Path, **options: str) -> subprocess.CompletedProcess[str]:
    path = folder / "caddy.json"
    path.write_text(json.dumps(caddy.render(config, **options)), encoding="utf-8")  # type: ignore[arg-type]
    command = [str(Path(sys.executable).with_name("caddy")), "validate", "--config", str(path)]
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env)


@pytest.mark.parametrize("kind", ["empty", "everything", "with admin, storage and status"])
def test_caddy_itself_takes_it(kind: str, tmp_path: Path) -> None:
    config = ProxyConfig() if kind == "empty" else everything(tmp_path)
    options = {
        "admin_socket": str(tmp_path / "admin.sock"),
        "storage": str(tmp_path),
        "status_listen": "127.0.0.1:18444",
    }
    done = validate(config, tmp_path, **(options if kind.startswith("with") else {}))
    assert done.returncode == 0 and "Valid configuration" in done.stdout, done.stderr[-2000:]


def test_caddy_itself_refuses_what_is_wrong(tmp_path: Path) -> None:
    """Lest the test above passes whatever is rendered."""
    twice = ProxyConfig(listeners={name: Listener(address=":18080") for name in ("a", "b")})
    done = validate(twice, tmp_path)
    assert done.returncode != 0 and "listener address repeated" in done.stderr


def fetching(**more: object) -> ProxyConfig:
    tls = [Tls(mode="auto", host="shop.example"), Tls(mode="internal", host="localhost")]
    plain, encrypted = Listener(address=":48080"), Listener(address="0.0.0.0:48443", tls=tls)
    made = ProxyConfig(listeners={"service-9": plain, "public": plain, "public-tls": encrypted})
    return made.model_copy(update=more)


def test_an_authority_of_the_users_choice_issues_what_is_automatic_and_nothing_else() -> None:
    acme = Acme(directory="https://ca.example.org/dir", email="ops@example.org")
    policies = caddy.render(fetching(acme=acme))["apps"]["tls"]["automation"]["policies"]
    issuer = {"module": "acme", "ca": "https://ca.example.org/dir", "email": "ops@example.org"}
    assert [item for item in policies if item["issuers"] == [issuer]] == [
        {"subjects": ["shop.example"], "issuers": [issuer]}
    ]
    assert {"subjects": ["localhost"], "issuers": [{"module": "internal"}]} in policies
    usual = caddy.render(fetching())["apps"]["tls"]["automation"]["policies"]
    assert [item["subjects"] for item in usual] == [["localhost"]]


def test_the_authoritys_questions_are_awaited_where_they_arrive() -> None:
    http = caddy.render(fetching())["apps"]["http"]
    assert (http["http_port"], http["https_port"]) == (48080, 48443)
    alone = fetching(listeners={"public-tls": fetching().listeners["public-tls"]})
    assert "http_port" not in caddy.render(alone)["apps"]["http"]
    inside = Listener(address=":48443", tls=[Tls(mode="internal")])
    assert "https_port" not in caddy.render(ProxyConfig(listeners={"public-tls": inside}))["apps"]["http"]


def test_nobody_asks_for_certificates_of_names_that_are_only_ours() -> None:
    config = public(ROUTE, pool=Pool(upstreams=[Upstream(dial="a:1", draining=True)]))
    listener = Listener(address=":443", tls=[Tls(mode="auto", host="shop.example")])
    server = caddy.render(config.model_copy(update={"listeners": {"public": listener}}))["apps"]["http"]["servers"][
        "public"
    ]
    hosts = {host for route in server["routes"] for match in route.get("match", []) for host in match.get("host", [])}
    assert {host for host in hosts if host.endswith(".invalid")} == set(server["automatic_https"]["skip"])
