"""A cluster by hand, over SSH with the tools that everybody has: what the tier's own way is measured against, and a
cluster for tests that need one and not the tier.

    python -m tests.provider.kubeadm.byhand BUNDLE FOLDER [WORKERS]      up, until it is stopped
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml
from tests.provider.kubeadm.box import API, QUIRKS, KubeBox, kube_boxes

from anytier.bundle.manifest import Bundle

POD_SUBNET = "10.244.0.0/16"
SERVICE_SUBNET = "10.96.0.0/16"
IGNORED = "--ignore-preflight-errors=all"
_CONTAINERD = """version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
_UNIT = """[Unit]
Description=kubelet
After=network-online.target

[Service]
ExecStart=/usr/local/bin/kubelet --bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \\
    --kubeconfig=/etc/kubernetes/kubelet.conf --config=/var/lib/kubelet/config.yaml $KUBELET_KUBEADM_ARGS
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
_READY = """systemctl restart containerd && systemctl enable kubelet 2>/dev/null &&
sysctl -qw net.ipv4.ip_forward=1 && install -d /etc/kubernetes/manifests"""


def prepare(box: KubeBox, bundle: Bundle, number: int, others: Sequence[str]) -> None:
    """Software, configuration and images on a machine. `number` picks its pods' subnet, `others` is the machines in
    the order of their numbers."""
    pause = next(name for name in bundle.references if "/pause:" in name)
    files = {
        "etc/containerd/config.toml": _CONTAINERD.format(pause=pause).encode(),
        "etc/systemd/system/kubelet.service": _UNIT.encode(),
        "etc/cni/net.d/10-bridge.conflist": json.dumps(_network(number)).encode(),
    }
    box.ssh("tar -x -C /", _packed(bundle, files))
    routes = [f"ip route replace 10.244.{at}.0/24 via {via}" for at, via in enumerate(others) if at != number]
    box.ssh("; ".join([_READY, *routes]))
    for relative in bundle.images:
        box.ssh("ctr -n k8s.io images import - >/dev/null", bundle.file(relative).read_bytes())


def _network(number: int) -> dict[str, Any]:
    ipam = {"type": "host-local", "ranges": [[{"subnet": f"10.244.{number}.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "hairpinMode": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, portmap]}


def _packed(bundle: Bundle, files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder, target in (("bin", "usr/local/bin"), ("cni", "opt/cni/bin")):
            for name, relative in bundle.below(folder).items():
                info = tarfile.TarInfo(f"{target}/{name}")
                info.mode, info.size = 0o755, bundle.file(relative).stat().st_size
                with bundle.file(relative).open("rb") as stream:
                    tar.addfile(info, stream)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.mode, info.size = 0o644, len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def config(box: KubeBox, bundle: Bundle) -> str:
    """For `kubeadm init`."""
    kinds: list[dict[str, Any]] = [
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "InitConfiguration",
            "localAPIEndpoint": {"advertiseAddress": box.address, "bindPort": API},
            "nodeRegistration": {"criSocket": "unix:///run/containerd/containerd.sock", "taints": []},
        },
        {
            "apiVersion": "kubeadm.k8s.io/v1beta4",
            "kind": "ClusterConfiguration",
            "kubernetesVersion": bundle.version,
            "networking": {"podSubnet": POD_SUBNET, "serviceSubnet": SERVICE_SUBNET},
            "apiServer": {"certSANs": ["127.0.0.1", box.address]},
        },
        {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", **QUIRKS["kubelet"]},
        {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", **QUIRKS["kubeProxy"]},
    ]
    return yaml.safe_dump_all(kinds)


def init(box: KubeBox, bundle: Bundle) -> str:
    """The control plane. Its admin's kubeconfig, with the address that this machine reaches."""
    box.ssh(
        f"cat >/etc/kubeadm-byhand.yaml && kubeadm init --config /etc/kubeadm-byhand.yaml {IGNORED}",
        config(box, bundle).encode(),
    )
    return kubeconfig(box)


def kubeconfig(box: KubeBox) -> str:
    found = box.ssh("cat /etc/kubernetes/admin.conf")
    return re.sub(r"server: \S+", f"server: https://127.0.0.1:{box.api}", found)


def join(control: KubeBox, box: KubeBox) -> None:
    command = control.ssh("kubeadm token create --ttl 10m --print-join-command").strip()
    box.ssh(f"{command} {IGNORED}")


def up(boxes: Sequence[KubeBox], bundle: Bundle, said: Callable[[str], None] = lambda text: None) -> str:
    """The first is the control plane, the others join it; the admin's kubeconfig. Returns once all nodes are Ready."""
    start = time.monotonic()
    others = [box.address for box in boxes]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: prepare(boxes[at], bundle, at, others), range(len(boxes))))
        said(f"prepared {time.monotonic() - start:.0f} s")
        text = init(boxes[0], bundle)
        said(f"init {time.monotonic() - start:.0f} s")
        list(pool.map(lambda box: join(boxes[0], box), boxes[1:]))
        said(f"joined {time.monotonic() - start:.0f} s")
    wait_ready(text, len(boxes))
    said(f"ready {time.monotonic() - start:.0f} s")
    return text


def client(text: str) -> Any:
    from lightkube import Client, KubeConfig

    return Client(config=KubeConfig.from_dict(yaml.safe_load(text)), trust_env=False)


def wait_ready(text: str, count: int, seconds: float = 120) -> None:
    from lightkube.resources.core_v1 import Node

    kube, until = client(text), time.monotonic() + seconds
    while time.monotonic() < until:
        ready = [
            node.metadata.name
            for node in kube.list(Node)
            if any(item.type == "Ready" and item.status == "True" for item in node.status.conditions or [])
        ]
        if len(ready) == count:
            return
        time.sleep(0.3)
    raise AssertionError(f"{len(ready)} of {count} nodes are Ready: {ready}")


STORAGE = """
apiVersion: v1
kind: Namespace
metadata: {name: local-path-storage}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: local-path, namespace: local-path-storage}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: local-path}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: local-path, namespace: local-path-storage}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: local-path-config, namespace: local-path-storage}
data:
  config.json: '{"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": ["/opt/local-path"]}]}'
  setup: 'mkdir -m 0777 -p "$VOL_DIR"'
  teardown: 'rm -rf "$VOL_DIR"'
  helperPod.yaml: |
    apiVersion: v1
    kind: Pod
    metadata: {name: helper-pod}
    spec: {containers: [{name: helper-pod, image: "docker.io/library/busybox:1.37.0", imagePullPolicy: IfNotPresent}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: local-path, namespace: local-path-storage}
spec:
  selector: {matchLabels: {app: local-path}}
  template:
    metadata: {labels: {app: local-path}}
    spec:
      serviceAccountName: local-path
      containers:
        - name: local-path
          image: docker.io/rancher/local-path-provisioner:v0.0.30
          command: [local-path-provisioner, start, --config, /etc/config/config.json]
          env:
            - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
            - {name: CONFIG_MOUNT_PATH, value: /etc/config/}
            - {name: SERVICE_ACCOUNT_NAME, value: default}
          volumeMounts: [{name: config, mountPath: /etc/config}]
      volumes: [{name: config, configMap: {name: local-path-config}}]
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local-path, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: rancher.io/local-path
volumeBindingMode: WaitForFirstConsumer
reclaimPolicy: Delete
"""


def storage(text: str) -> None:
    """A default StorageClass of folders on the nodes."""
    from lightkube.codecs import load_all_yaml

    kube = client(text)
    for item in load_all_yaml(STORAGE):
        kube.apply(item, field_manager="byhand", force=True)


@contextlib.contextmanager
def cluster(folder: Path, bundle: Bundle, workers: int = 0, ports: int = 2) -> Iterator[tuple[list[KubeBox], str]]:
    """Boxes with a cluster on them, and the admin's kubeconfig; gone afterwards."""
    with kube_boxes(folder, 1 + workers, ports) as boxes:
        text = up(boxes, bundle, lambda said: print(said, flush=True))
        storage(text)
        yield boxes, text


def main(argv: Sequence[str]) -> int:
    """Leaves `config` and `cluster.json` in the folder; runs until it is told to end."""
    bundle, folder, workers = Bundle.read(argv[0]), Path(argv[1]), int(argv[2]) if len(argv) > 2 else 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with cluster(folder, bundle, workers) as (boxes, text):
        told = [{"name": box.name, "address": box.address, "ports": box.ports, **box.machine()} for box in boxes]
        (folder / "cluster.json").write_text(json.dumps(told, indent=2))
        (folder / "config").touch(0o600)
        (folder / "config").write_text(text)
        print(f"KUBECONFIG={folder / 'config'}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
