"""An app's ports and routes as the proxy's configuration, for the two kinds of place that have a proxy of ours.

On Docker every workload's name resolves to the proxy, which tells workloads that share a port number apart by the
Host header. On hosts every service port gets a loopback port of its own, derived from its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from anytier.errors import SpecError
from anytier.render.proxy import Listener, Pool, ProxyConfig, Route, Tls, Upstream
from anytier.spec import App, Workload
from anytier.spec.model import Route as SpecRoute
from anytier.spec.model import ServicePort

# Listeners of the proxy's container for what is published; service ports are the app's own numbers, all below these.
_PUBLIC, _PUBLIC_TLS, _EXPOSED = 48080, 48443, 48500
# Where loopback ports of service ports lie on hosts: below Linux's ephemeral range, above the well-known ones.
_INTERNAL_BASE, _INTERNAL_SPAN = 20000, 10000


@dataclass(frozen=True)
class Publish:
    """`listen` inside the proxy's container is published as `address:port` of the Docker host."""

    address: str
    port: int
    listen: int


@dataclass(frozen=True)
class Traffic:
    """The proxy's config, what to publish (Docker only) and the names that lead to the proxy (Docker only)."""

    config: ProxyConfig
    publish: list[Publish]
    aliases: list[str]


def is_http(app: App, workload: str, port_name: str) -> bool:
    """Whether a port speaks HTTP: said by appProtocol, else routed, else named so, else probed with httpGet."""
    body = app.workloads[workload]
    port = service_ports(body)[port_name]
    if port.protocol == "UDP":
        return False
    if port.app_protocol is not None:
        return port.app_protocol in ("http", "https", "kubernetes.io/h2c", "kubernetes.io/ws")
    routed = any(r.workload == workload and str(r.port) in (port_name, str(port.port)) for r in app.routes)
    return routed or port_name.split("-")[0] in ("http", "web") or target_of(port) in _http_probed(body)


def service_ports(body: Workload) -> Mapping[str, ServicePort]:
    return body.service.ports if body.service else {}


def target_of(port: ServicePort) -> int:
    return port.target_port or port.port


def _http_probed(body: Workload) -> set[int]:
    probes = (p for c in body.containers.values() for p in (c.liveness_probe, c.readiness_probe, c.startup_probe))
    return {probe.http_get.port for probe in probes if probe and probe.http_get}


def _ports(app: App) -> Iterator[tuple[str, str, ServicePort]]:
    for workload, body in app.workloads.items():
        for name, port in service_ports(body).items():
            yield workload, name, port


def http_ports(app: App) -> list[tuple[str, str, ServicePort]]:
    return [(w, n, p) for w, n, p in _ports(app) if is_http(app, w, n)]


def pool_key(workload: str, port_name: str) -> str:
    return f"{workload}/{port_name}"


def pools(app: App) -> dict[str, Pool]:
    """One pool a balanced port, empty: workloads put their instances and their health check in."""
    return {pool_key(w, n): Pool() for w, n, _ in http_ports(app)}


def internal_ports(app: App, ns: str) -> dict[tuple[str, str], int]:
    """Loopback port of each service port on hosts: a number that stays the same as long as the names do.

    Ports that cannot be balanced keep their own number, since the app itself listens there.
    """
    taken: dict[tuple[str, str], int] = {}
    for workload, name, port in sorted(_ports(app), key=lambda item: (item[0], item[1])):
        if not is_http(app, workload, name):
            taken[workload, name] = port.port
            continue
        digest = hashlib.sha256(f"{ns}/{workload}/{name}".encode()).digest()
        number = _INTERNAL_BASE + int.from_bytes(digest[:4], "big") % _INTERNAL_SPAN
        while number in taken.values():
            number = _INTERNAL_BASE + (number + 1 - _INTERNAL_BASE) % _INTERNAL_SPAN
        taken[workload, name] = number
    return taken


def on_docker(app: App, port: int, tls_port: int, certificate_dir: str) -> Traffic:
    """Traffic through a proxy container that carries the workloads' names on the app's network."""
    balanced = http_ports(app)
    by_number: dict[int, list[tuple[str, str]]] = {}
    for workload, name, service_port in balanced:
        by_number.setdefault(service_port.port, []).append((workload, name))
    listeners = {f"service-{number}": Listener(address=f":{number}") for number in by_number}
    routes = [
        Route(
            listener=f"service-{number}",
            pool=pool_key(workload, name),
            host=workload if len(sharing) > 1 else None,
        )
        for number, sharing in by_number.items()
        for workload, name in sharing
    ]
    publish = []
    for offset, (workload, name, service_port) in enumerate(p for p in balanced if p[2].expose != "internal"):
        listen = _EXPOSED + offset
        listeners[f"expose-{workload}-{name}"] = Listener(address=f":{listen}")
        routes.append(Route(listener=f"expose-{workload}-{name}", pool=pool_key(workload, name)))
        publish.append(Publish(_bind(service_port.expose), service_port.port, listen))
    public_listeners, public_routes = _public(app, _PUBLIC, _PUBLIC_TLS, tls_port, certificate_dir)
    numbers = {"public": (port, _PUBLIC), "public-tls": (tls_port, _PUBLIC_TLS)}
    publish += [Publish("0.0.0.0", *numbers[name]) for name in public_listeners]
    _refuse_duplicates(
        [*_claims(app, lambda w, n, p: p.expose != "internal"), *_stack_claims(public_listeners, port, tls_port)]
    )
    _refuse_the_proxys_own(by_number, listeners.keys() | public_listeners.keys())
    config = ProxyConfig(listeners=listeners | public_listeners, routes=routes + public_routes, pools=pools(app))
    direct = {w for w, n, _ in _ports(app) if not is_http(app, w, n)}
    return Traffic(config, publish, sorted({w for w, _, _ in balanced} - direct))


def on_hosts(app: App, ns: str, port: int, tls_port: int, certificate_dir: str) -> Traffic:
    """Traffic through a proxy process on the machine's own addresses."""
    numbers = internal_ports(app, ns)
    listeners, routes = {}, []
    for workload, name, service_port in http_ports(app):
        addresses = {f"service-{workload}-{name}": f"127.0.0.1:{numbers[workload, name]}"}
        if service_port.expose != "internal":
            bind = "" if service_port.expose == "public" else "127.0.0.1"
            addresses[f"expose-{workload}-{name}"] = f"{bind}:{service_port.port}"
        for listener, address in addresses.items():
            listeners[listener] = Listener(address=address)
            routes.append(Route(listener=listener, pool=pool_key(workload, name)))
    public_listeners, public_routes = _public(app, port, tls_port, tls_port, certificate_dir)
    listeners |= public_listeners
    claims = _claims(app, lambda w, n, p: p.expose != "internal" or not is_http(app, w, n))
    ours = [
        (number, "TCP", f"the loopback port of {w}.{n}") for (w, n), number in numbers.items() if is_http(app, w, n)
    ]
    _refuse_duplicates([*ours, *_stack_claims(public_listeners, port, tls_port), *claims])
    return Traffic(ProxyConfig(listeners=listeners, routes=routes + public_routes, pools=pools(app)), [], [])


def on_cluster(
    app: App, ports: tuple[int, int], outside: int, certificate_dir: str, dial: Callable[[str, ServicePort], str]
) -> ProxyConfig:
    """The routes through a proxy of the app's own on a cluster, which balances by itself: a pool is one address.

    `ports`: where the proxy listens, plain and encrypted; `outside`: what clients call the encrypted one. `dial` says
    where a workload's service port is.
    """
    listeners, routes = _public(app, *ports, outside, certificate_dir)
    routed = {pool_key(w, n): Pool(upstreams=[Upstream(dial=dial(w, p))]) for w, n, p in _ports(app)}
    return ProxyConfig(
        listeners=listeners, routes=routes, pools={route.pool: routed[route.pool] for route in routes}, grace=25
    )


def _bind(expose: str) -> str:
    return "0.0.0.0" if expose == "public" else "127.0.0.1"


Claim = tuple[int, str, str]  # number, protocol, who wants it


def _claims(app: App, wanted: Callable[[str, str, ServicePort], bool]) -> list[Claim]:
    """The service ports that want their own number on the machine."""
    return [
        (port.port, port.protocol, f"workloads.{workload}.service.ports.{name}")
        for workload, name, port in _ports(app)
        if wanted(workload, name, port)
    ]


def _stack_claims(public: Iterable[str], port: int, tls_port: int) -> list[Claim]:
    found = {"public": (port, "TCP", "anytier:port"), "public-tls": (tls_port, "TCP", "anytier:tlsPort")}
    return [found[name] for name in public]


def _refuse_duplicates(claims: list[Claim]) -> None:
    first: dict[tuple[int, str], str] = {}
    for number, protocol, who in claims:
        other = first.setdefault((number, protocol), who)
        if other != who:
            do = "give each its own number; the routes' are `pulumi config set anytier:port` and anytier:tlsPort"
            raise SpecError(who, f"port {number} of the machine is also wanted by {other}", do)


def _refuse_the_proxys_own(numbers: Mapping[int, list[tuple[str, str]]], listeners: Iterable[str]) -> None:
    """Inside its container the proxy listens for what is published on numbers of its own."""
    taken = {_PUBLIC: "public", _PUBLIC_TLS: "public-tls"}
    exposed = [name for name in listeners if name.startswith("expose-")]
    own = {number for number, name in taken.items() if name in listeners}
    own |= {_EXPOSED + offset for offset in range(len(exposed))}
    for number in sorted(own & numbers.keys()):
        workload, name = numbers[number][0]
        path = f"workloads.{workload}.service.ports.{name}.port"
        raise SpecError(path, f"{number} is the proxy's own inside its container", f"choose one below {_PUBLIC}")


def _public(
    app: App, plain: int, encrypted: int, outside: int, certificate_dir: str
) -> tuple[dict[str, Listener], list[Route]]:
    """The listeners of the app's routes: encrypted where a route has TLS, plain where it has none or redirects to it.

    `outside` is the number under which clients reach `encrypted`.
    """
    certificates: dict[str | None, Tls] = {}
    routes: list[Route] = []
    for route in app.routes:
        made = Route(
            listener="public-tls" if route.tls else "public",
            pool=pool_key(route.workload, port_name(app.workloads[route.workload], route.port)),
            host=route.host,
            path=route.path,
            strip_prefix=route.strip_prefix,
            timeout=route.timeout,
        )
        routes.append(made)
        if route.tls:
            certificates.setdefault(route.host, _tls(route, certificate_dir))
            if route.tls.redirect:
                routes.append(made.model_copy(update={"listener": "public", "redirect": outside}))
    listeners: dict[str, Listener] = {}
    if any(route.listener == "public" for route in routes):
        listeners["public"] = Listener(address=f":{plain}")
    if certificates:
        listeners["public-tls"] = Listener(address=f":{encrypted}", tls=list(certificates.values()))
    return listeners, routes


def _tls(route: SpecRoute, certificate_dir: str) -> Tls:
    """A given pair lies beside the proxy's config, where the proxy resource puts `certificates`."""
    pair = route.tls.secret_ref if route.tls else None
    if pair:
        path = f"{certificate_dir}/{pair.certificate}"
        return Tls(mode="files", host=route.host, certificate=f"{path}.crt", key=f"{path}.key")
    return Tls(mode="auto" if route.host and route.host != "localhost" else "internal", host=route.host)


def certificate_pairs(app: App) -> dict[str, tuple[str, str]]:
    """Name of a given pair -> the secrets that hold its certificate and its key."""
    pairs = [route.tls.secret_ref for route in app.routes if route.tls and route.tls.secret_ref]
    return {pair.certificate: (pair.certificate, pair.key) for pair in pairs}


def port_name(body: Workload, wanted: str | int) -> str:
    """A route names a port by its name or by its number."""
    ports = service_ports(body)
    if str(wanted) in ports:
        return str(wanted)
    return next(name for name, port in ports.items() if str(port.port) == str(wanted))
