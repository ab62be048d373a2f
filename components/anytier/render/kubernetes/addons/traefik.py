"""Traefik, an Ingress controller: it takes the requests of all apps of the cluster on the machines' own addresses.

It reads Ingresses of its class and nothing else: no definitions of its own, no dashboard, no word to anybody outside.
It leads to the pods themselves, and what none of them took is tried again, as an app's own router does it. What its
Ingresses say by annotations is here, too (`notes`): the middlewares that they name are in its config.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon
from anytier.render.yamltext import dumped

IMAGE = "docker.io/library/traefik:v3.7.13"
NAMESPACE, NAME, CLASS = "traefik", "traefik", "traefik"
PLAIN, ENCRYPTED, HEALTH = 8080, 8443, 8081
DEEPEST = 8  # parts of a path that can be taken off
# Until every node knows that it is gone, and until what it still answers has been answered.
_DRAIN, _GRACE = 5, 30
_FOLDER = "/etc/traefik/dynamic"
_LOOK = ["list", "watch"]
_NOTE = "traefik.ingress.kubernetes.io/router"


def render(addresses: Sequence[str], port: int, tls_port: int, replicas: int) -> list[Addon]:
    """`addresses`: of the machines that take requests; `port` and `tls_port` are where users call them."""
    settings = parts.config_map(NAME, NAME, NAMESPACE, {"routing.yaml": dumped(_middlewares(tls_port), sort_keys=True)})
    home, inside = "ingress.namespace", ("ingress.policy", "ingress.budget")
    made = {
        home: parts.namespace(NAMESPACE, NAME, parts.RESTRICTED),
        "ingress.account": parts.account(NAME, NAME, NAMESPACE),
        "ingress.role": parts.role(NAME, NAME, _rules()),
        "ingress.binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE),
        "ingress.config": settings,
        "ingress.denied": parts.policy(
            "default", NAME, NAMESPACE, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        ),
        "ingress.policy": parts.policy(NAME, NAME, NAMESPACE, _ways()),
        "ingress.budget": parts.budget(NAME, NAME, NAMESPACE, {parts.LABEL: NAME}),
        "ingress": _controller(settings, replicas),
        "ingress.service": _service(addresses, port, tls_port),
        "ingress.class": _class(),
    }
    needs = {
        **dict.fromkeys(("ingress.account", "ingress.config", "ingress.denied", *inside), (home,)),
        "ingress.binding": ("ingress.account", "ingress.role"),
        "ingress": ("ingress.account", "ingress.binding", "ingress.config", "ingress.policy"),
        "ingress.service": ("ingress",),
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def notes(host: str | None, path: str, strip: bool = False, encrypted: bool = False) -> dict[str, str]:
    """Annotations of an Ingress with this one path. ValueError for one that is too deep to be taken off.

    Without a priority the longer rule wins, so that a long path without a host would take what is a host's.
    """
    rank = 1 if host is None else 2 if host.startswith("*") else 3
    depth = path.strip("/").count("/") + 1 if strip and path != "/" else 0
    if depth > DEEPEST:
        raise ValueError(f"has {depth} parts, and at most {DEEPEST} are taken off")
    return {
        f"{_NOTE}.entrypoints": "websecure" if encrypted else "web",
        f"{_NOTE}.priority": str(rank * 1_000_000 + len(path)),
        **({f"{_NOTE}.tls": "true"} if encrypted else {}),
        **({f"{_NOTE}.middlewares": f"strip-{depth}@file"} if depth else {}),
    }


def redirecting(host: str | None, path: str) -> dict[str, str]:
    """Annotations of one that sends plain requests to where they are encrypted."""
    return {**notes(host, path), f"{_NOTE}.middlewares": "to-https@file"}


def _middlewares(tls_port: int) -> dict[str, Any]:
    """Those that Ingresses name, and the one that is around everything: only what never reached a pod is sent again."""
    strip = {f"strip-{n}": {"stripPrefixRegex": {"regex": [f"^(/[^/]+){{{n}}}"]}} for n in range(1, DEEPEST + 1)}
    again = {"retry": {"attempts": 40, "initialInterval": "100ms", "timeout": "5s"}}
    secure = {"redirectScheme": {"scheme": "https", "port": str(tls_port), "permanent": True}}
    return {"http": {"middlewares": {"again": again, "to-https": secure, **strip}}}


def _rules() -> list[dict[str, Any]]:
    """It only looks. An Ingress may name any Secret of its namespace; which do, nobody knows beforehand."""
    return [
        parts.rule("", ["services", "secrets", "nodes"], _LOOK),
        parts.rule("discovery.k8s.io", ["endpointslices"], _LOOK),
        parts.rule("networking.k8s.io", ["ingresses", "ingressclasses"], _LOOK),
    ]


def _arguments() -> list[str]:
    numbers = {"web": PLAIN, "websecure": ENCRYPTED, "ping": HEALTH}
    found = [f"--entryPoints.{name}.address=:{number}" for name, number in numbers.items()]
    for name in numbers:
        there = f"--entryPoints.{name}.transport.lifeCycle"
        found += [f"{there}.requestAcceptGraceTimeout={_DRAIN}s", f"{there}.graceTimeOut={_GRACE}s"]
    for name in ("web", "websecure"):
        found += [
            f"--entryPoints.{name}.http.middlewares=again@file",
            # What an app takes long for is the app's affair, as it is with its own router.
            f"--entryPoints.{name}.transport.respondingTimeouts.readTimeout=0",
        ]
    return [
        *found,
        "--ping.entryPoint=ping",
        "--providers.kubernetesIngress=true",
        f"--providers.kubernetesIngress.ingressClass={CLASS}",
        "--providers.kubernetesIngress.allowEmptyServices=true",
        "--providers.kubernetesIngress.strictPrefixMatching=true",
        f"--providers.file.directory={_FOLDER}",
        "--providers.file.watch=false",
        "--providers.providersThrottleDuration=200ms",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=WARN",
    ]


def _controller(settings: dict[str, Any], replicas: int) -> dict[str, Any]:
    labels = {parts.LABEL: NAME}
    health = {"httpGet": {"path": "/ping", "port": HEALTH}}
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "args": _arguments(),
        "ports": [
            {"name": name, "containerPort": number, "protocol": "TCP"}
            for name, number in (("http", PLAIN), ("https", ENCRYPTED), ("ping", HEALTH))
        ],
        "readinessProbe": {**health, "periodSeconds": 1, "timeoutSeconds": 1},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "securityContext": parts.LOCKED | {"runAsNonRoot": True, "runAsUser": 65532, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": _FOLDER, "readOnly": True}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    template = {
        "metadata": {"labels": labels, "annotations": {"anytier.dev/config": parts.digest(settings["data"])}},
        "spec": {
            "serviceAccountName": NAME,
            "automountServiceAccountToken": True,  # it reads the API: that is its work
            "enableServiceLinks": False,
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "terminationGracePeriodSeconds": _DRAIN + _GRACE + 5,
            "topologySpreadConstraints": [parts.apart(labels)],
            "containers": [container],
            "volumes": [{"name": "config", "configMap": {"name": NAME}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "replicas": replicas,
            "minReadySeconds": 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def _service(addresses: Sequence[str], port: int, tls_port: int) -> dict[str, Any]:
    return parts.service(NAME, NAME, NAMESPACE, [("http", port), ("https", tls_port)], addresses)


def _ways() -> dict[str, Any]:
    """In come requests and the kubelet's probes; out go names, the API server and pods, and no link-local address."""
    return {
        "podSelector": {"matchLabels": {parts.LABEL: NAME}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": port} for port in (PLAIN, ENCRYPTED, HEALTH)]}],
        "egress": [parts.DNS, {"to": [parts.ANYWHERE]}, {"to": [{"namespaceSelector": {}}]}],
    }


def _class() -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": parts.named(CLASS, NAME),
        "spec": {"controller": "traefik.io/ingress-controller"},
    }
