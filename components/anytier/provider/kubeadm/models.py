"""Inputs and outputs of the resources that make a cluster. What they do is in the files beside this one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from anytier.frozen import Frozen
from anytier.provider.docker.client import Endpoint
from anytier.provider.fields import delete_first, ignored, normalise, secret
from anytier.provider.host.sshref import SshRef
from anytier.provider.owner import form
from anytier.render.kubeadm import packages, registries
from anytier.render.kubeadm.config import START
from anytier.render.kubeadm.names import endpoint, image_name, label_key, label_value, node_name, signal, subnet
from anytier.render.kubeadm.versions import version

Role = Literal["control-plane", "worker"]
Version = Annotated[str, AfterValidator(version)]  # `v1.34.2`
NodeName = Annotated[str, AfterValidator(node_name)]
HostPort = Annotated[str, AfterValidator(endpoint)]  # `10.0.0.11:6443`
Subnet = Annotated[str, AfterValidator(subnet)]
Labels = dict[Annotated[str, AfterValidator(label_key)], Annotated[str, AfterValidator(label_value)]]


def _mirror(text: str) -> str:
    return registries.prefix(text) if text else text


class Taint(Frozen):
    key: Annotated[str, AfterValidator(label_key)]
    value: Annotated[str, AfterValidator(label_value)] = ""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]


class OnNode(Frozen):
    """A machine and the name of its Node. `owner` says whose cluster it is, in words for people; `cluster` is its name,
    and together they are the mark on the machine. `forget`: a machine that does not answer may be let go, with a
    warning; it counts when something is deleted, and must have been given to an `up` before."""

    machine: Annotated[SshRef, delete_first]
    name: Annotated[NodeName, delete_first]
    cluster: Annotated[NodeName, delete_first]
    owner: Annotated[str, ignored] = ""
    ignore_preflight: list[str] = Field(default_factory=list)
    forget: Annotated[bool, ignored] = False


class Repository(Frozen):
    """Where a machine gets Kubernetes itself: `url` of an apt repository of its minor, whose `key` is base64 of
    OpenPGP's packets; empty is the project's own, got from beside the packages. `registry`: what stands before images'
    names where they are mirrored, asked by TLS unless it begins with http://; empty is no mirror."""

    url: Annotated[str, AfterValidator(packages.url)]
    key: str = ""
    registry: Annotated[str, AfterValidator(_mirror)] = ""


class NodeInputs(OnNode):
    """`bundle` is a folder on this side and `bundleDigest` what it holds (`Bundle.digest`), so that a new content is a
    change and a new place of the same is none. With a `repository` the software comes from there, and there is no
    bundle. `packages`: what is missing of the distribution comes by its package manager. `containerd`: laid over our
    configuration; `systemdCgroup` and `restrictOomScoreAdj` say in a word what its file has deep inside. `memory`: MiB
    that it must have, 1700 for a control plane if not said. `cores` likewise, 2. `protectKernelDefaults`: the kernel's
    settings that the kubelet wants are made. `incarnation`: which installation of the machine it is; another one has
    nothing of ours. The `owner`'s token is a change, so that the mark gets it."""

    owner: Annotated[str, normalise(form)] = ""
    role: Role = "worker"
    version: Version
    repository: Repository | None = None
    bundle: Annotated[str, ignored] = ""
    bundle_digest: str = ""
    packages: bool = True
    containerd: dict[str, Any] = Field(default_factory=dict)
    protect_kernel_defaults: bool = True
    memory: int | None = Field(default=None, ge=0)
    cores: int | None = Field(default=None, ge=0)
    incarnation: str | None = None


class NodeOutputs(Frozen):
    """The facts are those of the last look; `memory` in bytes. `addresses`: all that the machine has but loopback.
    `prepared` is what was prepared, as a digest; empty where the machine no longer is as it was left. `versions`: of
    Kubernetes that lie there. `added`, `disabled`: packages that we brought, and units of theirs."""

    distribution: str = ""
    kernel: str = ""
    architecture: str = ""
    cores: int = 0
    memory: int = 0
    cgroup: int = 0
    containerd: str = ""
    addresses: list[str] = Field(default_factory=list)
    prepared: str = ""
    versions: list[str] = Field(default_factory=list)
    added: list[str] = Field(default_factory=list)
    disabled: list[str] = Field(default_factory=list)


class ControlPlaneInputs(OnNode):
    """`endpoint` is where clients on this side reach the API and is in the kubeconfig; `controlPlaneEndpoint` where
    machines and pods do, `advertiseAddress:port` if not said: a name there leaves room for three control planes.
    `apiServer`, `controllerManager`, `scheduler`, `etcd` are further flags; `kubelet` and `kubeProxy` are laid over our
    configuration. `taints`: None is kubeadm's own, an empty list lets the app's pods run here. `encryptionKey`: any
    text of 32 characters or more, from which the key of what is at rest is made. `deadline`: seconds for a drain;
    `startTimeout`: for the control plane to come up."""

    version: Version
    endpoint: HostPort
    control_plane_endpoint: HostPort | None = None
    advertise_address: str
    port: int = Field(default=6443, ge=1, le=65535)
    pod_subnet: Subnet = "10.244.0.0/16"
    service_subnet: Subnet = "10.96.0.0/12"
    dns_domain: str = "cluster.local"
    cert_sans: list[str] = Field(default_factory=list, alias="certSANs")
    kubelet: dict[str, Any] = Field(default_factory=dict)
    kube_proxy: dict[str, Any] = Field(default_factory=dict)
    api_server: dict[str, str] = Field(default_factory=dict)
    controller_manager: dict[str, str] = Field(default_factory=dict)
    scheduler: dict[str, str] = Field(default_factory=dict)
    etcd: dict[str, str] = Field(default_factory=dict)
    feature_gates: dict[str, bool] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    taints: list[Taint] | None = None
    encryption_key: Annotated[str, secret] = Field(min_length=32)
    audit: bool = True
    deadline: Annotated[float, ignored] = Field(default=300, ge=0, le=3600)
    start_timeout: Annotated[float, ignored] = Field(default=START, ge=10, le=3600)
    incarnation: str | None = None


class ControlPlaneOutputs(Frozen):
    """`caHash` is kubeadm's (`sha256:...` of the CA's public key). `certificatesExpire`: the first one, as RFC 3339.
    `kubeletHash` changes with the kubelets' configuration. `ready`: the Node is. `pending`: kubelets' certificates
    that wait for us. An empty `version` is a cluster that did not come to its end."""

    kubeconfig: Annotated[str, secret] = ""
    ca_hash: str = ""
    version: str = ""
    certificates_expire: str = ""
    kubelet_hash: str = ""
    config_hash: str = ""
    ready: bool = False
    pending: list[str] = Field(default_factory=list)


class WorkerInputs(OnNode):
    """`control` is the machine of the control plane, `endpoint` where this machine reaches the API, `address` what the
    node is reached by for as long as it is in the cluster. `caHash` and `kubeletHash` are the control plane's outputs:
    another CA is another cluster. `deadline`: seconds for which PodDisruptionBudgets are respected when the node is
    emptied; `maxUnavailable`: how many of the cluster's workers are, at a time. `startTimeout`: seconds for its kubelet
    to come up and be in the cluster."""

    control: Annotated[SshRef, ignored]
    endpoint: HostPort
    address: Annotated[str, delete_first]
    version: Version
    ca_hash: Annotated[str, delete_first]
    kubelet_hash: str = ""
    labels: Labels = Field(default_factory=dict)
    taints: list[Taint] = Field(default_factory=list)
    deadline: Annotated[float, ignored] = Field(default=300, ge=0, le=3600)
    max_unavailable: Annotated[int, ignored] = Field(default=1, ge=1, le=1000)
    start_timeout: Annotated[float, ignored] = Field(default=START, ge=10, le=3600)
    incarnation: str | None = None


class WorkerOutputs(Frozen):
    """`uid` is the Node's. An empty `version`: it has not joined, or no longer is there as it was left. `pending`: the
    kubelet's requests for a certificate that wait for us."""

    uid: str = ""
    version: str = ""
    kubelet_hash: str = ""
    ready: bool = False
    pending: list[str] = Field(default_factory=list)


class ImageInputs(Frozen):
    """`image` is a reference or an id on the Docker daemon `builder`; it is sent to each of `machines`. `stopSignal` is
    put into the image, since Kubernetes has no field for it. `retain`: how many earlier images stay for a rollback."""

    machines: list[SshRef] = Field(min_length=1)
    builder: Annotated[Endpoint, ignored] = Endpoint()
    image: str
    name: Annotated[Annotated[str, AfterValidator(image_name)], delete_first] = "image"
    stop_signal: Annotated[str, AfterValidator(signal)] | None = None
    retain: Annotated[int, ignored] = Field(default=5, ge=0, le=100)


class ImageOutputs(Frozen):
    """`ref` is what pods name. `lacking`: machines that no longer have it. `versions`: newest first."""

    ref: str = ""
    lacking: list[str] = Field(default_factory=list)
    versions: list[str] = Field(default_factory=list)
