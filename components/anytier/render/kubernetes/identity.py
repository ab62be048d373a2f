"""Who a workload is to a cloud: what its account and its pods carry, and where its credentials are handed out.

That it may have the role is the cloud's business, which the tier settles (`tiers.places.Binding`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from anytier.errors import CapabilityError
from anytier.render.kubernetes.finish import Live
from anytier.render.kubernetes.scope import Scope
from anytier.render.kubernetes.target import Cloud, Json
from anytier.render.tokens import substitute


@dataclass(frozen=True)
class Way:
    """`note`: the annotation of the account that holds the role; or, if that is another thing (`called`), what the tier
    says the workload is called there, `${identities.WORKLOAD}`. `marks`: labels of its pods. `desk`: addresses and the
    port where pods ask for credentials; they are link-local ones, which the app's network policy closes otherwise."""

    note: str | None = None
    called: bool = False
    marks: Mapping[str, str] = field(default_factory=dict)
    desk: tuple[tuple[str, ...], int] = ((), 0)


WAYS: Mapping[Cloud, Way] = {
    "aws": Way(desk=(("169.254.170.23/32", "fd00:ec2::23/128"), 80)),  # the agent of Pod Identity
    "gcp": Way(note="iam.gke.io/gcp-service-account", desk=(("169.254.169.254/32",), 80)),
    "azure": Way(note="azure.workload.identity/client-id", called=True, marks={"azure.workload.identity/use": "true"}),
}


def role_of(scope: Scope, part: str, name: str) -> str | None:
    """The role that a workload asks for in the cluster's cloud. CapabilityError where it has one in others only."""
    body: Any = scope.body("workload", name) if part == "workload" else None
    cloud = scope.target.cloud
    if body is None or body.identity is None or not body.identity.cloud_roles or cloud is None:
        return None
    role = body.identity.cloud_roles.get(cloud)
    if role is None:
        what = f"names no role for {cloud}, where this cluster is"
        raise CapabilityError(
            f"workloads.{name}.identity.cloudRoles", what, f"add `{cloud}: ...`, or drop it in `overrides`"
        )
    return substitute(role, {})


def notes(scope: Scope, part: str, name: str) -> dict[str, str]:
    """Annotations of the account."""
    role = role_of(scope, part, name)
    way = WAYS[scope.target.cloud] if scope.target.cloud and role else None
    if way is None or way.note is None or role is None:
        return {}
    return {way.note: Live(f"${{identities.{name}}}") if way.called else role}


def marks(scope: Scope, name: str) -> dict[str, str]:
    """Labels of the pods."""
    if scope.target.cloud is None or role_of(scope, "workload", name) is None:
        return {}
    return dict(WAYS[scope.target.cloud].marks)


def desk(scope: Scope, part: str, name: str) -> list[Json]:
    """What its network policy opens."""
    if scope.target.cloud is None or role_of(scope, part, name) is None:
        return []
    addresses, port = WAYS[scope.target.cloud].desk
    blocks = [{"ipBlock": {"cidr": address}} for address in addresses]
    return [{"to": blocks, "ports": [{"protocol": "TCP", "port": port}]}] if blocks else []
