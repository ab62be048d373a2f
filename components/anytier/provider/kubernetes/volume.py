"""`anytier:kubernetes:Volume`: stands before a claim, and refuses what would cost its data.

Class and access of a claim cannot change. pulumi-kubernetes then deletes the claim and makes another one of its name:
the API server keeps it for as long as a pod has it, and it goes, with all that is in it, when that pod next restarts.
So such a change is an error before anything is done, in a preview too. What a claim is, is told from the state; where
that knows nothing of it yet, from the claim. One that is gone has no data: a refresh takes it out of the state again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeGuard

from pydantic import Field

from anytier.errors import Denied, NotFound, Rejected
from anytier.frozen import Frozen
from anytier.provider.fields import ignored, replaces
from anytier.provider.kubernetes.client import MANAGER, Json, api
from anytier.provider.kubernetes.kinds import owns
from anytier.provider.kubernetes.rollout import ClusterInputs
from anytier.provider.resource import Context, Resource

_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}


class VolumeInputs(ClusterInputs):
    """The claim `name`. `at` is its path in the spec. `storage_class` None: the cluster's default one. `size` is a
    quantity, such as `10Gi`. `writers`: of a claim with one writer, the workloads that have it -> the kind of what
    keeps each running."""

    at: Annotated[str, ignored]
    name: Annotated[str, replaces]
    access: list[str]
    storage_class: str | None = None
    size: str
    writers: dict[str, str] = Field(default_factory=dict)


class VolumeOutputs(Frozen):
    """There is nothing to tell."""


class VolumeResource(Resource[VolumeInputs, VolumeOutputs]):
    inputs = VolumeInputs
    outputs = VolumeOutputs

    def replaces(self, old: VolumeInputs, new: VolumeInputs) -> list[str]:
        """Rejected for what the same claim cannot become."""
        if (old.cluster, old.ns, old.name) == (new.cluster, new.ns, new.name):
            unlike(old.access, old.storage_class, new, _UNBOUND)
            if amount(new.size) < amount(old.size):
                what = f"cannot become {new.size}: the claim has {old.size}, and Kubernetes makes none smaller"
                raise Rejected(f"{new.at}.params.size", what, f"{_INSTEAD}; {_UNBOUND}")
            two_writers(old.writers, new)
        return []

    async def create(self, ctx: Context, inputs: VolumeInputs) -> tuple[str, VolumeOutputs]:
        there = await api(inputs.kubeconfig).find(path_of(inputs))
        if bound(there) and (known := applied(there)) is not None:
            unlike(*known, inputs)
        return f"{inputs.ns}/{inputs.name}", VolumeOutputs()

    async def update(
        self, ctx: Context, id: str, old_inputs: VolumeInputs, state: VolumeOutputs, inputs: VolumeInputs
    ) -> VolumeOutputs:
        """A size that the claim cannot grow to fails here, where the size of before stays on record."""
        if inputs.size != old_inputs.size:
            body = {"spec": {"resources": {"requests": {"storage": inputs.size}}}}
            try:
                with contextlib.suppress(NotFound):
                    await api(inputs.kubeconfig).patch(path_of(inputs), body, dry=True)
            except (Denied, Rejected) as error:
                what = f"cannot become {inputs.size}: {error.what}"
                raise Rejected(f"{inputs.at}.params.size", what, _INSTEAD) from None
        return VolumeOutputs()

    async def read(
        self, ctx: Context, id: str, inputs: VolumeInputs | None, state: VolumeOutputs | None
    ) -> tuple[VolumeInputs, VolumeOutputs] | None:
        """None: there is nothing to stand before. One that waits for a volume may get it at any moment."""
        if inputs is None:
            raise Rejected(id, "what stands before a claim is not imported", "let `pulumi up` make it")
        there = await api(inputs.kubeconfig).find(path_of(inputs))
        return (inputs, VolumeOutputs()) if there is not None else None

    async def delete(self, ctx: Context, id: str, inputs: VolumeInputs, state: VolumeOutputs) -> None:
        """The claim is another resource's."""


# pure

_INSTEAD = "put it back as it was; or give a new volume another name, and move the data there"
_UNBOUND = "if it never was bound: `kubectl delete pvc` it, then `pulumi up --refresh`"


def path_of(inputs: VolumeInputs) -> str:
    return f"/api/v1/namespaces/{inputs.ns}/persistentvolumeclaims/{inputs.name}"


def bound(claim: Json | None) -> TypeGuard[Json]:
    """Whether a claim is there and has a volume, with what may be in it."""
    return claim is not None and (claim.get("status") or {}).get("phase") == "Bound"


def unlike(access: list[str], storage_class: str | None, wanted: VolumeInputs, more: str = "") -> None:
    """Rejected where a claim with this access and class would have to go for the one that is wanted. `more`: what else
    may be done."""
    do = f"{_INSTEAD}; {more}" if more else _INSTEAD
    if access != wanted.access:
        old, new = " ".join(access), " ".join(wanted.access)
        what = f"cannot become {new}: the claim has {old}, and would be deleted with its data"
        raise Rejected(f"{wanted.at}.params.access", what, do)
    if storage_class != wanted.storage_class:
        old, new = (text or "the cluster's default" for text in (storage_class, wanted.storage_class))
        what = f"cannot become {new}: the claim has {old}, and would be deleted with its data"
        raise Rejected(f"{wanted.at}.class", what, do)


def two_writers(had: Mapping[str, str], wanted: VolumeInputs) -> None:
    """Rejected where a workload with instances becomes one of another kind: one is there before the other goes."""
    for name, kind in wanted.writers.items():
        if (before := had.get(name, kind)) != kind:
            what = f"cannot become a {kind}: beside the {before} that is there, {wanted.at} would have a second writer"
            do = f"`anytier scale {name}=0` first; then change it, take that out of `anytier:scale`, and `pulumi up`"
            raise Rejected(f"workloads.{name}.controller", what, do)


def applied(claim: Json) -> tuple[list[str], str | None] | None:
    """Access and class that we gave a claim; None for one that we never did, which the API server answers for."""
    spec: Mapping[str, Any] = claim.get("spec") or {}
    if not owns(claim, MANAGER, "f:spec", "f:accessModes"):
        return None
    given = owns(claim, MANAGER, "f:spec", "f:storageClassName")  # else the server put the default one in
    return list(spec.get("accessModes") or ()), spec.get("storageClassName") if given else None


def amount(quantity: str) -> int:
    """Bytes of a quantity as it is rendered."""
    unit = _UNITS.get(quantity[-2:])
    return int(quantity[:-2]) * unit if unit else int(quantity)
