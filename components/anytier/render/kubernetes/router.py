"""The app's own router, where the cluster offers neither Gateway nor Ingress: Caddy in the app's namespace.

Its config is static: the routes lead to Services, and Services know who is ready. Connections to them are not kept,
since a kept one would outlive the endpoint that it leads to; one that is refused is tried again for a while. Another
config is another ConfigMap, so the router rolls like everything else: the new one starts first, the old one serves on
until nobody is sent there any more.

There are two, without a state. Where certificates are made automatically there is one, with a volume that keeps them:
several would each order their own.
"""

from __future__ import annotations

import json
from typing import Any

from anytier.errors import CapabilityError
from anytier.render import caddy
from anytier.render.kubernetes import security
from anytier.render.kubernetes.finish import Live, content_hash, joined
from anytier.render.kubernetes.names import ROUTER, filled, labels, selector, service_name
from anytier.render.kubernetes.routes import certificates
from anytier.render.kubernetes.scope import NAMESPACE, Scope
from anytier.render.kubernetes.service import balanced, machines_own, reached, routes_port
from anytier.render.kubernetes.target import Json, Rendered
from anytier.render.kubernetes.workload import REVISION
from anytier.render.proxy import ProxyConfig
from anytier.render.template import UpdatePolicy
from anytier.render.traffic import certificate_pairs, on_cluster

PLAIN, ENCRYPTED, HEALTH = 8080, 8443, 8081
PROXY = "router/proxy"
_CERTIFICATES, _FILE = "/etc/anytier/certificates", "/etc/anytier/caddy.json"
# Until every node knows that it is gone, and until what it still answers has been answered.
_DRAIN, _GRACE = 5, 30
_UPDATE = UpdatePolicy(min_healthy_time=1, healthy_deadline=60, progress_deadline=120)


def config_of(scope: Scope) -> ProxyConfig:
    made = on_cluster(
        scope.app,
        (PLAIN, ENCRYPTED),
        scope.target.tls_port,
        _CERTIFICATES,
        lambda workload, port: f"{service_name(workload)}:{port.port}",
    )
    return made.model_copy(update={"acme": scope.target.acme})


def router(scope: Scope, after: list[str]) -> list[Rendered]:
    """CapabilityError where certificates would be lost, or where nobody could reach it."""
    config = config_of(scope)
    pairs = certificates(scope, kept=True)
    data = {"caddy.json": json.dumps(adapted(config), indent=1, sort_keys=True, ensure_ascii=False)}
    called = joined(f"{ROUTER}-", content_hash(data))
    held = scope.of_router("v1", "ConfigMap", called, immutable=True, data=data)
    keeps = makes_certificates(config)
    body = _body(scope, called, [item.object["metadata"]["name"] for item in pairs], keeps)
    account = scope.of_router("v1", "ServiceAccount", ROUTER, automountServiceAccountToken=False)
    made = [
        *pairs,
        Rendered("router/config", held, (NAMESPACE,), kept=True),
        Rendered("router/account", account, (NAMESPACE,)),
        Rendered("router/service", _service(scope, config), (NAMESPACE,)),
    ]
    if keeps:
        made.append(Rendered("router/volume", _claim(scope), (NAMESPACE,)))
    elif scope.target.router_replicas > 1:
        spec = {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector("router", ROUTER)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        }
        budget = scope.of_router("policy/v1", "PodDisruptionBudget", ROUTER, spec=spec)
        made.append(Rendered("router/budget", budget, (NAMESPACE,)))
    needs = tuple(dict.fromkeys([*(item.key for item in made), *after]))
    return [*made, Rendered(PROXY, body, needs, "rollout", _UPDATE)]


def makes_certificates(config: ProxyConfig) -> bool:
    return any(tls.mode != "files" for listener in config.listeners.values() for tls in listener.tls)


def adapted(config: ProxyConfig) -> Json:
    """Caddy's config for a place where Services balance: nobody changes it, and no connection to them is kept."""
    out = caddy.render(config)
    http = out["apps"]["http"]
    for server in http["servers"].values():
        server["routes"] = [route for route in server["routes"] if not _remembers(route)]
        for handler in (handler for route in server["routes"] for handler in route["handle"]):
            if handler["handler"] == "reverse_proxy":
                once = {"protocol": "http", "dial_timeout": "3s", "keep_alive": {"enabled": False}}
                handler["transport"] = {**once, **handler.get("transport", {})}
    http["servers"]["health"] = {
        "listen": [f":{HEALTH}"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [{"handler": "static_response", "status_code": 200}]}],
    }
    http["http_port"], http["https_port"] = PLAIN, ENCRYPTED
    out["admin"] = {"disabled": True, "config": {"persist": False}}
    return out


def _remembers(route: Json) -> bool:
    """The route in which a proxy that is changed while it runs finds its config again."""
    return any(handler["handler"] == "vars" for handler in route["handle"])


def _service(scope: Scope, config: ProxyConfig) -> Json:
    """ConfigError for a port that the machines themselves need."""
    wanted = {
        "public": ("http", "anytier:port", scope.target.port, PLAIN),
        "public-tls": ("https", "anytier:tlsPort", scope.target.tls_port, ENCRYPTED),
    }
    served = [item for name, item in wanted.items() if name in config.listeners]
    for _, key, outer, _ in served:
        if outer in machines_own(scope):
            raise routes_port(key, outer)
    ports = [{"name": name, "port": outer, "targetPort": inner, "protocol": "TCP"} for name, _, outer, inner in served]
    spec = {"selector": selector("router", ROUTER), "ports": ports, **reached(scope, "routes")}
    made = balanced(scope, scope.of_router("v1", "Service", ROUTER, spec=spec))
    if scope.target.entrance:
        made["metadata"]["annotations"] = {**made["metadata"].get("annotations", {}), **scope.target.entrance}
    return made


def _claim(scope: Scope) -> Json:
    if scope.target.storage_class is None and "storage" not in scope.target.offers:
        what = "needs a volume for its certificates, and nothing on this cluster makes volumes"
        raise CapabilityError("routes.*.tls.auto", what, "give certificates by tls.secretRef, or let there be storage")
    spec = filled(
        accessModes=["ReadWriteOnce"],
        resources={"requests": {"storage": "64Mi"}},
        storageClassName=scope.target.storage_class,
    )
    return scope.of_router("v1", "PersistentVolumeClaim", ROUTER, spec=spec)


def _body(scope: Scope, called: str, pairs: list[str], keeps: bool) -> Json:
    marks = labels(scope.app.metadata.name, "router", ROUTER, scope.app.metadata.labels)
    template: Json = {"metadata": {"labels": marks}, "spec": _pod(scope, called, pairs, keeps)}
    template["metadata"]["annotations"] = {REVISION: content_hash(template)}
    match = {"matchLabels": selector("router", ROUTER)}
    shared: Json = {"selector": match, "template": template, "minReadySeconds": 1, "revisionHistoryLimit": 3}
    if keeps:
        spec = {"replicas": 1, "serviceName": ROUTER, "podManagementPolicy": "Parallel", **shared}
        return scope.of_router("apps/v1", "StatefulSet", ROUTER, spec=spec)
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    deadline = {"progressDeadlineSeconds": int(_UPDATE.progress_deadline)}
    spec = {"replicas": scope.target.router_replicas, "strategy": rolling, **deadline, **shared}
    return scope.of_router("apps/v1", "Deployment", ROUTER, spec=spec)


def _pod(scope: Scope, called: str, pairs: list[str], keeps: bool) -> Json:
    certificates_in = [
        _certificate(name, secret) for name, secret in zip(certificate_pairs(scope.app), pairs, strict=True)
    ]
    volumes: list[Json] = [
        {"name": "config", "configMap": {"name": called, "items": [{"key": "caddy.json", "path": "caddy.json"}]}},
        {"name": "data", **({"persistentVolumeClaim": {"claimName": ROUTER}} if keeps else {"emptyDir": {}})},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts: list[Json] = [
        {"name": "config", "mountPath": _FILE, "subPath": "caddy.json", "readOnly": True},
        {"name": "data", "mountPath": "/data"},
        {"name": "scratch", "mountPath": "/config"},
    ]
    if pairs:
        volumes.append({"name": "certificates", "projected": {"sources": certificates_in, "defaultMode": 0o440}})
        mounts.append({"name": "certificates", "mountPath": _CERTIFICATES, "readOnly": True})
    constraint = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector("router", ROUTER)},
    }
    return filled(
        serviceAccountName=ROUTER,
        automountServiceAccountToken=False,
        enableServiceLinks=False,
        securityContext={
            "runAsNonRoot": True,
            "runAsUser": security.GROUP,
            "runAsGroup": security.GROUP,
            "fsGroup": security.GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        terminationGracePeriodSeconds=_DRAIN + _GRACE,
        containers=[_caddy(scope, mounts)],
        volumes=volumes,
        topologySpreadConstraints=None if keeps else [constraint],
    )


def _certificate(name: str, secret: str) -> Json:
    items = [{"key": "tls.crt", "path": f"{name}.crt"}, {"key": "tls.key", "path": f"{name}.key"}]
    return {"secret": {"name": secret, "items": items}}


def _caddy(scope: Scope, mounts: list[Json]) -> Json:
    health: Json = {"httpGet": {"path": "/", "port": HEALTH}}
    # The official program's file carries this capability, and without it the kernel does not start it.
    rights: dict[str, Any] = {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]}
    return {
        "name": "caddy",
        "image": Live(scope.target.caddy_image),
        "imagePullPolicy": "IfNotPresent",
        "command": ["caddy", "run", "--config", _FILE],
        "env": [{"name": "XDG_DATA_HOME", "value": "/data"}, {"name": "XDG_CONFIG_HOME", "value": "/config"}],
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in (PLAIN, ENCRYPTED, HEALTH)],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": mounts,
        "readinessProbe": {**health, "periodSeconds": 1, "timeoutSeconds": 1},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": rights,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
