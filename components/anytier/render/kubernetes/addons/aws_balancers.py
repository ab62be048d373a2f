"""The AWS Load Balancer Controller, for Services alone: those of its class get a network load balancer.

Written from the project's documentation of 3.5. It makes no ALB, looks after no Gateway, and asks no machine for what
it can be told. No webhook is registered, so that nothing of the API server's waits for it: the class is said by the
Services themselves. Its server of webhooks wants a certificate all the same before it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

IMAGE = "public.ecr.aws/eks/aws-load-balancer-controller:v3.5.0"
NAMESPACE = NAME = "aws-load-balancer-controller"
CLASS = "service.k8s.aws/nlb"
SERVER = f"{NAME}.{NAMESPACE}.svc"  # whom its certificate is for
HEALTH, WEBHOOKS = 61779, 9443
DEFINITIONS = ("balancers.bindings", "balancers.classes")  # keys: in force before it starts
_CERTIFICATE, _FOLDER = f"{NAME}-server", "/etc/anytier/certificate"
_LEADER = f"{NAME}-leader"
_USER = 65532
_GROUP = "elbv2.k8s.aws"
_LOOK = ["get", "list", "watch"]
_IDENTITIES = ("169.254.170.23/32", 80)  # the agent of Pod Identity


@dataclass(frozen=True)
class Choice:
    """Where it works: `cluster` is the cluster's name, `vpc` the id of its network. `tags`: of what it makes, beside
    its own. `certificate` and `key` are base64 of PEM. Name, id and these two may be what only a run knows."""

    cluster: Any
    region: str
    vpc: Any
    certificate: Any
    key: Any
    tags: Mapping[str, str] = field(default_factory=dict)
    image: str = IMAGE


def render(choice: Choice) -> list[Addon]:
    home, inside = "balancers.namespace", ("account", "denied", "policy", "budget", "certificate", "leader")
    made = {
        home: parts.namespace(NAMESPACE, NAME, parts.RESTRICTED),
        DEFINITIONS[0]: _kind("TargetGroupBinding", "targetgroupbindings", "targetgroupbinding", "Namespaced"),
        DEFINITIONS[1]: _kind("IngressClassParams", "ingressclassparams", "ingressclassparam", "Cluster"),
        "balancers.account": parts.account(NAME, NAME, NAMESPACE),
        "balancers.role": parts.role(NAME, NAME, _rules()),
        "balancers.binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE),
        "balancers.leader": parts.role(_LEADER, NAME, _leads(), NAMESPACE),
        "balancers.leads": parts.binding(_LEADER, NAME, _LEADER, NAME, NAMESPACE, NAMESPACE),
        "balancers.denied": parts.policy(
            "default", NAME, NAMESPACE, {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
        ),
        "balancers.policy": parts.policy(NAME, NAME, NAMESPACE, _ways()),
        "balancers.budget": parts.budget(NAME, NAME, NAMESPACE, {parts.LABEL: NAME}),
        "balancers.certificate": _secret(choice),
        "balancers": _controller(choice),
    }
    needs = {
        **dict.fromkeys((f"balancers.{name}" for name in inside), (home,)),
        "balancers.binding": ("balancers.account", "balancers.role"),
        "balancers.leads": ("balancers.account", "balancers.leader"),
        "balancers": (
            *DEFINITIONS,
            "balancers.binding",
            "balancers.leads",
            "balancers.policy",
            "balancers.certificate",
        ),
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def _kind(kind: str, plural: str, singular: str, scope: str) -> dict[str, Any]:
    """A definition that takes what the controller writes; it does not start without both. It judges them itself."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": anything, "status": anything}}
    version = {
        "name": "v1beta1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": parts.named(f"{plural}.{_GROUP}", NAME),
        "spec": {
            "group": _GROUP,
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": singular},
            "scope": scope,
            "versions": [version],
        },
    }


def _rules() -> list[dict[str, Any]]:
    """Ingresses are looked at, since it does not run without, and never touched."""
    return [
        parts.rule("", ["namespaces", "nodes", "pods"], _LOOK),
        parts.rule("", ["services"], [*_LOOK, "patch", "update"]),
        parts.rule("", ["services/status"], ["patch", "update"]),
        parts.rule("", ["events"], ["create", "patch"]),
        parts.rule("discovery.k8s.io", ["endpointslices"], _LOOK),
        parts.rule("networking.k8s.io", ["ingresses", "ingressclasses"], _LOOK),
        parts.rule(_GROUP, ["ingressclassparams"], _LOOK),
        parts.rule(_GROUP, ["targetgroupbindings"], [*_LOOK, "create", "patch", "update", "delete"]),
        parts.rule(_GROUP, ["targetgroupbindings/status"], ["patch", "update"]),
    ]


def _leads() -> list[dict[str, Any]]:
    """One of the two works; which, is said by a lease."""
    mine = parts.rule("coordination.k8s.io", ["leases"], ["get", "patch", "update"])
    return [parts.rule("coordination.k8s.io", ["leases"], ["create"]), {**mine, "resourceNames": [_LEADER]}]


def _arguments(choice: Choice) -> list[str]:
    tags = ",".join(f"{key}={value}" for key, value in sorted(choice.tags.items()))
    return [
        "--cluster-name=$(CLUSTER)",
        f"--aws-region={choice.region}",
        "--aws-vpc-id=$(VPC)",
        *([f"--default-tags={tags}"] if tags else []),
        f"--load-balancer-class={CLASS}",
        f"--leader-election-id={_LEADER}",
        "--feature-gates=ServiceTypeLoadBalancerOnly=true,NLBGatewayAPI=false,ALBGatewayAPI=false",
        "--enable-shield=false",
        "--enable-waf=false",
        "--enable-wafv2=false",
        f"--health-probe-bind-addr=:{HEALTH}",
        "--metrics-bind-addr=0",
        f"--webhook-bind-port={WEBHOOKS}",
        f"--webhook-cert-dir={_FOLDER}",
    ]


def _controller(choice: Choice) -> dict[str, Any]:
    labels = {parts.LABEL: NAME}
    container = {
        "name": NAME,
        "image": choice.image,
        "imagePullPolicy": "IfNotPresent",
        "args": _arguments(choice),
        "env": [
            {"name": "CLUSTER", "value": choice.cluster},
            {"name": "VPC", "value": choice.vpc},
            # Pods do not reach their machine's metadata; whoever asks waits for nothing.
            {"name": "AWS_EC2_METADATA_DISABLED", "value": "true"},
        ],
        "ports": [{"name": "health", "containerPort": HEALTH, "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 5, "timeoutSeconds": 5},
        "livenessProbe": {
            "httpGet": {"path": "/healthz", "port": "health"},
            "initialDelaySeconds": 30,
            "periodSeconds": 10,
            "timeoutSeconds": 10,
            "failureThreshold": 3,
        },
        "securityContext": parts.LOCKED | {"runAsNonRoot": True, "runAsUser": _USER, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "certificate", "mountPath": _FOLDER, "readOnly": True}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "serviceAccountName": NAME,
            "automountServiceAccountToken": True,  # it reads the API: that is its work
            "enableServiceLinks": False,
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "securityContext": {"fsGroup": _USER},  # who reads the certificate's key, and the tokens
            "terminationGracePeriodSeconds": 10,
            "topologySpreadConstraints": [parts.apart(labels)],
            "containers": [container],
            "volumes": [{"name": "certificate", "secret": {"secretName": _CERTIFICATE, "defaultMode": 0o440}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def _secret(choice: Choice) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": parts.named(_CERTIFICATE, NAME, NAMESPACE),
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": choice.certificate, "tls.key": choice.key},
    }


def _ways() -> dict[str, Any]:
    """In come the kubelet's probes; out go names, the API server, AWS, and whoever hands out its identity."""
    desk, port = _IDENTITIES
    return {
        "podSelector": {"matchLabels": {parts.LABEL: NAME}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": HEALTH}]}],
        "egress": [
            parts.DNS,
            {"to": [parts.ANYWHERE], "ports": [{"protocol": "TCP", "port": 443}]},
            {"to": [{"ipBlock": {"cidr": desk}}], "ports": [{"protocol": "TCP", "port": port}]},
        ],
    }
