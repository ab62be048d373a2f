"""What a load balancer of Google's is told of a workload behind a Gateway: by what it sees that a pod serves, how long
it waits for an answer, and how long it leaves to one that goes what it has begun.

Without, it asks for / and counts a pod out that has nothing there, and it cuts off what takes longer than 30 seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from anytier.errors import CapabilityError
from anytier.render.kubernetes.gateway import INSTEAD
from anytier.render.kubernetes.names import filled, service_name
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.target import Json, Rendered
from anytier.spec import Workload
from anytier.spec.container import Probe
from anytier.spec.model import Route

_CLASSES = "gke-l7-"
_LONGEST = 86_400  # seconds: what an app takes long for is the app's affair, as it is with its own router


def balances(scope: Scope) -> bool:
    """Whether it is one of Google's that takes the requests."""
    return (scope.target.gateway_class or "").startswith(_CLASSES)


def policies(scope: Scope, routes: Iterable[tuple[int, Route]]) -> list[Rendered]:
    """CapabilityError for routes to one workload that have different time limits."""
    limits: dict[str, float | None] = {}
    for index, route in routes:
        if limits.setdefault(route.workload, route.timeout) != route.timeout:
            what = f"Google's load balancer has one time limit for all routes to {route.workload}"
            raise CapabilityError(f"routes[{index}].timeout", what, f"give them the same; or {INSTEAD}")
    return [item for name, limit in limits.items() for item in _of(scope, name, limit)]


def _of(scope: Scope, name: str, limit: float | None) -> list[Rendered]:
    body = scope.app.workloads[name]
    answer = {
        "timeoutSec": math.ceil(limit) if limit else _LONGEST,
        "connectionDraining": {"drainingTimeoutSec": min(math.ceil(body.update.drain_timeout), 3600)},
    }
    return [
        _policy(scope, name, f"{name}.health-check", "HealthCheckPolicy", health_check(body)),
        _policy(scope, name, f"{name}.backend", "GCPBackendPolicy", answer),
    ]


def _policy(scope: Scope, name: str, key: str, kind: str, default: Json) -> Rendered:
    called = service_name(name)
    spec = {"default": default, "targetRef": {"group": "", "kind": "Service", "name": called}}
    return Rendered(key, scope.of_part("networking.gke.io/v1", kind, called, "workload", name, spec=spec), (NAMESPACE,))


def health_check(body: Workload) -> Json:
    """By the readiness probe that asks by HTTP; where there is none, whether anybody listens."""
    probes = (item.readiness_probe for item in body.containers.values())
    probe = next((item for item in probes if item and item.http_get), None)
    if probe is None:
        return {"config": {"type": "TCP", "tcpHealthCheck": {"portSpecification": "USE_SERVING_PORT"}}}
    interval = _within(probe.period_seconds, 5)  # one that died must not be asked for long
    return {
        "checkIntervalSec": interval,
        "timeoutSec": _within(probe.timeout_seconds, interval),
        "healthyThreshold": _within(probe.success_threshold, 10),
        "unhealthyThreshold": _within(probe.failure_threshold, 10),
        "config": _asked(probe),
    }


def _asked(probe: Probe) -> Json:
    get = probe.http_get
    assert get is not None  # `health_check`
    field = {"HTTP": "httpHealthCheck", "HTTPS": "httpsHealthCheck"}[get.scheme]
    fixed = {"portSpecification": "USE_FIXED_PORT", "port": get.port}
    return {"type": get.scheme, field: filled(**fixed, host=get.host, requestPath=get.path)}


def _within(number: float, most: int) -> int:
    return max(1, min(math.ceil(number), most))
