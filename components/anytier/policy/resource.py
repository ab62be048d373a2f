"""What a rule looks at: one resource as it was registered, and what there is around it. Pure.

Properties are trees of `anytier.marks`: what only the run will know is `UNKNOWN`, a secret is a `Secret`, at any depth.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from anytier.marks import UNKNOWN


@dataclass(frozen=True)
class Resource:
    """`type` is the engine's token and `urn` what tells resources apart; tests and recordings may use the name for it.

    `props` are the inputs, `outputs` what the provider said, where it has. `dependencies` and, by property,
    `property_dependencies` are URNs. `of`: the URN of the resource that this one was rendered from.
    """

    type: str
    name: str
    props: Mapping[str, Any]
    urn: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    dependencies: Sequence[str] = ()
    property_dependencies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    of: str = ""

    @property
    def key(self) -> str:
        return self.urn or self.name


@dataclass(frozen=True)
class Wrong:
    """One thing that breaks a rule: the property's path, and what is wrong with it."""

    path: str
    what: str


@dataclass(frozen=True)
class Context:
    """The day, and all resources, for rules about several at once; a rule about one does not look at them."""

    today: datetime.date
    resources: Sequence[Resource] = ()

    def of(self, *types: str) -> Iterator[Resource]:
        for type in types:
            yield from self._by_type.get(type, ())

    def behind(self, resource: Resource, name: str) -> list[Resource]:
        """The resources that a property was made of."""
        found = (self._by_key.get(urn) for urn in resource.property_dependencies.get(name, ()))
        return [item for item in found if item is not None]

    def leads_to(self, resource: Resource, name: str, other: Resource) -> bool:
        """Whether a property is made of the other resource: it says so, or it is its id or name."""
        if name in resource.property_dependencies:
            return other.key in resource.property_dependencies[name]
        value = resource.props.get(name)
        return value is UNKNOWN or (value is not None and value in (other.outputs.get("id"), f"{other.name}-id"))

    @cached_property
    def _by_type(self) -> dict[str, list[Resource]]:
        found: dict[str, list[Resource]] = {}
        for item in self.resources:
            found.setdefault(item.type, []).append(item)
        return found

    @cached_property
    def _by_key(self) -> dict[str, Resource]:
        return {item.key: item for item in self.resources}
