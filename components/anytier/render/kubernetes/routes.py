"""The app's routes: HTTPRoutes of a Gateway, Ingresses, or else the app's own router, by what the cluster offers.

What a Gateway or an Ingress cannot say is refused by name; the app's own router can say all of it. Traefik, which a
cluster of ours may have, is told by annotations what an Ingress has no words for.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any, Literal

from anytier.errors import CapabilityError
from anytier.render.kubernetes import gateway, gke
from anytier.render.kubernetes.addons import traefik
from anytier.render.kubernetes.finish import Live, content_hash, joined
from anytier.render.kubernetes.names import filled, fitted, service_name
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.target import Json, Rendered
from anytier.render.traffic import certificate_pairs, port_name, service_ports
from anytier.spec.model import Route

Way = Literal["gateway", "ingress", "router"]
_NO_WORD = "an Ingress has no word for it"
_INSTEAD = "leave it out by overrides, or let the cluster offer neither Gateway nor Ingress: then the app has a router"


def way_of(scope: Scope) -> Way:
    target = scope.target
    if "gateway" in target.offers and (target.gateway or target.gateway_class):
        return "gateway"
    return "ingress" if "ingress" in target.offers and target.ingress_class else "router"


def by_the_cluster(scope: Scope, way: Way) -> list[Rendered]:
    """CapabilityError for what is not said in `way`'s objects."""
    if way == "router":
        return []
    routes = list(enumerate(scope.app.routes))
    if way == "gateway":
        return _by_gateway(scope, routes)
    held = certificates(scope, kept=False)
    keys = (NAMESPACE, *(item.key for item in held))
    if scope.target.ingress_class == traefik.CLASS:
        made = [item for index, route in routes for item in _for_traefik(scope, index, route)]
    else:
        hosts = itertools.groupby(sorted(routes, key=lambda item: item[1].host or ""), key=lambda item: item[1].host)
        made = [_ingress(scope, host, some) for host, some in hosts]
    return [*held, *(_rendered(item, keys) for item in made)]


def own_gateway(scope: Scope, way: Way) -> bool:
    """Whether the app has a Gateway of its own, and none that is there already."""
    return way == "gateway" and scope.target.gateway is None and bool(scope.app.routes)


def certificates(scope: Scope, *, kept: bool) -> list[Rendered]:
    """The given pairs, each as a Secret of the kind that everybody knows. `kept`: a router's revisions name them.

    They are the router's own then, and go with it: those of an Ingress or a Gateway are others, by key and by name.
    """
    return [
        Rendered(f"{'certificate' if kept else 'ingress-certificate'}/{name}", item, (NAMESPACE,), kept=kept)
        for name, pair in certificate_pairs(scope.app).items()
        for item in [_pair(scope, name, *pair, kept=kept)]
    ]


def _pair(scope: Scope, name: str, certificate: str, key: str, *, kept: bool) -> Json:
    data = {"tls.crt": Live(f"${{secrets.{certificate}}}"), "tls.key": Live(f"${{secrets.{key}}}")}
    called = joined(f"{fitted(name, 40)}-{'tls' if kept else 'ingress'}-", content_hash(data))
    return scope.of_router("v1", "Secret", called, type="kubernetes.io/tls", immutable=True, stringData=data)


def _called(host: str | None) -> str:
    return fitted((host or "any").replace("*", "wildcard"), 200)


def _by_path(route: Route) -> str:
    """The name of an object for this one route. Two paths may differ in characters that no name has."""
    end = "" if route.path == "/" else f"-{hashlib.sha256(route.path.encode()).hexdigest()[:8]}"
    return f"{_called(route.host)}{end}"


def _rendered(item: Json, after: tuple[str, ...]) -> Rendered:
    return Rendered(f"route/{item['metadata']['name']}", item, after)


def _backend(scope: Scope, route: Route) -> tuple[str, int]:
    body = scope.app.workloads[route.workload]
    return service_name(route.workload), service_ports(body)[port_name(body, route.port)].port


def _by_gateway(scope: Scope, routes: list[tuple[int, Route]]) -> list[Rendered]:
    made = [item for index, route in routes for item in _gateway(scope, index, route)]
    first = gke.policies(scope, routes) if gke.balances(scope) else []
    if own_gateway(scope, "gateway"):
        secrets: dict[str | None, str] = {}
        for index, route in routes:
            for name in _secret(scope, index, route, "a Gateway").values():
                secrets.setdefault(route.host, name)
        held = certificates(scope, kept=False)
        after = (NAMESPACE, *(item.key for item in held))
        first += [*held, Rendered(gateway.KEY, gateway.gateway(scope, secrets), after)]
    keys = (NAMESPACE, *(item.key for item in first))
    return [*first, *(_rendered(item, keys) for item in made)]


def _gateway(scope: Scope, index: int, route: Route) -> list[Json]:
    """One with a single rule, since an HTTPRoute has room for few; and one that redirects to the encrypted."""
    if route.tls is not None and scope.target.gateway is not None:
        what = "a Gateway's own listeners have the certificates"
        raise CapabilityError(f"routes[{index}].tls", what, "set it up at the Gateway, and leave it out here")
    service, port = _backend(scope, route)
    rewrite = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    strip = [{"type": "URLRewrite", "urlRewrite": {"path": rewrite}}] if route.strip_prefix else []
    timeout = None if gke.balances(scope) else route.timeout  # a policy has it there
    rule = filled(
        matches=[gateway.prefix(index, route)],
        filters=strip,
        backendRefs=[{"name": service, "port": port}],
        timeouts={"request": _duration(timeout)} if timeout else None,
    )
    called, parent = _by_path(route), gateway.parent(scope, route)
    made = [_http_route(scope, called, route, parent, rule)]
    if route.tls is not None and route.tls.redirect:
        there = filled(matches=rule["matches"], filters=[gateway.redirect(scope)])
        made.append(_http_route(scope, f"{called}-to-https", route, gateway.plain(), there))
    return made


def _http_route(scope: Scope, called: str, route: Route, parent: Json, rule: Json) -> Json:
    spec = filled(parentRefs=[parent], hostnames=[route.host] if route.host else [], rules=[rule])
    return scope.of_app(gateway.API, "HTTPRoute", called, spec=spec)


def _duration(seconds: float) -> str:
    """In Gateway API's form, which has at most five digits of each unit: 100 s are not `100000ms`."""
    left, text = max(1, round(seconds * 1000)), ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text


def _ingress(scope: Scope, host: str | None, routes: Iterable[tuple[int, Route]]) -> Json:
    paths: list[Json] = []
    secrets: dict[str, Any] = {}
    for index, route in routes:
        if route.strip_prefix:
            raise CapabilityError(f"routes[{index}].stripPrefix", _NO_WORD, _INSTEAD)
        secrets |= _secret(scope, index, route, "an Ingress")
        paths.append(_path(scope, index, route))
    return _object(scope, _called(host), host, paths, list(secrets.values()))


def _for_traefik(scope: Scope, index: int, route: Route) -> list[Json]:
    """One with a single path, since an annotation counts for all of them; and one that redirects to the encrypted."""
    encrypted = route.tls is not None
    try:
        notes = traefik.notes(route.host, route.path, route.strip_prefix, encrypted)
    except ValueError as error:
        raise CapabilityError(f"routes[{index}].stripPrefix", f"the path {error}", _INSTEAD) from None
    called, paths = _by_path(route), [_path(scope, index, route)]
    secrets = list(_secret(scope, index, route, "an Ingress").values())
    made = [_object(scope, called, route.host, paths, secrets, notes)]
    if route.tls is not None and route.tls.redirect:
        there = traefik.redirecting(route.host, route.path)
        made.append(_object(scope, f"{called}-to-https", route.host, paths, [], there))
    return made


def _secret(scope: Scope, index: int, route: Route, whose: str) -> dict[str, Any]:
    """The name of the Secret with a route's certificate, by the certificate's own; none where it is not encrypted."""
    if route.tls is None:
        return {}
    pair = route.tls.secret_ref
    if pair is None:
        what = f"nothing on this cluster fetches certificates for {whose}"
        do = (
            "give one by tls.secretRef, or let the cluster offer neither Gateway nor Ingress: the app's router has some"
        )
        raise CapabilityError(f"routes[{index}].tls", what, do)
    made = _pair(scope, pair.certificate, pair.certificate, pair.key, kept=False)
    return {pair.certificate: made["metadata"]["name"]}


def _path(scope: Scope, index: int, route: Route) -> Json:
    if route.timeout:
        raise CapabilityError(f"routes[{index}].timeout", _NO_WORD, _INSTEAD)
    service, port = _backend(scope, route)
    backend = {"service": {"name": service, "port": {"number": port}}}
    return {"path": route.path, "pathType": "Prefix", "backend": backend}


def _object(
    scope: Scope,
    called: str,
    host: str | None,
    paths: list[Json],
    secrets: list[Any],
    notes: dict[str, str] | None = None,
) -> Json:
    tls = [filled(secretName=name, hosts=[host] if host else None) for name in secrets]
    spec = filled(
        ingressClassName=scope.target.ingress_class, rules=[filled(host=host, http={"paths": paths})], tls=tls
    )
    made = scope.of_app("networking.k8s.io/v1", "Ingress", called, spec=spec)
    if notes:
        made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **notes}
    return made
