"""What is known of resource types beside their models: what a replacement or a removal loses, what an update restarts,
and which fields of Kubernetes' kinds cannot change in place. Data, and pure.

The fields are those for which pulumi-kubernetes 4.25 makes an object anew (its provider/diff.go), and a few more that
the API server refuses to change (the kinds' own validation). For kinds that are not Kubernetes' own nothing is known.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import import_module

# Type -> what goes with it. An input of the name `retain` keeps it.
HOLDS: dict[str, str] = {
    "anytier:docker:Volume": "the data in the volume",
    "anytier:host:Volume": "the data in the volume",
    "anytier:libvirt:Volume": "the data on the disk",
    "anytier:index:Secret": "the generated value",
    "anytier:index:Identity": "what says at the place whose deployment it is",
    "anytier:index:KeyPair": "the key pair",
    "anytier:index:Certificate": "the certificate and its key",
    "anytier:kubeadm:ControlPlane": "the cluster with all that is on it",
    "kubernetes:core/v1:Namespace": "all that is in the namespace",
    "kubernetes:core/v1:PersistentVolumeClaim": "the data in the volume",
    "kubernetes:core/v1:PersistentVolume": "the volume",
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": "all objects of this kind",
    "aws:cloudwatch/logGroup:LogGroup": "the logs",
    "aws:dynamodb/table:Table": "the data",
    "aws:ebs/volume:Volume": "the data on the disk",
    "aws:ecr/repository:Repository": "the images",
    "aws:efs/fileSystem:FileSystem": "the data",
    "aws:eks/cluster:Cluster": "the cluster with all that is on it",
    "aws:kms/key:Key": "the key, and all that it encrypts",
    "aws:rds/*": "the data",
    "aws:s3/*:Bucket*": "the data",
    "azure-native:containerregistry:Registry": "the images",
    "azure-native:containerservice:ManagedCluster": "the cluster with all that is on it",
    "azure-native:keyvault:*": "the keys, and all that they encrypt",
    "azure-native:operationalinsights:Workspace": "the logs",
    "azure-native:resources:ResourceGroup": "all that is in the group",
    "azure-native:storage:StorageAccount": "the data",
    "gcp:artifactregistry/repository:Repository": "the images",
    "gcp:container/cluster:Cluster": "the cluster with all that is on it",
    "gcp:kms/*": "the key, and all that it encrypts",
    "gcp:sql/*": "the data",
    "gcp:storage/bucket:Bucket": "the data",
}
# Of our own: what an update in place may interrupt, and why.
RESTARTS: dict[str, str] = {
    "anytier:docker:Network": "what is on the network may be connected anew",
    "anytier:docker:Proxy": "the proxy may start anew",
    "anytier:host:DockerEngine": "Docker may restart, and all containers with it",
    "anytier:host:Packages": "packages are installed or taken away",
    "anytier:host:Proxy": "the proxy may start anew",
    "anytier:kubeadm:ControlPlane": "parts of the control plane restart",
    "anytier:kubeadm:Node": "what runs the node's pods may restart",
    "anytier:kubeadm:Worker": "the node may be drained first",
    "anytier:libvirt:Domain": "the machine may restart",
    "anytier:libvirt:Network": "the machines' network may restart",
    "anytier:libvirt:Pool": "the pool may restart",
}
# Inputs that are no reason for it: they change while the thing runs on.
CALM: dict[str, frozenset[str]] = {
    "anytier:docker:Proxy": frozenset({"config", "certificates"}),
    "anytier:host:Proxy": frozenset({"config", "certificates"}),
}
# What leaves nothing that serves, or holds, when it goes: waits, marks and copies.
SPENT = (
    "anytier:docker:Image",
    "anytier:docker:Job",
    "anytier:host:Image",
    "anytier:host:Job",
    "anytier:kubeadm:Image",
    "anytier:kubernetes:*",
)
WORKLOADS = ("anytier:docker:Workload", "anytier:host:Workload")
SERVICE = "kubernetes:core/v1:Service"
JOBS = ("anytier:docker:Job", "anytier:host:Job", "anytier:kubernetes:Run", "kubernetes:batch/v1:Job")

_ANY = ("metadata.name", "metadata.namespace", "metadata.generateName")
_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "apps/v1:DaemonSet": ("spec.selector",),
    "apps/v1:Deployment": ("spec.selector",),
    "apps/v1:ReplicaSet": ("spec.selector",),
    "apps/v1:StatefulSet": (
        "spec.podManagementPolicy",
        "spec.revisionHistoryLimit",
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
    ),
    "batch/v1:Job": ("spec.completions", "spec.parallelism", "spec.selector", "spec.template"),
    "core/v1:ConfigMap": ("data", "binaryData"),
    "core/v1:PersistentVolume": ("spec.csi", "spec.hostPath", "spec.local", "spec.nfs", "spec.awsElasticBlockStore"),
    "core/v1:PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeMode",
        "spec.volumeName",
    ),
    "core/v1:Pod": ("spec",),
    "core/v1:ResourceQuota": ("spec.scopes",),
    "core/v1:Secret": ("type", "data", "stringData"),
    "core/v1:Service": ("spec.clusterIP", "spec.loadBalancerClass"),
    "rbac.authorization.k8s.io/v1:ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/v1:RoleBinding": ("roleRef",),
    "storage.k8s.io/v1:StorageClass": ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
}
_OWN_GROUPS = ("core", "apps", "batch", "autoscaling", "policy")
# Where the managed tiers list what makes the clouds' resources anew, of what they use; loaded for a type of that cloud.
_OF_CLOUDS = {"aws": "eksplan", "gcp": "gkeplan", "azure-native": "aksfacts"}
# What says which cluster a provider is on. Without an identifier it goes by the address in the kubeconfig.
_PROVIDER = ("clusterIdentifier", "context", "cluster", "namespace")


def holds(type: str) -> str | None:
    """What is lost with a resource of this type, if anything."""
    if type in HOLDS:
        return HOLDS[type]
    return next((what for pattern, what in HOLDS.items() if "*" in pattern and fnmatchcase(type, pattern)), None)


def spent(type: str) -> bool:
    return any(fnmatchcase(type, pattern) for pattern in SPENT)


def replacing(type: str) -> tuple[str, ...] | None:
    """The fields (dotted) whose change makes an object of Kubernetes, or its provider, anew. None: it is not known."""
    if type == "pulumi:providers:kubernetes":
        return _PROVIDER
    package, _, rest = type.partition(":")
    group = rest.partition("/")[0]
    if package != "kubernetes" or not (group in _OWN_GROUPS or group.endswith(".k8s.io")):
        return None
    return (*_ANY, *_IMMUTABLE.get(rest, ()))


def listed(type: str) -> tuple[str, ...]:
    """Fields (dotted) of a cloud's resource whose change makes it anew for sure. Of others that is not known."""
    module = _OF_CLOUDS.get(type.partition(":")[0])
    if module is None:
        return ()
    found = import_module(f"anytier.tiers.{module}")
    once = getattr(found, "ONCE_GIVEN", ())  # only where there was a value before
    return tuple(field for field in found.REPLACES.get(type, ()) if field not in once)
