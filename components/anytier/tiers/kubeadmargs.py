"""What a stack may say of a Kubernetes cluster that anytier makes: the config of tier `kubeadm`, typed.

Nothing is decided here; only what is wrong in one value by itself is refused.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from anytier import logins
from anytier.frozen import Frozen
from anytier.render.kubeadm import names, packages, registries, versions
from anytier.render.kubeadm.config import START
from anytier.render.kubeadm.packages import Software
from anytier.tiers.baremetal import MachineArgs
from anytier.tiers.gateways import GatewayArgs
from anytier.tiers.vms import LibvirtArgs

DEFAULT_VERSION = "v1.34.2"
MINORS = ((1, 33), (1, 34))  # those that the rendered objects are validated for, and clusters are made of
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_FOLDER = re.compile(r"(/[A-Za-z0-9_.+-]+){2,}")


def _version(text: str) -> str:
    found = versions.version(text)
    if versions.minor(found) not in MINORS:
        known = " and ".join(f"{major}.{minor}" for major, minor in MINORS)
        raise ValueError(f"{text} is not one of the versions that are known here: {known}")
    return found


def _subnet(text: str) -> str:
    try:
        net = ipaddress.ip_network(names.subnet(text))
    except ValueError as error:
        raise ValueError(str(error)) from None
    if net.version != 4:
        raise ValueError(f"{text} is of IPv6, which is planned; give one of IPv4, such as 10.244.0.0/16")
    if net.is_loopback or net.is_link_local or net.is_multicast or net.is_reserved or net[0].is_unspecified:
        raise ValueError(f"{text} cannot be routed inside of a cluster; give one such as 10.244.0.0/16")
    return str(net)


def _pods(text: str) -> str:
    net = ipaddress.ip_network(_subnet(text))
    if net.prefixlen > 24:
        raise ValueError(f"{text} is too small: each machine takes a /24 of it; give a /16, or what fits your machines")
    return str(net)


def _services(text: str) -> str:
    net = ipaddress.ip_network(_subnet(text))
    if not 12 <= net.prefixlen <= 28:
        raise ValueError(f"{text} is too {'large' if net.prefixlen < 12 else 'small'} for services: from /12 to /28")
    return str(net)


def _domain(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", text):
        raise ValueError(f"{text[:60]!r} is no domain such as cluster.local")
    return text


def _taint(text: str) -> str:
    taint(text)
    return text


def taint(text: str) -> dict[str, str]:
    """`key=value:NoSchedule` or `key:NoSchedule`, as kubectl writes them, in the provider's form."""
    bare, colon, effect = text.rpartition(":")
    key, equals, value = bare.partition("=")
    if not colon or effect not in _EFFECTS:
        raise ValueError(f"{text[:60]!r} is no taint: key=value:EFFECT, with one of {', '.join(_EFFECTS)}")
    return {"key": names.label_key(key), "value": names.label_value(value) if equals else "", "effect": effect}


def _folder(text: str) -> str:
    if not _FOLDER.fullmatch(text) or posixpath.normpath(text) != text:
        raise ValueError(f"{text[:70]!r} is no folder for this: an absolute path, two or more deep, of plain letters")
    return text


def _docker(text: str) -> str:
    scheme = urlsplit(text).scheme
    if scheme not in ("unix", "ssh"):
        raise ValueError(f"{text[:60]!r} is no Docker daemon that builds images: unix:///path or ssh://user@host")
    return text


def _check(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9./-]{0,79}", text):
        raise ValueError(f"{text[:60]!r} is no name of a check; the finding says it")
    return text


Subnet = Annotated[str, AfterValidator(_subnet)]
Labels = dict[Annotated[str, AfterValidator(names.label_key)], Annotated[str, AfterValidator(names.label_value)]]
# A count, or a percentage in text.
Some = Annotated[int, Field(strict=True, ge=1, le=1000)] | Annotated[str, Field(pattern=r"^([1-9][0-9]?|100)%$")]
Flags = dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,80}$")], str]


class NodeArgs(MachineArgs):
    """A machine of tier baremetal. `role`: what it is in the cluster; where none says control-plane, the first is it.

    Its Node is called by its `name`, else by what can be made of its address. `taints`: which pods it keeps away.
    """

    role: Literal["control-plane", "worker"] | None = None
    labels: Labels = Field(default_factory=dict)
    taints: list[Annotated[str, AfterValidator(_taint)]] | None = None


class MirrorArgs(Frozen):
    """Where else packages and images are: `url` of the repository, in which `{minor}` becomes v1.34; a file with its
    `key`, if it is signed with another one than the project's; what stands before images' names in its `registry`.
    `insecure`: one of them may begin with http://."""

    url: Annotated[str, AfterValidator(packages.url)] | None = None
    key: str | None = Field(default=None, min_length=1)
    registry: Annotated[str, AfterValidator(registries.prefix)] | None = None
    insecure: bool = False


class KubeadmArgs(Frozen):
    """Stack config `anytier:kubeadm`. Machines are needed; docs/stacks.md has every option."""

    machines: list[NodeArgs] = Field(default_factory=list)
    inventory: str | None = None
    libvirt: LibvirtArgs | None = None
    version: Annotated[str, AfterValidator(_version)] | None = None
    software: Software = "bundle"
    bundle: str | None = Field(default=None, min_length=1)
    mirror: MirrorArgs | None = None
    endpoint: Annotated[str, AfterValidator(names.endpoint)] | None = None
    control_plane_endpoint: Annotated[str, AfterValidator(names.endpoint)] | None = None
    cert_sans: list[Annotated[str, AfterValidator(logins.address)]] = Field(default_factory=list, alias="certSANs")
    pod_subnet: Annotated[str, AfterValidator(_pods)] = "10.244.0.0/16"
    service_subnet: Annotated[str, AfterValidator(_services)] = "10.96.0.0/12"
    dns_domain: Annotated[str, AfterValidator(_domain)] = "cluster.local"
    cni: Literal["flannel", "flannel-vxlan", "none"] = "flannel"
    network_policy: Literal["kube-router", "none"] = "none"
    storage: Literal["local-path", "none"] = "local-path"
    volumes: Annotated[str, AfterValidator(_folder)] | None = None
    metrics: bool = False
    ingress_controller: Literal["none", "traefik"] = "none"
    gateway: GatewayArgs | None = None
    builder: Annotated[str, AfterValidator(_docker)] | None = None
    caddy_image: str | None = None
    address: Annotated[str, AfterValidator(logins.address)] | None = None
    packages: bool = True
    min_memory: int | None = Field(default=None, ge=0)
    min_cores: int | None = Field(default=None, ge=0)
    ignore_preflight: list[Annotated[str, AfterValidator(_check)]] = Field(default_factory=list)
    protect_kernel_defaults: bool = True
    kubelet: dict[str, Any] = Field(default_factory=dict)
    kube_proxy: dict[str, Any] = Field(default_factory=dict)
    containerd: dict[str, Any] = Field(default_factory=dict)
    api_server: Flags = Field(default_factory=dict)
    controller_manager: Flags = Field(default_factory=dict)
    scheduler: Flags = Field(default_factory=dict)
    etcd: Flags = Field(default_factory=dict)
    feature_gates: dict[str, bool] = Field(default_factory=dict)
    audit: bool = True
    drain_timeout: float = Field(default=300, ge=0, le=3600)
    start_timeout: float = Field(default=START, ge=10, le=3600)
    max_unavailable: Some = 1
    forget: bool = False
