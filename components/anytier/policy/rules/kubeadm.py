"""Rules for clusters of our own, over what kubeadm is really given: our configuration and the stack's over it. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from anytier.policy.look import at_least, get, given, judged, must, not_false, not_true, one_of, true
from anytier.policy.rendered import KUBEADM
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Predicate, Rule

CONTROL = "anytier:kubeadm:ControlPlane"
NODE = "anytier:kubeadm:Node"
_SOON = datetime.timedelta(days=30)
_TLS = one_of("VersionTLS12", "VersionTLS13", "TLS1.2", "TLS1.3")
_PARTS = ("apiServer", "controllerManager", "scheduler")
_HERE = one_of("127.0.0.1", "::1")


def _all(*predicates: Predicate) -> Predicate:
    return lambda resource, context: [wrong for one in predicates for wrong in one(resource, context)]


def _unset_or(path: str, test: object) -> Predicate:
    """kubeadm's own default is right; what a stack lays over it must be, too."""
    assert callable(test)
    return must(path, lambda value: value is None or bool(test(value)))


def _encrypted(value: object) -> bool:
    return not str(value).startswith("http://")


def _anonymous(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Off, or by our file for the paths of health checks only: both at once the API server refuses."""
    flag, file = get(resource.props, "apiServer.anonymous-auth"), get(resource.props, "anonymous")
    if flag is not None and not_false(flag):
        yield Wrong(
            "apiServer.anonymous-auth", f"is {flag}: whoever has no name may ask everything that RBAC lets pass"
        )
    elif flag is None and not file:
        yield Wrong("apiServer.authentication-config", "is not ours, which opens no path but those of health checks")


def _rotated(resource: Resource, context: Context) -> Iterator[Wrong]:
    for name, least in (("maxage", 30), ("maxbackup", 10), ("maxsize", 100)):
        yield from judged(resource.props, f"apiServer.audit-log-{name}", at_least(least))


def _authorized(resource: Resource, context: Context) -> Iterator[Wrong]:
    found = get(resource.props, "apiServer.authorization-mode")
    modes = str(found).split(",")
    if found is not None and ("AlwaysAllow" in modes or not {"Node", "RBAC"} <= set(modes)):
        yield Wrong("apiServer.authorization-mode", f"is {found}")


def _admission(resource: Resource, context: Context) -> Iterator[Wrong]:
    added, off = (get(resource.props, f"apiServer.{name}-admission-plugins") for name in ("enable", "disable"))
    if added is not None and "NodeRestriction" not in str(added).split(","):
        yield Wrong("apiServer.enable-admission-plugins", f"is {added}, without NodeRestriction")
    for name in ("NodeRestriction", "PodSecurity", "ServiceAccount", "NamespaceLifecycle"):
        if name in str(off or "").split(","):
            yield Wrong("apiServer.disable-admission-plugins", f"has {name}")


def _fresh(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Of what a run has seen; a new cluster has nothing to say yet."""
    text = get(resource.outputs, "certificatesExpire")
    if not isinstance(text, str) or not text:
        return
    try:
        end = datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).date()
    except ValueError:
        return
    if end - context.today < _SOON:
        yield Wrong("certificatesExpire", f"is {end}")


RULES = (
    Rule(
        "kubeadm-encryption-at-rest", "critical", "Secrets are encrypted in etcd",
        "take encryption-provider-config out of apiServer", (KUBEADM,),
        must("apiServer.encryption-provider-config", lambda value: "/anytier/encryption-" in str(value)),
        ("CIS Kubernetes 1.2.27", "CIS Kubernetes 1.2.28"),
    ),
    Rule(
        "kubeadm-audit", "high", "The API server writes down who did what",
        "take audit: false out", (KUBEADM,),
        _all(must("apiServer.audit-policy-file", given), must("apiServer.audit-log-path", given)),
        ("CIS Kubernetes 1.2.16", "CIS Kubernetes 3.2.1"),
    ),
    Rule(
        "kubeadm-audit-rotation", "medium", "The audit log is kept for 30 days, in 10 files of 100 MB",
        "take audit-log-maxage, -maxbackup and -maxsize out of apiServer", (KUBEADM,),
        _rotated, ("CIS Kubernetes 1.2.17", "CIS Kubernetes 1.2.18", "CIS Kubernetes 1.2.19"),
    ),
    Rule(
        "kubeadm-anonymous", "critical", "Without a name nothing can be asked but the API server's health",
        "take anonymous-auth and authentication-config out of apiServer", (KUBEADM,),
        _anonymous, ("CIS Kubernetes 1.2.1",),
    ),
    Rule(
        "kubeadm-no-static-tokens", "high", "No file of tokens says who somebody is",
        "take token-auth-file out of apiServer", (KUBEADM,),
        must("apiServer.token-auth-file", lambda value: not value), ("CIS Kubernetes 1.2.2",),
    ),
    Rule(
        "kubeadm-authorization", "critical", "The API server asks Node and RBAC who may do what",
        "take authorization-mode out of apiServer", (KUBEADM,), _authorized,
        ("CIS Kubernetes 1.2.6", "CIS Kubernetes 1.2.7", "CIS Kubernetes 1.2.8"),
    ),
    Rule(
        "kubeadm-admission", "high", "Nodes are held to their own pods, and namespaces to their level",
        "leave NodeRestriction, PodSecurity, ServiceAccount and NamespaceLifecycle on in apiServer", (KUBEADM,),
        _admission, ("CIS Kubernetes 1.2.12", "CIS Kubernetes 1.2.13", "CIS Kubernetes 1.2.14"),
    ),
    Rule(
        "kubeadm-no-profiling", "medium", "No part of the control plane hands out profiles of itself",
        "take profiling out of apiServer, controllerManager and scheduler", (KUBEADM,),
        _all(*(must(f"{part}.profiling", lambda value: value in (False, "false")) for part in _PARTS)),
        ("CIS Kubernetes 1.2.15", "CIS Kubernetes 1.3.2", "CIS Kubernetes 1.4.1"),
    ),
    Rule(
        "kubeadm-local-ports", "medium", "Controller manager and scheduler listen on loopback",
        "take bind-address out of controllerManager and scheduler", (KUBEADM,),
        _all(_unset_or("controllerManager.bind-address", _HERE), _unset_or("scheduler.bind-address", _HERE)),
        ("CIS Kubernetes 1.3.7", "CIS Kubernetes 1.4.2"),
    ),
    Rule(
        "kubeadm-tls", "high", "All parts speak TLS 1.2 or newer",
        "take tls-min-version and tlsMinVersion out", (KUBEADM,),
        _all(
            *(must(f"{part}.tls-min-version", _TLS) for part in (*_PARTS, "etcd")), must("kubelet.tlsMinVersion", _TLS)
        ),
        ("CIS Kubernetes 1.2.29", "CIS Kubernetes 4.2.12"),
    ),
    Rule(
        "kubeadm-kubelet-certificates", "high", "The API server checks whose kubelet answers",
        "leave kubelet-certificate-authority in apiServer and serverTLSBootstrap in kubelet", (KUBEADM,),
        _all(must("apiServer.kubelet-certificate-authority", given), must("kubelet.serverTLSBootstrap", true)),
        ("CIS Kubernetes 1.2.5", "CIS Kubernetes 4.2.11"),
    ),
    Rule(
        "kubeadm-etcd-clients", "critical", "Only who has a certificate of its authority is answered by etcd",
        "take client-cert-auth and auto-tls out of etcd", (KUBEADM,),
        _all(
            must("etcd.client-cert-auth", not_false), must("etcd.peer-client-cert-auth", not_false),
            must("etcd.auto-tls", not_true), must("etcd.peer-auto-tls", not_true),
        ),
        ("CIS Kubernetes 2.2", "CIS Kubernetes 2.3", "CIS Kubernetes 2.5", "CIS Kubernetes 2.6"),
    ),
    Rule(
        "kubeadm-kubelet-anonymous", "critical", "A kubelet answers nobody without a name",
        "take authentication.anonymous out of kubelet", (KUBEADM,),
        must("kubelet.authentication.anonymous.enabled", lambda value: value is False), ("CIS Kubernetes 4.2.1",),
    ),
    Rule(
        "kubeadm-kubelet-authorization", "critical", "A kubelet asks the API server who may do what",
        "take authorization.mode out of kubelet", (KUBEADM,),
        must("kubelet.authorization.mode", one_of("Webhook")), ("CIS Kubernetes 4.2.2",),
    ),
    Rule(
        "kubeadm-kubelet-client-ca", "high", "A kubelet knows its clients by the cluster's authority",
        "take authentication.x509 out of kubelet", (KUBEADM,),
        _unset_or("kubelet.authentication.x509.clientCAFile", given), ("CIS Kubernetes 4.2.3",),
    ),
    Rule(
        "kubeadm-kubelet-read-only-port", "high", "A kubelet's port without authentication is closed",
        "take readOnlyPort out of kubelet", (KUBEADM,),
        must("kubelet.readOnlyPort", one_of(0)), ("CIS Kubernetes 4.2.4",),
    ),
    Rule(
        "kubeadm-kubelet-rotation", "high", "A kubelet renews its certificate by itself",
        "take rotateCertificates out of kubelet", (KUBEADM,),
        must("kubelet.rotateCertificates"), ("CIS Kubernetes 4.2.10",),
    ),
    Rule(
        "kubeadm-kubelet-kernel", "medium", "The kernel's settings are those that a kubelet wants",
        "take protectKernelDefaults: false out", (KUBEADM,),
        must("kubelet.protectKernelDefaults"), ("CKV_K8S_144",),
    ),
    Rule(
        "kubeadm-node-kernel", "medium", "Nodes are given the kernel's settings that a kubelet wants",
        "take protectKernelDefaults: false out", (NODE,), must("protectKernelDefaults"), ("CKV_K8S_144",),
    ),
    Rule(
        "kubeadm-software-tls", "high", "Packages and images of Kubernetes come by TLS",
        "give the mirror's url and registry by https", (NODE,),
        _all(_unset_or("repository.url", _encrypted), _unset_or("repository.registry", _encrypted)),
    ),
    Rule(
        "kubeadm-kubelet-pids", "medium", "A pod cannot use up its node's processes",
        "take podPidsLimit out of kubelet", (KUBEADM,),
        must("kubelet.podPidsLimit", at_least(1)), ("CIS Kubernetes 4.2.13",),
    ),
    Rule(
        "kubeadm-kubelet-seccomp", "medium", "A pod that says nothing gets the runtime's filter of system calls",
        "take seccompDefault out of kubelet", (KUBEADM,), must("kubelet.seccompDefault"), ("CIS Kubernetes 4.2.14",),
    ),
    Rule(
        "kubeadm-proxy-metrics", "low", "The metrics of kube-proxy are on loopback only",
        "take metricsBindAddress out of kubeProxy", (KUBEADM,),
        must("kubeProxy.metricsBindAddress", lambda value: str(value).startswith(("127.0.0.1:", "[::1]:"))),
        ("CIS Kubernetes 4.3.1",),
    ),
    Rule(
        "kubeadm-certificates-fresh", "high", "No certificate of the cluster ends within 30 days",
        "run `pulumi up --refresh`: it renews those that end within 60 days", (CONTROL,), _fresh, whole=True,
    ),
)  # fmt: skip
