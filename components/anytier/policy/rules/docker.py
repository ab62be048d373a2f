"""Rules for Docker: the way to the daemon, and the body by which each container is made. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anytier.marks import UNKNOWN
from anytier.policy.look import get, given, inside, items, judged, must, not_true, opened
from anytier.policy.rendered import CONTAINER
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import Rule
from anytier.policy.rules.host import is_root, secret_values, secret_words, strong

WORKLOAD, JOB = "anytier:docker:Workload", "anytier:docker:Job"
PROGRAMS = (WORKLOAD, JOB)
ENDPOINTS = tuple(f"anytier:docker:{kind}" for kind in ("Image", "Network", "Proxy", "Volume", "Workload", "Job"))
BUILDER = "anytier:kubeadm:Image"
SOCKETS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
_TLS = ("caCert", "cert", "key")
_SECRETS = "/run/secrets"


def is_socket(path: Any) -> bool:
    """The socket of a container runtime, or a folder that holds it."""
    text = str(path).rstrip("/") or "/"
    return any(socket == text or socket.startswith(f"{text}/") or text == "/" for socket in SOCKETS)


def _encrypted(resource: Resource, context: Context) -> Iterator[Wrong]:
    """By a socket, SSH, or TLS with certificates on both sides; Docker's own HTTP has no passwords at all."""
    base = "builder" if resource.type == BUILDER else "endpoint"
    host = get(resource.props, f"{base}.host")
    if host is UNKNOWN or not str(host).startswith(("tcp:", "http:", "https:")):
        return
    for name in _TLS:
        for wrong in judged(resource.props, f"{base}.{name}", given):
            yield Wrong(wrong.path, f"{wrong.what}, and the daemon is at {host}")


def _mounts(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, item in items(resource.props, "HostConfig.Mounts"):
        if get(item, "Type") == "bind" and is_socket(get(item, "Source")):
            yield Wrong(f"{path}.Source", f"is {get(item, 'Source')}: whoever has it is root of the machine")
    for path, bind in items(resource.props, "HostConfig.Binds"):
        if is_socket(str(bind).partition(":")[0]):
            yield Wrong(path, f"is {bind}: whoever has it is root of the machine")


def _not_root(resource: Resource, context: Context) -> Iterator[Wrong]:
    """What an image says of itself is not known here; `runAsNonRoot` has the daemon asked before anything starts."""
    for path, item in items(resource.props, "template.containers"):
        user = get(item, "user")
        if user not in (None, UNKNOWN) and is_root(user):
            yield Wrong(f"{path}.user", f"is {user}")


def _tmpfs(resource: Resource, context: Context) -> Iterator[Wrong]:
    if get(resource.props, "Secrets") and _SECRETS not in inside(resource.props, "HostConfig.Tmpfs"):
        yield Wrong("HostConfig.Tmpfs", f"has no {_SECRETS}, and the container has secrets")


def _variables(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, item in items(resource.props, "template.containers"):
        for name in secret_values(opened(get(item, "env"))):
            yield Wrong(f"{path}.env.{name}", "is a secret's value, which `docker inspect` shows")


def _argv(resource: Resource, context: Context) -> Iterator[Wrong]:
    for path, item in items(resource.props, "template.containers"):
        for name in ("command", "args"):
            yield from (Wrong(f"{path}.{name}.{at}", "holds a secret") for at in secret_words(get(item, name)))


def _capabilities(resource: Resource, context: Context) -> Iterator[Wrong]:
    if found := strong(inside(resource.props, "HostConfig.CapAdd")):
        yield Wrong("HostConfig.CapAdd", f"has {', '.join(found)}")


def _memory(resource: Resource, context: Context) -> Iterator[Wrong]:
    """Of what runs on and on."""
    if get(resource.props, "Role") != "init":
        yield from judged(resource.props, "HostConfig.Memory", given)


RULES = (
    Rule(
        "docker-no-plain-tcp", "critical", "A daemon is reached by its socket, SSH, or TLS with certificates",
        "use unix:// or ssh://, or give caCert, cert and key", (*ENDPOINTS, BUILDER), _encrypted, ("CIS Docker 2.7",),
    ),
    Rule(
        "docker-not-privileged", "critical", "No container is privileged",
        "take Privileged out; securityContext.capAdd gives one right at a time", (CONTAINER,),
        must("HostConfig.Privileged", not_true), ("CIS Docker 5.5",),
    ),
    Rule(
        "docker-no-socket", "critical", "No container has the socket of a container runtime",
        "take the mount out", (CONTAINER,), _mounts, ("CIS Docker 5.32",),
    ),
    Rule(
        "docker-not-root", "high", "No container asks to run as root",
        "take user: root out of the spec; runAsNonRoot: true refuses an image that does", PROGRAMS, _not_root,
    ),
    Rule(
        "docker-capabilities", "high", "No container has a capability that leads out of it",
        "take it out of securityContext.capAdd", (CONTAINER,), _capabilities, ("CIS Docker 5.4",),
    ),
    Rule(
        "docker-no-new-privileges", "high", "A container gains no rights by what it starts",
        "SecurityOpt has no-new-privileges:true", (CONTAINER,),
        must("HostConfig.SecurityOpt", lambda value: "no-new-privileges:true" in (value or ())), ("CIS Docker 5.26",),
    ),
    Rule(
        "docker-secrets-on-tmpfs", "high", "Secrets are files in memory",
        "Tmpfs has /run/secrets where a container has secrets", (CONTAINER,), _tmpfs,
    ),
    Rule(
        "docker-secret-variables", "high", "No secret is a variable's plain value",
        "use secrets: {ENV: NAME}, or a placeholder ${secrets.NAME}", PROGRAMS, _variables,
    ),
    Rule(
        "docker-no-secret-in-argv", "critical", "No secret stands on a command line",
        "give it in a variable or a file", PROGRAMS, _argv,
    ),
    Rule(
        "docker-pids-limit", "medium", "A container cannot use up the machine's processes",
        "PidsLimit is above 0", (CONTAINER,), must("HostConfig.PidsLimit", lambda value: bool(value) and value > 0),
        ("CIS Docker 5.29",),
    ),
    Rule(
        "docker-memory-limit", "low", "A container has a limit of memory",
        "set resources.limits.memory in the spec", (CONTAINER,), _memory, ("CIS Docker 5.11",),
    ),
)  # fmt: skip
