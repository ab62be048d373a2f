"""local-path-provisioner, the default storage class: a volume is a folder of the machine where its first pod runs.

It stays on that machine, and so do the pods that use it. Volumes are of the kind `local`, to which the kubelet applies
a pod's `fsGroup`; on those of kind `hostPath` a program that is not root could not write.
"""

from __future__ import annotations

import json
from typing import Any

from anytier.render.kubernetes.addons import parts
from anytier.render.kubernetes.addons.parts import Addon
from anytier.render.yamltext import dumped

IMAGE = "docker.io/rancher/local-path-provisioner:v0.0.30"
HELPER = "docker.io/library/busybox:1.37.0"
NAMESPACE, NAME, CLASS = "local-path-storage", "local-path-provisioner", "local-path"
_LOOK = ["get", "list", "watch"]
# Nobody but root looks into the folder of all volumes: what is in it is open to whoever the pod runs as.
SETUP = """\
#!/bin/sh
set -eu
mkdir -m 0777 -p "$VOL_DIR"
chmod 0700 "${VOL_DIR%/*}"
"""
TEARDOWN = """\
#!/bin/sh
set -eu
rm -rf "$VOL_DIR"
"""


def render(volumes: str) -> list[Addon]:
    """`volumes`: the folder of each machine in which the volumes lie."""
    settings = _settings(volumes)
    home = "storage.namespace"
    needed = ("storage.account", "storage.binding", "storage.cluster-binding", "storage.config")
    made = {
        home: parts.namespace(NAMESPACE, NAME, parts.PRIVILEGED),
        "storage.account": parts.account(NAME, NAME, NAMESPACE),
        "storage.role": parts.role(NAME, NAME, _own_rules(), NAMESPACE),
        "storage.cluster-role": parts.role(NAME, NAME, _rules()),
        "storage.binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE, NAMESPACE),
        "storage.cluster-binding": parts.binding(NAME, NAME, NAME, NAME, NAMESPACE),
        "storage.config": settings,
        "storage": _provisioner(settings),
        "storage.class": _class(),
    }
    needs = {
        "storage.account": (home,),
        "storage.role": (home,),
        "storage.config": (home,),
        "storage.binding": ("storage.account", "storage.role"),
        "storage.cluster-binding": ("storage.account", "storage.cluster-role"),
        "storage": needed,
    }
    return [Addon(key, object, needs.get(key, ())) for key, object in made.items()]


def _own_rules() -> list[dict[str, Any]]:
    """In its own namespace it starts the pods that make and remove a folder."""
    return [parts.rule("", ["pods"], [*_LOOK, "create", "patch", "update", "delete"])]


def _rules() -> list[dict[str, Any]]:
    return [
        parts.rule("", ["nodes", "persistentvolumeclaims", "configmaps", "pods", "pods/log"], _LOOK),
        parts.rule("", ["persistentvolumes"], [*_LOOK, "create", "patch", "update", "delete"]),
        parts.rule("", ["events"], ["create", "patch"]),
        parts.rule("storage.k8s.io", ["storageclasses"], _LOOK),
    ]


def _settings(volumes: str) -> dict[str, Any]:
    paths = {"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [volumes]}]}
    data = {
        "config.json": json.dumps(paths, indent=2),
        "setup": SETUP,
        "teardown": TEARDOWN,
        "helperPod.yaml": dumped(_helper()),
    }
    return parts.config_map("local-path-config", NAME, NAMESPACE, data)


def _helper() -> dict[str, Any]:
    """The pod that makes or removes a folder; the provisioner fills in where, and what is to be done."""
    container = {
        "name": "helper-pod",
        "image": HELPER,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists"}],
            "automountServiceAccountToken": False,
            "containers": [container],
        },
    }


def _provisioner(settings: dict[str, Any]) -> dict[str, Any]:
    labels = {parts.LABEL: NAME}
    container = {
        "name": NAME,
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": [NAME, "start", "--config", "/etc/config/config.json"],
        "env": [
            {
                "name": "POD_NAMESPACE",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}},
            },
            {"name": "CONFIG_MOUNT_PATH", "value": "/etc/config/"},
            # Of the pods that make and remove folders: one that may do nothing in the cluster.
            {"name": "SERVICE_ACCOUNT_NAME", "value": "default"},
        ],
        "securityContext": parts.LOCKED | {"runAsNonRoot": True, "runAsUser": 65534, "readOnlyRootFilesystem": True},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/config/", "readOnly": True}],
    }
    template = {
        "metadata": {"labels": labels, "annotations": {"anytier.dev/config": parts.digest(settings["data"])}},
        "spec": {
            "serviceAccountName": NAME,
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [
                {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
            ],
            "containers": [container],
            "volumes": [{"name": "config", "configMap": {"name": "local-path-config"}}],
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": parts.named(NAME, NAME, NAMESPACE),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": template,
        },
    }


def _class() -> dict[str, Any]:
    notes = {"storageclass.kubernetes.io/is-default-class": "true", "defaultVolumeType": "local"}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": parts.named(CLASS, NAME, annotations=notes),
        "provisioner": "rancher.io/local-path",
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Delete",
    }
