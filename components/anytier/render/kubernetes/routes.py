"""The app's routes: a Gateway's HTTPRoutes, an Ingress, or else the app's own router, by what the cluster offers.

What a Gateway or an Ingress cannot say is refused by name; the app's own router can say all of it. Traefik, which a
cluster of ours may have, is told by annotations what an Ingress has no words for.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any, Literal

from anytier.errors import CapabilityError
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
    if "gateway" in target.offers and target.gateway:
        return "gateway"
    return "ingress" if "ingress" in target.offers and target.ingress_class else "router"


def by_the_cluster(scope: Scope, way: Way) -> list[Rendered]:
    """CapabilityError for what is not said in `way`'s objects."""
    if way == "router":
        return []
    held = certificates(scope, kept=False) if way == "ingress" else []
    routes = list(enumerate(scope.app.routes))
    keys = (NAMESPACE, *(item.key for item in held))
    if way == "ingress" and scope.target.ingress_class == traefik.CLASS:
        noted = [item for index, route in routes for item in _for_traefik(scope, index, route)]
        return [*held, *(Rendered(f"route/{item['metadata']['name']}", item, keys) for item in noted)]
    hosts = itertools.groupby(sorted(routes, key=lambda item: item[1].host or ""), key=lambda item: item[1].host)
    made = [_gateway(scope, host, some) if way == "gateway" else _ingress(scope, host, some) for host, some in hosts]
    return [*held, *(Rendered(f"route/{item['metadata']['name']}", item, keys) for item in made)]


def certificates(scope: Scope, *, kept: bool) -> list[Rendered]:
    """The given pairs, each as a Secret of the kind that everybody knows. `kept`: a router's revisions name them.

    They are the router's own then, and go with it: those of an Ingress are others, by key and by name.
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
                timeouts={"request": _duration(route.timeout)} if route.timeout else None,
            )
        )
    spec = filled(
        parentRefs=[filled(name=name, namespace=namespace or None)], hostnames=[host] if host else None, rules=rules
    )
    return scope.of_app("gateway.networking.k8s.io/v1", "HTTPRoute", _called(host), spec=spec)


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
        secrets |= _secret(scope, index, route)
        paths.append(_path(scope, index, route))
    return _object(scope, _called(host), host, paths, list(secrets.values()))


def _for_traefik(scope: Scope, index: int, route: Route) -> list[Json]:
    """One with a single path, since an annotation counts for all of them; and one that redirects to the encrypted."""
    encrypted = route.tls is not None
    try:
        notes = traefik.notes(route.host, route.path, route.strip_prefix, encrypted)
    except ValueError as error:
        raise CapabilityError(f"routes[{index}].stripPrefix", f"the path {error}", _INSTEAD) from None
    # Two paths may differ in characters that no name has.
    end = "" if route.path == "/" else f"-{hashlib.sha256(route.path.encode()).hexdigest()[:8]}"
    called, paths = f"{_called(route.host)}{end}", [_path(scope, index, route)]
    made = [_object(scope, called, route.host, paths, list(_secret(scope, index, route).values()), notes)]
    if route.tls is not None and route.tls.redirect:
        there = traefik.redirecting(route.host, route.path)
        made.append(_object(scope, f"{called}-to-https", route.host, paths, [], there))
    return made


def _secret(scope: Scope, index: int, route: Route) -> dict[str, Any]:
    """The name of the Secret with a route's certificate, by the certificate's own; none where it is not encrypted."""
    if route.tls is None:
        return {}
    pair = route.tls.secret_ref
    if pair is None:
        what = "nothing on this cluster fetches certificates for an Ingress"
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
