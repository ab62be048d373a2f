"""Who a container runs as and what it may do: PodSecurity `restricted` unless the spec itself asks for more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from anytier.errors import CapabilityError
from anytier.render.kubernetes.names import filled
from anytier.render.kubernetes.target import Json
from anytier.render.template import Container
from anytier.spec import App, Workload
from anytier.spec.model import Container as Spec
from anytier.spec.model import Job

# What PodSecurity `baseline` lets a container add.
BASELINE = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
# The pod's group where nobody names one: files and volumes are readable by it, whatever user the image has.
GROUP = 65532
_MOST = 2**31 - 1
_NAMED = re.compile(r"[0-9]+(:[0-9]+)?")


def identity(user: str | None, path: str) -> tuple[int | None, int | None]:
    """(user, group) by number. CapabilityError for a name: only the image knows whose it is."""
    if user is None:
        return None, None
    plain = ":".join("0" if step == "root" else step for step in user.split(":"))
    if not _NAMED.fullmatch(plain) or any(int(step) > _MOST for step in plain.split(":")):
        raise CapabilityError(
            path, "Kubernetes takes numbers only, and only the image knows the name", "give the number"
        )
    first, _, second = plain.partition(":")
    return int(first), int(second) if second else None


def is_root(item: Any) -> bool:
    """Whether the spec says that a container is root."""
    return (item.user or "").split(":")[0] in ("0", "00", "root")


def level(app: App) -> str:
    """The namespace's PodSecurity: `baseline` if the spec has a container be root, or add what `restricted` forbids."""
    bodies: list[Workload | Job] = [*app.workloads.values(), *app.jobs.values()]
    return "baseline" if any(_more(item) for body in bodies for item in body.containers.values()) else "restricted"


def _more(item: Spec) -> bool:
    added = set(item.security_context.cap_add) if item.security_context else set()
    return is_root(item) or bool(added - {"NET_BIND_SERVICE"})


def of_container(item: Container, path: str) -> Json:
    """CapabilityError for what not even `baseline` allows."""
    user, group = identity(item.user, f"{path}.user")
    for name in item.cap_add:
        if name not in BASELINE:
            what = f"{name} is more than PodSecurity baseline allows"
            raise CapabilityError(f"{path}.securityContext.capAdd", what, "leave it out: no app here is privileged")
    # Root without any capability could not even change to another user: it keeps the runtime's few.
    drop = list(item.cap_drop) if is_root(item) else ["ALL"]
    return filled(
        allowPrivilegeEscalation=False,
        capabilities=filled(add=list(item.cap_add), drop=drop),
        readOnlyRootFilesystem=True if item.read_only_root else None,
        runAsNonRoot=not is_root(item),
        runAsUser=user,
        runAsGroup=group,
    )


def of_pod(containers: Iterable[Container], low_port: bool, path: str) -> Json:
    """`low_port`: something listens below 1024, which nobody but root may otherwise."""
    found = [(is_root(item), *identity(item.user, path)) for item in containers]
    groups = [group if group is not None else user for _, user, group in found if user or group]
    return filled(
        runAsNonRoot=None if any(root for root, _, _ in found) else True,
        fsGroup=groups[0] if groups else GROUP,
        fsGroupChangePolicy="OnRootMismatch",
        seccompProfile={"type": "RuntimeDefault"},
        sysctls=[{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}] if low_port else None,
    )
