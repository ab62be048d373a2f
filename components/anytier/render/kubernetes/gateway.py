"""A Gateway of the app's own: its listeners are what the routes need, plain and for each encrypted host.

Which HTTPRoutes hang on it is `routes`' part; what Google's load balancers want besides is in `gke`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from anytier.errors import CapabilityError
from anytier.render.kubernetes.names import filled, fitted
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json
from anytier.spec.model import Route

API = "gateway.networking.k8s.io/v1"
KEY, NAME = "app/gateway", "gateway"
PLAIN = "http"
INSTEAD = "leave it out by overrides, or take `gateway` out of the stack's config: then the app has a router"
# By which controllers mark the pods that they run for a Gateway beside it.
PODS = {"gateway.networking.k8s.io/gateway-name": NAME}
_LISTENERS = 64  # at most, of one Gateway
_PATH = re.compile(r"(?!.*(//|/\./|/\.$|%2[fF]))([-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2}){1,1024}")


def gateway(scope: Scope, secrets: Mapping[str | None, str]) -> Json:
    """`secrets`: encrypted host (None: any) -> the Secret that holds its certificate.

    CapabilityError for more hosts than a Gateway has room for.
    """
    target = scope.target
    if len(secrets) >= _LISTENERS:
        what = f"{len(secrets)} hosts are encrypted, and a Gateway has at most {_LISTENERS} listeners"
        raise CapabilityError("routes", what, INSTEAD)
    listeners: list[Json] = []
    if any(route.tls is None or route.tls.redirect for route in scope.app.routes):
        listeners.append({"name": PLAIN, "protocol": "HTTP", "port": target.port})
    for host, secret in secrets.items():
        own = {"name": encrypted(host), "protocol": "HTTPS", "port": target.tls_port}
        tls = {"mode": "Terminate", "certificateRefs": [{"name": secret}]}
        listeners.append(filled(**own, hostname=host, tls=tls))
    address = target.gateway_address
    addresses = [{"type": "NamedAddress", "value": address}] if address else []
    spec = filled(gatewayClassName=target.gateway_class, listeners=listeners, addresses=addresses)
    return scope.of_app(API, "Gateway", NAME, spec=spec)


def encrypted(host: str | None) -> str:
    """The name of the listener for an encrypted host."""
    return fitted(f"https-{host.replace('*', 'wildcard')}", 200) if host else "https"


def parent(scope: Scope, route: Route) -> Json:
    """Of an HTTPRoute: the Gateway that is there, or the listener of the app's own."""
    if scope.target.gateway is None:
        return {"name": NAME, "sectionName": encrypted(route.host)} if route.tls else plain()
    namespace, _, name = scope.target.gateway.rpartition("/")
    return filled(name=name, namespace=namespace)


def plain() -> Json:
    """The parent that is the plain listener of the app's own Gateway."""
    return {"name": NAME, "sectionName": PLAIN}


def prefix(index: int, route: Route) -> Json:
    """CapabilityError for a path that no HTTPRoute may have."""
    if not _PATH.fullmatch(route.path):
        what = f"{route.path[:60]!r} is no path of an HTTPRoute: // and %2F are none, nor are most signs"
        raise CapabilityError(f"routes[{index}].path", what, f"percent-encode it; or {INSTEAD}")
    return {"path": {"type": "PathPrefix", "value": route.path}}


def redirect(scope: Scope) -> Json:
    """The filter that sends plain requests to where they are encrypted; 443 is understood."""
    port = scope.target.tls_port
    there = filled(scheme="https", port=None if port == 443 else port, statusCode=301)
    return {"type": "RequestRedirect", "requestRedirect": there}
