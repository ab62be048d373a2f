"""What rendering is told of a cluster: the same for a run and for `anytier render`, which has none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from anytier.render.kubernetes.target import Target
from anytier.tiers.places import Cluster

# What the two say in ways of their own.
_APART = {"addresses", "caddy_image"}
_SAME = {item.name for item in fields(Target)} & {item.name for item in fields(Cluster)} - _APART


def target_of(place: Cluster, namespace: str, addresses: Sequence[str], **more: Any) -> Target:
    """`addresses`: the place's own, or tokens for those that only a run knows. `more`: what is not the place's to say.

    What both know by one name is handed on, so that a new field cannot be forgotten.
    """
    same: dict[str, Any] = {name: getattr(place, name) for name in _SAME}
    own: dict[str, Any] = {"caddy_image": place.caddy_image} if place.caddy_image else {}
    return Target(namespace=namespace, addresses=tuple(addresses), **same, **own, **more)
