"""The app's routes: a Gateway's HTTPRoutes, an Ingress, or else the app's own router, by what the cluster offers.

What a Gateway or an Ingress cannot say is refused by name; the app's own router can say all of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any, Literal

from anytier.errors import CapabilityError
from anytier.render.kubernetes.finish import Live, content_hash, joined
from anytier.render.kubernetes.names import filled, fitted, service_name
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.target import Json, Rendered
from anytier.render.traffic import certificate_pairs, port_name, service_ports
from anytier.spec.model import Route

Way = Literal["gateway", "ingress", "router"]
_INSTEAD = "leave it out by overrides, or let the cluster offer neither Gateway nor Ingress: then the app has a router"


def way_of(scope: Scope) -> Way:
    target = scope.target
    if "gateway" in target.offers and target.gateway:
        return "gateway"
    return "ingress" if "ingress" in target.offers and target.ingress_class else "router"


def by_the_cluster(scope: Scope, way: Way) -> list[Rendered]:
    """CapabilityError for what is not said in `way`'s objects."""
    if way == "router":
        return []
    held = certificates(scope) if way == "ingress" else []
    routes = list(enumerate(scope.app.routes))
    hosts = itertools.groupby(sorted(routes, key=lambda item: item[1].host or ""), key=lambda item: item[1].host)
    made = [_gateway(scope, host, some) if way == "gateway" else _ingress(scope, host, some) for host, some in hosts]
    keys = (NAMESPACE, *(item.key for item in held))
    return [*held, *(Rendered(f"route/{item['metadata']['name']}", item, keys) for item in made)]


def certificates(scope: Scope) -> list[Rendered]:
    """The given pairs, each as a Secret of the kind that everybody knows."""
    return [
        Rendered(f"certificate/{name}", _pair(scope, name, *pair), (NAMESPACE,), kept=True)
        for name, pair in certificate_pairs(scope.app).items()
    ]


def _pair(scope: Scope, name: str, certificate: str, key: str) -> Json:
    data = {"tls.crt": Live(f"${{secrets.{certificate}}}"), "tls.key": Live(f"${{secrets.{key}}}")}
    called = joined(f"{fitted(name, 40)}-tls-", content_hash(data))
    return scope.of_router("v1", "Secret", called, type="kubernetes.io/tls", immutable=True, stringData=data)


def _called(host: str | None) -> str:
    return fitted((host or "any").replace("*", "wildcard"), 200)


def _backend(scope: Scope, route: Route) -> tuple[str, int]:
    body = scope.app.workloads[route.workload]
    return service_name(route.workload), service_ports(body)[port_name(body, route.port)].port


def _gateway(scope: Scope, host: str | None, routes: Iterable[tuple[int, Route]]) -> Json:
    namespace, _, name = str(scope.target.gateway).rpartition("/")
    rules: list[Json] = []
    for index, route in routes:
        if route.tls is not None:
            what = "a Gateway's own listeners have the certificates"
            raise CapabilityError(f"routes[{index}].tls", what, "set it up at the Gateway, and leave it out here")
        service, port = _backend(scope, route)
        rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
        strip = [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}] if route.strip_prefix else []
        rules.append(
            filled(
                matches=[{"path": {"type": "PathPrefix", "value": route.path}}],
                filters=strip,
                backendRefs=[{"name": service, "port": port}],
                timeouts={"request": f"{max(1, round(route.timeout * 1000))}ms"} if route.timeout else None,
            )
        )
    spec = filled(
        parentRefs=[filled(name=name, namespace=namespace or None)], hostnames=[host] if host else None, rules=rules
    )
    return scope.of_app("gateway.networking.k8s.io/v1", "HTTPRoute", _called(host), spec=spec)


def _ingress(scope: Scope, host: str | None, routes: Iterable[tuple[int, Route]]) -> Json:
    paths: list[Json] = []
    secrets: dict[str, Any] = {}
    for index, route in routes:
        for field, given in (("stripPrefix", route.strip_prefix), ("timeout", route.timeout)):
            if given:
                raise CapabilityError(f"routes[{index}].{field}", "an Ingress has no word for it", _INSTEAD)
        if route.tls is not None and route.tls.secret_ref is None:
            what = "nothing on this cluster fetches certificates for an Ingress"
            raise CapabilityError(f"routes[{index}].tls", what, "give one by tls.secretRef")
        if route.tls is not None and route.tls.secret_ref is not None:
            pair = route.tls.secret_ref
            held = _pair(scope, pair.certificate, pair.certificate, pair.key)
            secrets[pair.certificate] = held["metadata"]["name"]
        service, port = _backend(scope, route)
        backend = {"service": {"name": service, "port": {"number": port}}}
        paths.append({"path": route.path, "pathType": "Prefix", "backend": backend})
    tls = [filled(secretName=name, hosts=[host] if host else None) for name in secrets.values()]
    spec = filled(
        ingressClassName=scope.target.ingress_class, rules=[filled(host=host, http={"paths": paths})], tls=tls
    )
    return scope.of_app("networking.k8s.io/v1", "Ingress", _called(host), spec=spec)
