"""Rules for Kubernetes objects, as pulumi-kubernetes registers them. Pure.

What makes a cluster one (its network, its volumes) must be let do more than an app: the namespaces of such parts are
named here, and only the rules that say so hold for them too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from anytier.marks import UNKNOWN, Secret
from anytier.policy.look import get, given, inside, items, judged, opened, said, true
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Predicate, Rule
from anytier.policy.rules.docker import is_socket
from anytier.policy.rules.host import secret_words

CLUSTERS = frozenset(
    {"kube-system", "kube-public", "kube-node-lease", "kube-flannel", "local-path-storage", "gke-managed-system"}
)
# Kind's token -> where its pods' template is.
PODS: Mapping[str, str] = {
    "kubernetes:core/v1:Pod": "",
    "kubernetes:apps/v1:Deployment": "spec.template",
    "kubernetes:apps/v1:StatefulSet": "spec.template",
    "kubernetes:apps/v1:DaemonSet": "spec.template",
    "kubernetes:apps/v1:ReplicaSet": "spec.template",
    "kubernetes:batch/v1:Job": "spec.template",
    "kubernetes:batch/v1:CronJob": "spec.jobTemplate.spec.template",
}
KINDS = tuple(PODS)
NAMESPACE = "kubernetes:core/v1:Namespace"
POLICY = "kubernetes:networking.k8s.io/v1:NetworkPolicy"
ROLES = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("Role", "ClusterRole"))
BINDINGS = tuple(f"kubernetes:rbac.authorization.k8s.io/v1:{kind}" for kind in ("RoleBinding", "ClusterRoleBinding"))
_LEVEL = "pod-security.kubernetes.io/enforce"
_HARMLESS = {"NET_BIND_SERVICE"}  # what level `restricted` lets through
_METADATA = (ip_address("169.254.169.254"), ip_address("fd00:ec2::254"))  # of a machine: its credentials

Part = tuple[str, Any]


def namespace(resource: Resource) -> Any:
    found = get(resource.props, "metadata.namespace")
    return "default" if found is None else found


def of_app(resource: Resource) -> bool:
    """Not before it is known where."""
    space = namespace(resource)
    return space is not UNKNOWN and space not in CLUSTERS


def pod(resource: Resource) -> Part:
    """(path, spec) of the pods that a controller makes."""
    base = PODS[resource.type]
    path = f"{base}.spec" if base else "spec"
    found = get(resource.props, path)
    return path, {} if found is None else found


def containers(resource: Resource) -> Iterator[Part]:
    path, spec = pod(resource)
    for name in ("initContainers", "containers", "ephemeralContainers"):
        for where, item in items(spec, name):
            yield f"{path}.{where}", item


def _apps(predicate: Predicate) -> Predicate:
    def wrong(resource: Resource, context: Context) -> Iterable[Wrong]:
        return predicate(resource, context) if of_app(resource) else ()

    return wrong


def _of_pod(name: str, good: Any) -> Predicate:
    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        path, spec = pod(resource)
        for item in judged(spec, name, good):
            yield Wrong(f"{path}.{item.path}", item.what)

    return wrong


def _of_each(name: str, good: Any) -> Predicate:
    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        for path, container in containers(resource):
            for item in judged(container, name, good):
                yield Wrong(f"{path}.{item.path}", item.what)

    return wrong


def _either(name: str, good: Any) -> Predicate:
    """A container's own `securityContext` wins over its pod's."""

    def wrong(resource: Resource, context: Context) -> Iterator[Wrong]:
        _, spec = pod(resource)
        above = get(spec, f"securityContext.{name}")
        for path, container in containers(resource):
            own = get(container, f"securityContext.{name}")
            value = above if own is None else own
            if value is not UNKNOWN and not good(value):
                yield Wrong(f"{path}.securityContext.{name}", said(value))

    return wrong


def _no_root(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from _either("runAsNonRoot", true)(resource, context)
    yield from _either("runAsUser", lambda value: value != 0)(resource, context)


def _added(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, container in containers(resource):
        found = inside(container, "securityContext.capabilities.add")
        more = sorted(str(item) for item in found if item not in _HARMLESS)
        if more:
            yield Wrong(f"{path}.securityContext.capabilities.add", f"has {', '.join(more)}")


def _token(resource: Resource, context: Context) -> Iterator[Wrong]:
    """True is what was asked for, by an account of its own; nothing at all is a token in every pod."""
    path, spec = pod(resource)
    found, account = get(spec, "automountServiceAccountToken"), get(spec, "serviceAccountName")
    if found is None or (true(found) and account in (None, "default")):
        yield Wrong(f"{path}.automountServiceAccountToken", said(found))


def _host(resource: Resource, context: Context) -> Iterator[Wrong]:
    path, spec = pod(resource)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        yield from (Wrong(f"{path}.{item.path}", item.what) for item in judged(spec, name, lambda v: not true(v)))


def _host_paths(resource: Resource, context: Context) -> Iterator[Wrong]:
    path, spec = pod(resource)
    for where, volume in items(spec, "volumes"):
        if (found := get(volume, "hostPath.path")) is not None:
            yield Wrong(f"{path}.{where}.hostPath", said(found))


def _sockets(resource: Resource, context: Context) -> Iterator[Wrong]:
    path, spec = pod(resource)
    for where, volume in items(spec, "volumes"):
        found = get(volume, "hostPath.path")
        if isinstance(found, str) and is_socket(found):
            yield Wrong(f"{path}.{where}.hostPath.path", f"is {found}: whoever has it is root of the node")


def _host_ports(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, container in containers(resource):
        for where, port in items(container, "ports"):
            if given(get(port, "hostPort")):
                yield Wrong(f"{path}.{where}.hostPort", said(get(port, "hostPort")))


def _fixed(value: Any) -> bool:
    """By its digest, or by a tag that is not the one which always moves."""
    name, at, _ = str(value or "").partition("@")
    last = name.rpartition("/")[2]
    return bool(at) or (":" in last and not last.endswith(":latest"))


def _requests(resource: Resource, context: Context) -> Iterator[Wrong]:
    for name in ("cpu", "memory"):
        yield from _of_each(f"resources.requests.{name}", given)(resource, context)


def _argv(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, container in containers(resource):
        for name in ("command", "args"):
            yield from (Wrong(f"{path}.{name}.{at}", "holds a secret") for at in secret_words(get(container, name)))


def _literals(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, container in containers(resource):
        for where, item in items(container, "env"):
            if isinstance(item, Mapping) and isinstance(item.get("value"), Secret):
                yield Wrong(f"{path}.{where}.value", "is a secret's value, which everybody sees who may read the pod")


def _level(resource: Resource, context: Context) -> Iterator[Wrong]:
    if get(resource.props, "metadata.name") in CLUSTERS:
        return
    labels = opened(get(resource.props, "metadata.labels"))
    found = labels.get(_LEVEL) if isinstance(labels, Mapping) else labels
    if found is not UNKNOWN and opened(found) != "restricted":
        yield Wrong(f"metadata.labels.{_LEVEL}", said(opened(found)))


def _denied(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Each way is closed by a policy for every pod of the namespace; other policies open the app's own ways."""
    space = namespace(resource)
    mine = [policy for policy in context.of(POLICY) if namespace(policy) in (space, UNKNOWN)]
    for kind, way in (("Ingress", "in"), ("Egress", "out")):
        if not any(_for_all(policy, kind) for policy in mine):
            yield Wrong("metadata.namespace", f"is {space}, where no NetworkPolicy of the stack closes the way {way}")


def _for_all(policy: Resource, kind: str) -> bool:
    """Nothing comes in. What may go out is named, and the credentials of machines are not among it."""
    kinds = get(policy.props, "spec.policyTypes")
    if inside(policy.props, "spec.podSelector") or (kinds is not UNKNOWN and kind not in (kinds or ())):
        return False
    if kind == "Ingress":
        return not inside(policy.props, "spec.ingress")
    return not any(_open(rule) for _, rule in items(policy.props, "spec.egress"))


def _open(rule: Any) -> bool:
    """Whether a way out leads everywhere, or to where clouds keep their machines' credentials."""
    to, ports = get(rule, "to"), get(rule, "ports")
    if UNKNOWN in (to, ports):
        return False
    blocks = [get(peer, "ipBlock") for peer in to or ()]
    return not (to or ports) or any(_has_metadata(block) for block in blocks if block is not None)


def _has_metadata(block: Any) -> bool:
    cidr, without = get(block, "cidr"), get(block, "except")
    if UNKNOWN in (cidr, without):
        return False
    return any(
        address in ip_network(cidr) and not any(address in ip_network(net) for net in without or ())
        for address in _METADATA
    )


def _wildcards(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, rule in items(resource.props, "rules"):
        for name in ("verbs", "resources", "apiGroups"):
            if "*" in inside(rule, name):
                yield Wrong(f"{path}.{name}", "has *")


def _admins(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from judged(resource.props, "roleRef.name", lambda value: value != "cluster-admin")


def _named(resource: Resource, context: Context) -> Iterator[Wrong]:
    yield from judged(resource.props, "metadata.namespace", lambda value: given(value) and value != "default")


RULES = (
    Rule(
        "pod-not-root", "high", "An app's containers do not run as root",
        "take user: root out of the spec; use an image that names another user by its number", KINDS,
        _apps(_no_root), ("CIS Kubernetes 5.2.7", "CKV_K8S_23"),
    ),
    Rule(
        "pod-no-escalation", "high", "An app's containers gain no rights by what they start",
        "set securityContext.allowPrivilegeEscalation: false", KINDS,
        _apps(_of_each("securityContext.allowPrivilegeEscalation", lambda value: value is False)),
        ("CIS Kubernetes 5.2.6", "CKV_K8S_20"),
    ),
    Rule(
        "pod-capabilities-dropped", "high", "Containers, also those of a cluster's parts, begin with no capability",
        "set securityContext.capabilities.drop: [ALL]", KINDS,
        _of_each("securityContext.capabilities.drop", lambda value: "ALL" in (value or ())),
        ("CIS Kubernetes 5.2.9", "CKV_K8S_37", "CKV_K8S_28"),
    ),
    Rule(
        "pod-capabilities-added", "high", "An app's containers are given no capability but NET_BIND_SERVICE",
        "take it out of securityContext.capAdd", KINDS, _apps(_added), ("CIS Kubernetes 5.2.9", "CKV_K8S_25"),
    ),
    Rule(
        "pod-seccomp", "high", "Containers, also those of a cluster's parts, have the runtime's filter of system calls",
        "set securityContext.seccompProfile.type: RuntimeDefault", KINDS,
        _either("seccompProfile.type", lambda value: value in ("RuntimeDefault", "Localhost")),
        ("CIS Kubernetes 5.6.2", "CKV_K8S_31"),
    ),
    Rule(
        "pod-read-only-root", "low", "An app's containers cannot write to their own root",
        "set securityContext.readOnlyRootFilesystem: true in the spec, where the app allows it", KINDS,
        _apps(_of_each("securityContext.readOnlyRootFilesystem", true)), ("CKV_K8S_22",),
    ),
    Rule(
        "pod-not-privileged", "critical", "No container is privileged, nor are those of a cluster's parts",
        "take privileged: true out", KINDS,
        _of_each("securityContext.privileged", lambda value: not true(value)), ("CIS Kubernetes 5.2.2", "CKV_K8S_16"),
    ),
    Rule(
        "pod-no-token", "medium", "A pod has no token for the API server unless it asks for one",
        "set automountServiceAccountToken: false", KINDS, _apps(_token), ("CIS Kubernetes 5.1.6", "CKV_K8S_38"),
    ),
    Rule(
        "pod-own-account", "medium", "A pod has a service account of its own",
        "set serviceAccountName", KINDS,
        _apps(_of_pod("serviceAccountName", lambda value: given(value) and value != "default")),
        ("CIS Kubernetes 5.1.5", "CKV_K8S_41"),
    ),
    Rule(
        "pod-requests", "medium", "Every container says how much CPU and memory it needs",
        "set resources.requests in the spec", KINDS, _requests, ("CKV_K8S_10", "CKV_K8S_12"),
    ),
    Rule(
        "pod-memory-limit", "low", "An app's containers have a limit of memory",
        "set resources.limits.memory in the spec", KINDS,
        _apps(_of_each("resources.limits.memory", given)), ("CKV_K8S_13",),
    ),
    Rule(
        "pod-no-host-namespaces", "critical", "An app's pods share nothing of their node: network, processes, memory",
        "take hostNetwork, hostPID and hostIPC out", KINDS, _apps(_host),
        ("CIS Kubernetes 5.2.3", "CIS Kubernetes 5.2.4", "CIS Kubernetes 5.2.5",
         "CKV_K8S_17", "CKV_K8S_18", "CKV_K8S_19"),
    ),
    Rule(
        "pod-no-host-paths", "critical", "An app's pods mount no folder of their node",
        "use a volume", KINDS, _apps(_host_paths), ("CIS Kubernetes 5.2.11",),
    ),
    Rule(
        "pod-no-socket", "critical", "No pod, nor one of a cluster's parts, has the socket of a container runtime",
        "take the volume out", KINDS, _sockets, ("CKV_K8S_27",),
    ),
    Rule(
        "pod-no-host-ports", "medium", "An app's pods take no port of their node",
        "use a Service", KINDS, _apps(_host_ports), ("CIS Kubernetes 5.2.12", "CKV_K8S_26"),
    ),
    Rule(
        "pod-image-fixed", "medium", "An image is named by a digest, or by a tag that does not move",
        "give a version or a digest", KINDS, _of_each("image", _fixed), ("CKV_K8S_14",),
    ),
    Rule(
        "pod-no-secret-in-argv", "critical", "No secret stands on a command line",
        "give it in a variable or a file", KINDS, _argv,
    ),
    Rule(
        "pod-secret-variables", "high", "No secret is a variable's plain value",
        "use secrets: {ENV: NAME}, which becomes a reference to a Secret", KINDS, _literals,
        ("CIS Kubernetes 5.4.1", "CKV_K8S_35"),
    ),
    Rule(
        "pod-namespace", "medium", "Nothing runs in namespace default",
        "set metadata.namespace", KINDS, _named, ("CIS Kubernetes 5.6.4", "CKV_K8S_21"),
    ),
    Rule(
        "namespace-restricted", "high", "The API server refuses pods of an app that are not restricted",
        f"set the label {_LEVEL}: restricted", (NAMESPACE,), _level, ("CIS Kubernetes 5.2.1",),
    ),
    Rule(
        "namespace-default-deny", "high", "Only the spec's ways lead to an app's pods, none to a machine's credentials",
        "add a NetworkPolicy with an empty podSelector, policyTypes [Ingress, Egress], no ingress, and egress to named "
        "ports or addresses without 169.254.0.0/16", KINDS,
        _apps(_denied), ("CIS Kubernetes 5.3.2", "CKV2_K8S_6"), whole=True,
    ),
    Rule(
        "rbac-no-wildcards", "high", "A role names what it allows",
        "name verbs, resources and groups in place of *", ROLES, _wildcards, ("CIS Kubernetes 5.1.3", "CKV_K8S_49"),
    ),
    Rule(
        "rbac-no-cluster-admin", "critical", "Nobody is given all rights",
        "bind a role of its own in place of cluster-admin", BINDINGS, _admins, ("CIS Kubernetes 5.1.1",),
    ),
)  # fmt: skip
