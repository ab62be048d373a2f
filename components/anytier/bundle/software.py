"""What a bundle is filled with, and where that is published. Plain values; nothing is asked for here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

KUBERNETES = "1.34.2"
CNI_PLUGINS = "1.7.1"
FLANNEL = "0.27.4"
FLANNEL_PLUGIN = "1.8.0-flannel1"
LOCAL_PATH = "0.0.30"
METRICS = "0.8.0"
CADDY = "2.11.2"
TRAEFIK = "3.7.13"
KUBE_ROUTER = "2.1.0"
# Beside those that kubeadm names: the pods' network, volumes that are folders, the shell that makes such a folder, what
# autoscaling goes by, the router of an app, what takes Ingresses, what holds NetworkPolicies. Tests hold
# the versions equal to those rendered.
IMAGES = (
    f"ghcr.io/flannel-io/flannel:v{FLANNEL}",
    f"docker.io/rancher/local-path-provisioner:v{LOCAL_PATH}",
    "docker.io/library/busybox:1.37.0",
    f"registry.k8s.io/metrics-server/metrics-server:v{METRICS}",
    f"docker.io/library/caddy:{CADDY}",
    f"docker.io/library/traefik:v{TRAEFIK}",
    f"docker.io/cloudnativelabs/kube-router:v{KUBE_ROUTER}",
)
ARCHES = {"amd64": "x86_64", "arm64": "aarch64"}  # what `uname -m` says there


@dataclass(frozen=True)
class Download:
    """A file and where its SHA-256 is published. `takes`: what of it goes where in the bundle, by the end of its
    name in the archive; "" is the file itself."""

    url: str
    sums: str
    takes: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


def downloads(version: str, arch: str, mirror: str = "") -> list[Download]:
    """Of a version such as `1.34.2`. `mirror` has each address below it with its host, without the scheme."""
    found = []
    for name in ("kubeadm", "kubelet"):
        url = at(f"https://dl.k8s.io/release/v{version}/bin/linux/{arch}/{name}", mirror)
        found.append(Download(url, f"{url}.sha256", {"": f"bin/{name}"}))
    github = "https://github.com"
    plugins = f"cni-plugins-linux-{arch}-v{CNI_PLUGINS}.tgz"
    url = at(f"{github}/containernetworking/plugins/releases/download/v{CNI_PLUGINS}/{plugins}", mirror)
    names = ("bridge", "host-local", "loopback", "portmap")
    found.append(Download(url, f"{url}.sha256", {name: f"cni/{name}" for name in names}))
    plugin = f"cni-plugin-flannel-linux-{arch}-v{FLANNEL_PLUGIN}.tgz"
    url = at(f"{github}/flannel-io/cni-plugin/releases/download/v{FLANNEL_PLUGIN}/{plugin}", mirror)
    found.append(Download(url, f"{url}.sha256", {f"flannel-{arch}": "cni/flannel"}))
    return found


def at(url: str, mirror: str) -> str:
    return f"{mirror.rstrip('/')}/{url.partition('://')[2]}" if mirror else url


def asked_of(reference: str, registry: str) -> str:
    """Where an image is asked for: at its own registry, or below `registry` with its own registry's name."""
    return f"{registry.rstrip('/')}/{reference}" if registry else reference


def file_of(reference: str) -> str:
    """`images/etcd-3.6.5-0.tar`."""
    name, _, tag = reference.rpartition("/")[2].partition(":")
    return f"images/{name}-{tag}.tar" if tag else f"images/{name}.tar"
