"""flannel, the network between pods of different machines: by routes in one network (host-gw), or by VXLAN tunnels.

The agent on each machine reads its node's pod CIDR, and writes what the CNI plugin `flannel` reads. Those that it calls
are on the machine already; it itself is, too, unless an image has to bring it.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon

IMAGE = "ghcr.io/flannel-io/flannel:v0.27.4"
PLUGIN = "ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1"
PROGRAM = "/opt/bin/flanneld"
NAMESPACE, NAME = "kube-flannel", "flannel"
Backend = Literal["host-gw", "vxlan"]
_READ = "/etc/kube-flannel"
_PLUGINS = "/opt/cni/bin"


def render(pods: str, backend: Backend, plugin: bool = False) -> list[Addon]:
    """`pods`: the CIDR of which each node has a part. `plugin`: the machines lack the CNI plugin."""
    settings = _settings(pods, backend)
    rules = [
        parts.rule("", ["pods"], ["get"]),
        parts.rule("", ["nodes"], ["get", "list", "watch"]),
        parts.rule("", ["nodes/status"], ["patch"]),
    ]
    home = "flannel.namespace"
    made = {
        home: parts.namespace(NAMESPACE, NAME, parts.PRIVILEGED),
        "flannel.account": parts.account(NAME, NAME, NAMESPACE),
        "flannel.role": parts.role(NAME, NAME, rules),
        "flannel.binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE),
        "flannel.config": settings,
        "flannel": _agent(settings, plugin),
    }
    needs = {
        "flannel.account": (home,),
        "flannel.config": (home,),
        "flannel.binding": ("flannel.account", "flannel.role"),
        "flannel": ("flannel.account", "flannel.binding", "flannel.config"),
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def _settings(pods: str, backend: Backend) -> dict[str, Any]:
    net = {"Network": pods, "EnableNFTables": False, "Backend": {"Type": backend}}
    plugins = [
        {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ]
    cni = {"name": "cbr0", "cniVersion": "1.0.0", "plugins": plugins}
    data = {"net-conf.json": json.dumps(net, indent=2), "cni-conf.json": json.dumps(cni, indent=2)}
    return parts.config_map("flannel-config", NAME, NAMESPACE, data)


def _agent(settings: dict[str, Any], plugin: bool) -> dict[str, Any]:
    """One on each machine, whatever its taints: without it a node is never ready."""
    labels = {parts.LABEL: NAME}
    template = {
        "metadata": {"labels": labels, "annotations": {"anytier.dev/config": parts.digest(settings["data"])}},
        "spec": {
            "hostNetwork": True,
            "priorityClassName": "system-node-critical",
            "serviceAccountName": NAME,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [*([_bringer()] if plugin else []), _installer()],
            "containers": [_daemon()],
            "volumes": [
                parts.host_folder("run", "/run/flannel", "DirectoryOrCreate"),
                parts.host_folder("cni", "/etc/cni/net.d", "DirectoryOrCreate"),
                *([parts.host_folder("plugins", _PLUGINS, "DirectoryOrCreate")] if plugin else []),
                parts.host_folder("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
                {"name": "config", "configMap": {"name": "flannel-config"}},
            ],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": template,
        },
    }


def _bringer() -> dict[str, Any]:
    """Before the configuration that names it: a node is ready once that is there."""
    return {
        "name": "install-plugin",
        "image": PLUGIN,
        "imagePullPolicy": "IfNotPresent",
        "command": ["cp", "-f", "/flannel", f"{_PLUGINS}/flannel"],
        "securityContext": parts.LOCKED | {"runAsUser": 0, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "volumeMounts": [{"name": "plugins", "mountPath": _PLUGINS}],
    }


def _installer() -> dict[str, Any]:
    """The kubelet's runtime reads the plugins' configuration from the machine."""
    return {
        "name": "install-cni",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["cp", "-f", f"{_READ}/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist"],
        "securityContext": parts.LOCKED | {"runAsUser": 0, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "volumeMounts": [
            {"name": "cni", "mountPath": "/etc/cni/net.d"},
            {"name": "config", "mountPath": _READ, "readOnly": True},
        ],
    }


def _daemon() -> dict[str, Any]:
    """`--iface` by the node's own address: on a machine with several networks the cluster's is meant."""
    return {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": [PROGRAM],
        "args": ["--ip-masq", "--kube-subnet-mgr", "--iface=$(NODE_IP)"],
        "env": [
            parts.from_field("NODE_IP", "status.hostIP"),
            parts.from_field("POD_NAME", "metadata.name"),
            parts.from_field("POD_NAMESPACE", "metadata.namespace"),
            {"name": "EVENT_QUEUE_DEPTH", "value": "5000"},
        ],
        "securityContext": {
            "privileged": False,
            "runAsUser": 0,
            "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "50Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "config", "mountPath": _READ, "readOnly": True},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
        ],
    }
