"""`ProxyConfig` as Caddy's JSON and back. Pure; the provider loads the result through Caddy's admin API.

Listeners, routes and pools are kept apart by names: a server is a listener, every reverse proxy has an `@id` that says
which pool it serves, and upstreams that drain stay behind a route that no request matches, so that Caddy goes on
counting their requests.
"""

from __future__ import annotations

import json
from typing import Any

from anytier.acme import Acme
from anytier.render.proxy import PUBLIC, PUBLIC_TLS, HealthCheck, Listener, Pool, ProxyConfig, Route, Tls, Upstream

Json = dict[str, Any]

# How long a replaced config still answers while it tells keep-alive clients to come back on a new connection: they
# would otherwise meet a connection that is being closed under them.
SHUTDOWN_DELAY = "1s"
_TRY = {"duration": "5s", "interval": "100ms"}
_META = "anytier"
_DRAINING, _CONFIG = "draining.invalid", "config.invalid"  # hosts of routes that no request reaches


def render(
    config: ProxyConfig, admin_socket: str | None = None, storage: str | None = None, status_listen: str | None = None
) -> Json:
    """The whole of Caddy's config. `status_listen` serves the two read-only admin paths on a loopback address."""
    servers = {name: _server(name, listener, config) for name, listener in sorted(config.listeners.items())}
    if status_listen and admin_socket:
        servers["_status"] = _status(status_listen, admin_socket)
    out: Json = {"logging": {"logs": {"default": {"level": "WARN"}}}}
    if admin_socket:
        out["admin"] = {"listen": f"unix/{admin_socket}|0600"}
    if storage:
        out["storage"] = {"module": "file_system", "root": storage}
    http = {"grace_period": f"{config.grace:g}s", "shutdown_delay": SHUTDOWN_DELAY, **_challenged(config)}
    out["apps"] = {"http": {**http, "servers": servers}}
    tls = _tls(config)
    if tls:
        out["apps"]["tls"] = tls
    return out


def parse(data: Json) -> ProxyConfig:
    """The config that `render` made this from. It is kept, word for word, in a variable of a route nobody reaches."""
    for server in ((data.get("apps") or {}).get("http") or {}).get("servers", {}).values():
        for route in server.get("routes", []):
            for handler in route.get("handle", []):
                if handler.get("handler") == "vars" and _META in handler:
                    return ProxyConfig.model_validate(json.loads(handler[_META]))
    return ProxyConfig()


def _server(name: str, listener: Listener, config: ProxyConfig) -> Json:
    routes = sorted((route for route in config.routes if route.listener == name), key=_specific)
    out: Json = {
        "listen": [listener.address],
        "routes": [
            _closing(),
            *(_route(route, config) for route in routes),
            *_drains(config),
            _meta(config),
            _nothing(),
        ],
        "protocols": ["h1", "h2"],
    }
    if listener.tls:
        out["tls_connection_policies"] = [{}]
        # Its redirects would want port 80: ours are routes. Names that nobody has get no certificate.
        out["automatic_https"] = {"disable_redirects": True, "skip": [_DRAINING, _CONFIG]}
    else:
        out["automatic_https"] = {"disable": True}
    return out


def _specific(route: Route) -> tuple[int, int, str]:
    """Most specific first: a host before a pattern of hosts before none, then the longest path, as Kubernetes does."""
    host = route.host or ""
    rank = 2 if not host else int(host.startswith("*"))
    return rank, -len(route.path.rstrip("/")), host


def _closing() -> Json:
    """While a config is being replaced, its answers end their connections.

    Decided when an answer leaves, not when its request came: one that had begun before would keep a connection that
    is about to be closed. An upgraded connection (101) is left alone.
    """
    words = [{"search": "true", "replace": "close"}, {"search": "false", "replace": "keep-alive"}]
    response = {
        "set": {"Connection": ["{http.shutting_down}"]},
        "replace": {"Connection": words},
        "require": {"status_code": [2, 3, 4, 5]},
        "deferred": True,
    }
    return {"handle": [{"handler": "headers", "response": response}]}


def _route(route: Route, config: ProxyConfig) -> Json:
    match: Json = {}
    if route.host:
        match["host"] = [route.host]
    prefix = route.path.rstrip("/")
    if prefix:
        match["path"] = [prefix, f"{prefix}/*"]
    handle: list[Json] = []
    if route.redirect is not None:
        return {**({"match": [match]} if match else {}), "handle": [_redirect(route.redirect)], "terminal": True}
    if route.strip_prefix and prefix:
        handle.append({"handler": "rewrite", "strip_path_prefix": prefix})
    handle.append(_pool(config.pools.get(route.pool, Pool()), route))
    return {**({"match": [match]} if match else {}), "handle": handle, "terminal": True}


def _redirect(port: int) -> Json:
    place = "{http.request.host}" + ("" if port == 443 else f":{port}")
    headers = {"Location": [f"https://{place}{{http.request.uri}}"]}
    return {"handler": "static_response", "status_code": 308, "headers": headers}


def _pool(pool: Pool, route: Route) -> Json:
    serving = [item for item in pool.upstreams if not item.draining]
    if not serving:
        text = "No instance is ready to answer. Try again in a moment.\n"
        return {"handler": "static_response", "status_code": 503, "headers": {"Retry-After": ["1"]}, "body": text}
    out: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": item.dial} for item in serving],
        "load_balancing": {
            "selection_policy": {"policy": "round_robin"},
            "try_duration": _TRY["duration"],
            "try_interval": _TRY["interval"],
        },
        "flush_interval": -1,
    }
    if pool.health:
        out["health_checks"] = {"active": _active(pool.health)}
    if route.timeout is not None:
        out["transport"] = {"protocol": "http", "response_header_timeout": f"{route.timeout:g}s"}
    return out


def _active(check: HealthCheck) -> Json:
    return {
        "uri": check.path,
        "interval": f"{check.interval:g}s",
        "timeout": f"{check.timeout:g}s",
        "fails": check.fails,
        "passes": 1,
    }


def _drains(config: ProxyConfig) -> list[Json]:
    draining = sorted({u.dial for pool in config.pools.values() for u in pool.upstreams if u.draining})
    if not draining:
        return []
    handler = {"handler": "reverse_proxy", "upstreams": [{"dial": dial} for dial in draining]}
    return [{"match": [{"host": [_DRAINING]}], "handle": [handler], "terminal": True}]


def _meta(config: ProxyConfig) -> Json:
    text = json.dumps(config.wire(), sort_keys=True)
    return {"match": [{"host": [_CONFIG]}], "handle": [{"handler": "vars", _META: text}], "terminal": True}


def _nothing() -> Json:
    text = "No route of this app answers here.\n"
    return {"handle": [{"handler": "static_response", "status_code": 404, "body": text}], "terminal": True}


def _status(listen: str, admin_socket: str) -> Json:
    upstream: Json = {"handler": "reverse_proxy", "upstreams": [{"dial": f"unix/{admin_socket}"}]}
    upstream["headers"] = {"request": {"set": {"Host": ["127.0.0.1"]}, "delete": ["Origin"]}}
    paths = ["/reverse_proxy/upstreams", "/config/"]
    return {
        "listen": [listen],
        "automatic_https": {"disable": True},
        "routes": [{"match": [{"path": paths, "method": ["GET"]}], "handle": [upstream], "terminal": True}],
    }


def _challenged(config: ProxyConfig) -> Json:
    """Where an ACME server's questions arrive: it asks ports 80 and 443, which may lead to others of ours. Not told of
    these, Caddy takes the two for itself meanwhile."""
    listener = config.listeners.get(PUBLIC_TLS)
    if listener is None or not any(tls.mode == "auto" for tls in listener.tls):
        return {}
    plain = config.listeners.get(PUBLIC)
    return {**({"http_port": _port(plain)} if plain else {}), "https_port": _port(listener)}


def _port(listener: Listener) -> int:
    return int(listener.address.rpartition(":")[2])


def _tls(config: ProxyConfig) -> Json:
    wanted = [tls for _, listener in sorted(config.listeners.items()) for tls in listener.tls]
    pairs = {tls.certificate: {"certificate": tls.certificate, "key": tls.key} for tls in wanted if tls.mode == "files"}
    inside = [tls.host for tls in wanted if tls.mode == "internal"]
    named = sorted({host for host in inside if host})
    policies: list[Json] = []
    fetched = sorted({tls.host for tls in wanted if tls.mode == "auto" and tls.host})
    if config.acme and fetched:
        policies.append({"subjects": fetched, "issuers": [_issuer(config.acme)]})
    if named:
        policies.append({"subjects": named, "issuers": [{"module": "internal"}]})
    if None in inside:
        policies.append({"issuers": [{"module": "internal"}], "on_demand": True})
    out: Json = {}
    if pairs:
        out["certificates"] = {"load_files": list(pairs.values())}
    if policies:
        out["automation"] = {"policies": policies}
    return out


def _issuer(acme: Acme) -> Json:
    said = {"ca": acme.directory, "email": acme.email}
    return {"module": "acme", **{key: value for key, value in said.items() if value}}


__all__ = ["Listener", "Tls", "Upstream", "parse", "render"]
