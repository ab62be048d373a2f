"""Network policies: nothing in and nothing out by default, the app's own edges opened.

Who may call a workload is told by the spec: what depends on it or names its host or one of its ports, the router where
a route leads to it, everybody where a port is exposed. Out goes DNS, what the edges say, and anything outside the
cluster but link-local addresses, behind which a cloud keeps its machines' credentials; one of these is open for a
workload that has a role of its own. Pods of the app's own Gateway, where it has some here, call and are called by
everybody. (Most networks take an address block for pods, too; a pod of another app is closed by its own policy.) A
cluster whose network holds no policies takes the objects and does nothing with them.

What is so of all pods is said by two policies, one for each way: of a policy that is for both, kube-router holds what
may go out against what comes in as well, and so lets in whoever may go anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anytier.render.kubernetes import gateway, gke
from anytier.render.kubernetes.identity import desk
from anytier.render.kubernetes.names import ROUTER, Kind, filled, selector
from anytier.render.kubernetes.router import ENCRYPTED, HEALTH, PLAIN
from anytier.render.kubernetes.routes import Way, own_gateway
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.target import Json, Rendered
from anytier.render.kubernetes.workload import numbered
from anytier.render.traffic import port_name, service_ports, target_of
from anytier.spec.model import ServicePort

DEFAULT = "policy/default"
OUTWARD = "policy/outward"
_ANYWHERE = [
    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}},
    {"ipBlock": {"cidr": "::/0", "except": ["fd00:ec2::254/128", "fe80::/10"]}},
]
_DNS = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]


def policies(scope: Scope, way: Way) -> list[Rendered]:
    found = [
        _of_all(scope, DEFAULT, "default", {"policyTypes": ["Ingress"]}),
        _of_all(scope, OUTWARD, "outward", {"policyTypes": ["Egress"], "egress": [{"ports": _DNS}, {"to": _ANYWHERE}]}),
    ]
    calls = _calls(scope)
    for name in scope.app.workloads:
        entered = _entered(scope, name, way)
        item = _policy(scope, "workload", name, entered, calls.get(("workload", name), ()))
        if item is not None:
            found.append(Rendered(f"{name}.policy", item, (NAMESPACE,)))
    for name in scope.app.jobs:
        item = _policy(scope, "job", name, [], calls.get(("job", name), ()))
        if item is not None:
            found.append(Rendered(f"job/{name}.policy", item, (NAMESPACE,)))
    if scope.app.routes and way == "router":
        found.append(Rendered("router/policy", _of_router(scope), (NAMESPACE,)))
    if own_gateway(scope, way) and not gke.balances(scope):
        found.append(Rendered("policy/gateway", _of_gateway(scope), (NAMESPACE,)))
    return found


def _of_all(scope: Scope, key: str, name: str, says: Json) -> Rendered:
    spec = {"podSelector": {}, **says}
    return Rendered(key, scope.of_app("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec), (NAMESPACE,))


def _calls(scope: Scope) -> dict[tuple[Kind, str], list[str]]:
    """Who -> the workloads that it calls."""
    found: dict[tuple[Kind, str], list[str]] = {}
    for called in scope.app.workloads:
        for caller in sorted(_callers(scope, called)):
            found.setdefault(caller, []).append(called)
    return found


def _callers(scope: Scope, name: str) -> set[tuple[Kind, str]]:
    """Instances that have names of their own have them to call one another."""
    own: set[tuple[Kind, str]] = {("workload", name)} if numbered(scope, name) else set()
    return {*scope.edges[name], *own}


def _policy(scope: Scope, part: Kind, name: str, entered: list[Json], calls: Iterable[str]) -> Json | None:
    leaves = [*(_to(scope, other) for other in calls), *desk(scope, part, name)]
    types = [kind for kind, rules in (("Ingress", entered), ("Egress", leaves)) if rules]
    if not types:
        return None
    spec = filled(podSelector={"matchLabels": selector(part, name)}, policyTypes=types, ingress=entered, egress=leaves)
    return scope.of_part("networking.k8s.io/v1", "NetworkPolicy", _called(part, name), part, name, spec=spec)


def _called(part: Kind, name: str) -> str:
    return f"{part}.{name}"


def _entered(scope: Scope, name: str, way: Way) -> list[Json]:
    body = scope.app.workloads[name]
    ports = service_ports(body)
    callers = sorted(_callers(scope, name))
    rules: list[Json] = []
    if callers:
        rules.append(filled(**{"from": [_pods(*caller) for caller in callers]}, ports=_ports(ports.values())))
    routed = [ports[port_name(body, route.port)] for route in scope.app.routes if route.workload == name]
    if routed and way == "router":
        rules.append({"from": [_pods("router", ROUTER)], "ports": _ports(routed)})
    exposed = [port for port in ports.values() if port.expose != "internal"]
    opened = exposed if way == "router" else [*exposed, *routed]
    if opened:
        rules.append({"ports": _ports(opened)})
    return rules


def _pods(part: Kind, name: str) -> Json:
    return {"podSelector": {"matchLabels": selector(part, name)}}


def _to(scope: Scope, name: str) -> Json:
    ports = service_ports(scope.app.workloads[name])
    return filled(to=[_pods("workload", name)], ports=_ports(ports.values()))


def _ports(ports: Iterable[ServicePort]) -> list[Json]:
    """As the pods have them: a Service's own number is gone by then."""
    found = dict.fromkeys((port.protocol, target_of(port)) for port in ports)
    return [{"protocol": protocol, "port": number} for protocol, number in found]


def _of_router(scope: Scope) -> Json:
    routed = dict.fromkeys(route.workload for route in scope.app.routes)
    leaves: list[Any] = [_to(scope, name) for name in routed]
    open_ports = [{"protocol": "TCP", "port": port} for port in (PLAIN, ENCRYPTED, HEALTH)]
    spec = {
        "podSelector": {"matchLabels": selector("router", ROUTER)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": open_ports}],
        "egress": leaves,
    }
    return scope.of_router("networking.k8s.io/v1", "NetworkPolicy", ROUTER, spec=spec)


def _of_gateway(scope: Scope) -> Json:
    """Some controllers run a Gateway's pods beside it: users call them, and they call whoever configures them."""
    spec = {
        "podSelector": {"matchLabels": gateway.PODS},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{}],
        "egress": [{}],
    }
    return scope.of_app("networking.k8s.io/v1", "NetworkPolicy", gateway.NAME, spec=spec)
