"""What a stack on a cluster may say of the Gateway that takes its app's routes, in the words of Gateway API.

The same for every tier that makes a cluster; what one of them can prepare for a class is its own part.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, model_validator

from anytier.frozen import Frozen
from anytier.tiers.places import Cluster

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def _namespace(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no namespace: lower-case letters, digits and dashes, 63 at most")
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or ".." in text:
        raise ValueError(f"{text[:60]!r} is no name of an object: lower-case letters, digits, dashes and dots")
    return text


class GatewayArgs(Frozen):
    """`name` and `namespace` of a Gateway that is there; without, the app gets one of its own, of class `className`.

    With all three, `className` says what the one that is there is like.
    """

    name: Annotated[str, AfterValidator(_name)] | None = None
    namespace: Annotated[str, AfterValidator(_namespace)] | None = None
    class_name: Annotated[str, AfterValidator(_name)] | None = None

    @model_validator(mode="after")
    def _which(self) -> GatewayArgs:
        if (self.name is None) != (self.namespace is None):
            raise ValueError("names a Gateway that is there by half; give both, such as {name: web, namespace: infra}")
        if self.name is None and self.class_name is None:
            raise ValueError("names no Gateway; give `name` and `namespace` of one that is there, or a `className`")
        return self


def offering(cluster: Cluster, args: GatewayArgs | None) -> Cluster:
    """The same, with the Gateway that its stack names."""
    if args is None:
        return cluster
    there = f"{args.namespace}/{args.name}" if args.name else None
    return replace(cluster, offers=cluster.offers | {"gateway"}, gateway=there, gateway_class=args.class_name)
