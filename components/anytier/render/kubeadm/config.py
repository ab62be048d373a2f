"""What kubeadm is given for an init and for a join, as documents and as YAML. Pure.

Values of users go through a safe dumper only, so that no text of theirs can end a string or begin a key.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anytier.render.kubeadm import audit, authentication, kubelet
from anytier.render.kubeadm.ciphers import CIPHERS
from anytier.render.kubeadm.merge import over
from anytier.render.kubeadm.names import join_endpoint, split_endpoint
from anytier.render.yamltext import dumped_all

API = "kubeadm.k8s.io/v1beta4"
FOLDER = "/etc/kubernetes/anytier"
LOGS = "/var/log/kubernetes/audit"
SOCKET = "unix:///run/containerd/containerd.sock"
REPOSITORY = "registry.k8s.io"
START = 240.0  # seconds, kubeadm's own


@dataclass(frozen=True)
class Control:
    """A control plane. `encryption`: tells one encryption configuration from another; its content is a secret file."""

    name: str
    cluster: str
    version: str
    endpoint: str
    address: str
    encryption: str
    control_plane_endpoint: str | None = None
    port: int = 6443
    pod_subnet: str = "10.244.0.0/16"
    service_subnet: str = "10.96.0.0/12"
    dns_domain: str = "cluster.local"
    cert_sans: Sequence[str] = ()
    kubelet: Mapping[str, Any] = field(default_factory=dict)
    kube_proxy: Mapping[str, Any] = field(default_factory=dict)
    api_server: Mapping[str, str] = field(default_factory=dict)
    controller_manager: Mapping[str, str] = field(default_factory=dict)
    scheduler: Mapping[str, str] = field(default_factory=dict)
    etcd: Mapping[str, str] = field(default_factory=dict)
    feature_gates: Mapping[str, bool] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] | None = None
    audit: bool = True
    ignore: Sequence[str] = ()
    start: float = START

    @property
    def server(self) -> str:
        """host:port where machines and pods reach the API."""
        return self.control_plane_endpoint or join_endpoint(self.address, self.port)


def documents(control: Control) -> list[dict[str, Any]]:
    return [init(control), cluster(control), kubelet.config(control.kubelet), proxy(control)]


def text(documents: Sequence[Mapping[str, Any]]) -> str:
    """All in ASCII, since PyYAML reads U+0085 back as a space where it wrote it as it is."""
    return dumped_all([dict(item) for item in documents], width=10**6)


def init(control: Control) -> dict[str, Any]:
    return {
        "apiVersion": API,
        "kind": "InitConfiguration",
        # One has to be; it is good for nobody, since a worker gets its own.
        "bootstrapTokens": [{"ttl": "1s", "usages": ["authentication"], "description": "made by kubeadm init"}],
        "nodeRegistration": registration(control.name, control.address, control.taints, control.ignore),
        "localAPIEndpoint": {"advertiseAddress": control.address, "bindPort": control.port},
        **timeouts(control.start),
    }


def timeouts(start: float) -> dict[str, Any]:
    """`start`: seconds for a control plane, or a kubelet, to come up. What kubeadm waits for besides grows with it, and
    is never less than its own."""
    if start == START:
        return {}
    seconds = {
        "controlPlaneComponentHealthCheck": start,
        "kubeletHealthCheck": start,
        "kubernetesAPICall": max(60, start / 4),
        "etcdAPICall": max(120, start / 2),
        "tlsBootstrap": max(300, start),
        "discovery": max(300, start),
    }
    return {"timeouts": {name: f"{math.ceil(value)}s" for name, value in seconds.items()}}


def registration(
    name: str, address: str, taints: Sequence[Mapping[str, str]] | None, ignore: Sequence[str]
) -> dict[str, Any]:
    """Images are on the node already, and what is missing may be pulled where that is possible."""
    return {
        "name": name,
        "criSocket": SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": [{"name": "node-ip", "value": address}],
        **({} if taints is None else {"taints": [dict(item) for item in taints]}),
        **({"ignorePreflightErrors": list(ignore)} if ignore else {}),
    }


def cluster(control: Control) -> dict[str, Any]:
    """`certSANs`: all names under which somebody reaches the API."""
    suites = ",".join(CIPHERS)
    common = {"profiling": "false", "tls-min-version": "VersionTLS12", "tls-cipher-suites": suites}
    server = {
        **common,
        "authentication-config": f"{FOLDER}/authentication.yaml",
        "encryption-provider-config": f"{FOLDER}/encryption-{control.encryption}.yaml",
        "kubelet-certificate-authority": "/etc/kubernetes/pki/ca.crt",
        # To pods that are ready. A Service's address leaves the machine before kube-proxy knows it, and whoever answers
        # there is taken for the pod as long as that connection lasts.
        "enable-aggregator-routing": "true",
        **(_audited() if control.audit else {}),
        **control.api_server,
    }
    given = {"cipher-suites": suites, "tls-min-version": "TLS1.2"}
    return {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "clusterName": control.cluster,
        "kubernetesVersion": control.version,
        "controlPlaneEndpoint": control.server,
        "imageRepository": REPOSITORY,
        "encryptionAlgorithm": "ECDSA-P256",
        "networking": {
            "podSubnet": control.pod_subnet,
            "serviceSubnet": control.service_subnet,
            "dnsDomain": control.dns_domain,
        },
        "apiServer": {
            "certSANs": sans(control),
            "extraArgs": _arguments(server),
            "extraVolumes": _volumes(control.audit),
        },
        "controllerManager": {
            "extraArgs": _arguments({**common, "terminated-pod-gc-threshold": "1000", **control.controller_manager})
        },
        "scheduler": {"extraArgs": _arguments({**common, **control.scheduler})},
        "etcd": {"local": {"dataDir": "/var/lib/etcd", "extraArgs": _arguments({**given, **control.etcd})}},
        **({"featureGates": dict(control.feature_gates)} if control.feature_gates else {}),
    }


def proxy(control: Control) -> dict[str, Any]:
    ours = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clusterCIDR": control.pod_subnet,
        "metricsBindAddress": "127.0.0.1:10249",
    }
    return over(ours, control.kube_proxy)


def sans(control: Control) -> list[str]:
    hosts = [split_endpoint(item)[0] for item in (control.endpoint, control.server)]
    return list(dict.fromkeys([*hosts, control.address, "127.0.0.1", "localhost", *control.cert_sans]))


def join(
    name: str, address: str, taints: Sequence[Mapping[str, str]], ignore: Sequence[str], start: float = START
) -> dict[str, Any]:
    """A worker. The way to the API and the token are in a file of their own, since cluster-info has no reader here."""
    return {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "nodeRegistration": registration(name, address, taints, ignore),
        "discovery": {"file": {"kubeConfigPath": f"{FOLDER}/discovery.conf"}},
        **timeouts(start),
    }


def files(control: Control) -> dict[str, str]:
    """Path -> content of all that is no secret."""
    found = {
        f"{FOLDER}/kubeadm.yaml": text(documents(control)),
        f"{FOLDER}/authentication.yaml": text([authentication.config(control.version)]),
    }
    if control.audit:
        found[_policy()] = text([audit.policy()])
    return found


def kubeconfig(name: str, server: str, ca: str, user: Mapping[str, str]) -> dict[str, Any]:
    """`ca`: base64. `user`: a token, or a certificate and its key."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "user", "user": dict(user)}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "user"}}],
        "current-context": name,
    }


def digest(value: Any) -> str:
    """Of plain data, however it is ordered."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _policy() -> str:
    """Named by its content: the API server reads it once, so that another one has to be another flag."""
    return f"{FOLDER}/audit-{digest(audit.policy())}.yaml"


def _audited() -> dict[str, str]:
    return {
        "audit-policy-file": _policy(),
        "audit-log-path": f"{LOGS}/audit.log",
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
    }


def _volumes(audited: bool) -> list[dict[str, Any]]:
    given = {"name": "anytier", "hostPath": FOLDER, "mountPath": FOLDER, "readOnly": True, "pathType": "Directory"}
    logs = {"name": "audit", "hostPath": LOGS, "mountPath": LOGS, "pathType": "DirectoryOrCreate"}
    return [given, logs] if audited else [given]


def _arguments(given: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": key, "value": value} for key, value in sorted(given.items())]
