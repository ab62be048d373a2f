"""What a workload is reached by: its Service inside the cluster, and another one for what is exposed outside."""

from __future__ import annotations

import re

from anytier.errors import CapabilityError, ConfigError, SpecError
from anytier.render.kubernetes.finish import Live
from anytier.render.kubernetes.names import filled, fitted, instances_name, selector, service_name
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Json
from anytier.render.traffic import service_ports, target_of
from anytier.spec.model import ServicePort

_QUALIFIED = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")


def inside(scope: Scope, name: str) -> Json | None:
    """A workload without ports that others name has a headless one: its name leads to its pods.

    SpecError for an appProtocol that no cluster takes.
    """
    ports = service_ports(scope.app.workloads[name])
    wanted = {"selector": selector("workload", name)}
    if ports:
        spec = {**wanted, "ports": [_port(name, key, port) for key, port in ports.items()]}
    elif name in scope.named:
        spec = {**wanted, "clusterIP": "None"}
    else:
        return None
    return scope.of_part("v1", "Service", service_name(name), "workload", name, spec=spec)


def instances(scope: Scope, name: str) -> Json:
    """The names of a workload's instances, which they find one another by: also before they are ready."""
    spec = {"selector": selector("workload", name), "clusterIP": "None", "publishNotReadyAddresses": True}
    return scope.of_part("v1", "Service", instances_name(name), "workload", name, spec=spec)


def _port(workload: str, key: str, port: ServicePort) -> Json:
    spoken = port.app_protocol
    if spoken is not None and not _QUALIFIED.fullmatch(spoken):
        path = f"workloads.{workload}.service.ports.{key}.appProtocol"
        raise SpecError(path, f"{spoken[:40]!r} is no protocol's name", "such as http, tcp or example.org/mine")
    target = target_of(port)
    return filled(name=key, port=port.port, targetPort=target, protocol=port.protocol, appProtocol=spoken)


def outside(scope: Scope, name: str, taken: frozenset[int]) -> Json | None:
    """The ports that users or the machines themselves call, under their own numbers. `taken`: the routes' own.

    SpecError for a number that the routes or the machines have, CapabilityError where nothing takes requests from
    outside.
    """
    ports = {key: port for key, port in service_ports(scope.app.workloads[name]).items() if port.expose != "internal"}
    if not ports:
        return None
    for key, port in ports.items():
        if port.port in taken and port.protocol == "TCP":
            path = f"workloads.{name}.service.ports.{key}"
            raise SpecError(path, f"port {port.port} is the routes' own", _NUMBERS)
        if port.port in machines_own(scope) and port.protocol == "TCP":
            path = f"workloads.{name}.service.ports.{key}"
            what = f"port {port.port} is the machines' own, for SSH or for Kubernetes, and would lead to the app's pods"
            raise SpecError(path, what, "give it another `port`; its `targetPort` may be this one")
    spec = {
        "selector": selector("workload", name),
        "ports": [_port(name, key, port) for key, port in ports.items()],
        **reached(scope, f"workloads.{name}.service.ports"),
    }
    made = scope.of_part("v1", "Service", fitted(f"{service_name(name)}-exposed"), "workload", name, spec=spec)
    return balanced(scope, made)


_NUMBERS = "give each its own number; the routes' are `pulumi config set anytier:port` and anytier:tlsPort"


def machines_own(scope: Scope) -> frozenset[int]:
    """The numbers that no Service may take: each node sends what comes for an external address to the Service."""
    return frozenset() if "load-balancer" in scope.target.offers else scope.target.reserved


def routes_port(key: str, port: int) -> ConfigError:
    """For a number of the stack's config, by its key, that is one of them."""
    what = f"is {port}, which is the machines' own, for SSH or for Kubernetes, and would lead to the app's pods"
    return ConfigError(key, what, f"`pulumi config set {key} NUMBER` with another one, such as 80 or 443")


def balanced(scope: Scope, service: Json) -> Json:
    """With what tells the cluster's cloud which kind of load balancer it shall make.

    A Service's class never changes, so one of a class has a name of its own: where a stack gets another class, a new
    Service with its load balancer is there before the old one goes.
    """
    target = scope.target
    if service["spec"].get("type") != "LoadBalancer":
        return service
    if target.balancer:
        service["metadata"]["annotations"] = {**service["metadata"].get("annotations", {}), **target.balancer}
    if target.balancer_class is not None:
        service["spec"]["loadBalancerClass"] = target.balancer_class
        kind = target.balancer_class.rpartition("/")[2]
        service["metadata"]["name"] = fitted(f"{service['metadata']['name']}-{kind}")
    return service


def reached(scope: Scope, path: str) -> Json:
    """How a Service takes requests from outside: by a load balancer, else on addresses of the machines themselves."""
    if "load-balancer" in scope.target.offers:
        return {"type": "LoadBalancer"}
    if not scope.target.addresses:
        what = "nothing on this cluster takes requests from outside"
        raise CapabilityError(path, what, "let the cluster have addresses for them, or a load balancer")
    return {"externalIPs": [Live(address) for address in scope.target.addresses]}
