"""The graph of a plan: resources with their inputs and what each needs first. Plain values that go to JSON and back.

Everything that reads plans (diff, the policy pack, compare, preview) reads this. A graph holds no secret's value.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from anytier.errors import UsageError
from anytier.frozen import Frozen

Path = tuple[str | int, ...]
FORMAT = 1
# What stands in inputs for a secret, or for what only a run knows. `Node.secrets` and `Node.unknown` say where that is:
# a text of the user's that reads the same is in neither.
REDACTED, UNKNOWN_TEXT = "[secret]", "[unknown]"
_MOST = 64 << 20  # bytes of a file that holds a graph


class Node(Frozen):
    """A resource that a stack would register.

    `key` is its URN without project and stack (`type$type::name`): the same in every stack. `inputs` as on the wire, in
    which a text such as `<web.id>` is another resource's output. `depends`: keys of all that must be there first;
    `reads`: for an input those whose outputs it is made of. The rest are Pulumi's resource options; `version` is the
    plugin's.
    """

    key: str
    type: str
    name: str
    parent: str | None = None
    component: bool = False
    inputs: dict[str, Any] = Field(default_factory=dict)
    secrets: tuple[Path, ...] = ()
    unknown: tuple[Path, ...] = ()
    depends: tuple[str, ...] = ()
    reads: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    provider: str | None = None
    deleted_with: str | None = None
    delete_before_replace: bool | None = None
    protect: bool = False
    retain_on_delete: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    version: str = ""

    @property
    def first(self) -> tuple[str, ...]:
        """The keys of all that must be there before it, its provider among them."""
        return tuple(sorted({*self.depends, *([self.provider] if self.provider else [])}))

    @property
    def package(self) -> str:
        """`pulumi:providers:kubernetes` is of `kubernetes`."""
        first, _, rest = self.type.partition(":")
        return rest.rpartition(":")[2] if self.type.startswith("pulumi:providers:") else first

    @property
    def kind(self) -> str:
        """The type as people say it: `docker:Workload`, `Deployment apps/v1`, `aws ec2 Subnet`."""
        return short(self.type)

    def at(self, path: Path) -> Any:
        """The input at a path; None where there is none."""
        value: Any = self.inputs
        for step in path:
            if not has(value, step):
                return None
            value = value[step]
        return value


class Graph(Frozen):
    """Resources in an order in which they could be made, the same for the same program. `exports` as inputs are."""

    format: Literal[1] = 1
    project: str
    stack: str
    resources: tuple[Node, ...] = ()
    exports: dict[str, Any] = Field(default_factory=dict)
    export_secrets: tuple[Path, ...] = ()
    export_unknown: tuple[Path, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Graph:
        """Every key once, and none that leads nowhere or in a circle."""
        seen: set[str] = set()
        for node in self.resources:
            if node.key in seen:
                raise ValueError(f"two resources have the key {node.key[:200]!r}")
            if node.parent is not None and node.parent not in seen:
                raise ValueError(f"{node.key[:200]!r} comes before its parent")
            if not seen.issuperset(node.first):
                raise ValueError(f"{node.key[:200]!r} comes before what it needs")
            seen.add(node.key)
        return self

    @cached_property
    def nodes(self) -> dict[str, Node]:
        """By key."""
        return {node.key: node for node in self.resources}

    @cached_property
    def children(self) -> dict[str | None, list[Node]]:
        """By the parent's key, those without one under None; in the graph's order."""
        found: dict[str | None, list[Node]] = {}
        for node in self.resources:
            found.setdefault(node.parent, []).append(node)
        return found

    @cached_property
    def direct(self) -> dict[str, tuple[str, ...]]:
        """For each key what it needs first, without what one of these needs anyway, and without components."""
        reach: dict[str, set[str]] = {}
        found: dict[str, tuple[str, ...]] = {}
        for node in self.resources:  # in order, so that what it needs is done
            wanted = {key for key in node.first if not self.nodes[key].component}
            beyond = set[str]().union(*(reach[key] for key in wanted))
            found[node.key] = tuple(key for key in node.first if key in wanted - beyond)
            reach[node.key] = wanted | beyond
        return found

    def of(self, type: str) -> list[Node]:
        return [node for node in self.resources if node.type == type]

    def counts(self) -> dict[str, int]:
        """How many of each type, components left out; the most frequent first."""
        found = Counter(node.type for node in self.resources if not node.component)
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    def text(self) -> str:
        """As JSON, in the same way each time. What has its usual value is left out."""
        made = {"format": self.format, **self.model_dump(mode="json", by_alias=True, exclude_defaults=True)}
        return json.dumps(made, indent=1, ensure_ascii=True, sort_keys=True) + "\n"


def has(value: Any, step: str | int) -> bool:
    """Whether one more step leads somewhere."""
    if isinstance(value, list):
        return isinstance(step, int) and 0 <= step < len(value)
    return isinstance(value, dict) and step in value


def graph_of(
    project: str,
    stack: str,
    nodes: Iterable[Node],
    exports: Mapping[str, Any] | None = None,
    export_secrets: tuple[Path, ...] = (),
    export_unknown: tuple[Path, ...] = (),
) -> Graph:
    """A graph of nodes in any order."""
    return Graph(
        project=project,
        stack=stack,
        resources=tuple(ordered(nodes)),
        exports=dict(exports or {}),
        export_secrets=export_secrets,
        export_unknown=export_unknown,
    )


def ordered(nodes: Iterable[Node]) -> Iterator[Node]:
    """Each after what it needs, and else by key: the same order whatever order they come in."""
    known = {node.key: node for node in nodes}
    needs = {key: {other for other in (*node.first, node.parent) if other in known} for key, node in known.items()}
    awaited: dict[str, list[str]] = {key: [] for key in known}
    for key, wanted in needs.items():
        for other in wanted:
            awaited[other].append(key)
    ready = [key for key, wanted in needs.items() if not wanted]
    heapq.heapify(ready)
    while ready:
        key = heapq.heappop(ready)
        yield known[key]
        for other in awaited[key]:
            needs[other].discard(key)
            if not needs[other]:
                heapq.heappush(ready, other)


def parse(text: str | bytes, name: str) -> Graph:
    """The graph that `Graph.text` wrote. UsageError, for the argument `name`, for anything else."""
    do = "give a file that `anytier plan -s STACK --json` wrote"
    if len(text) > _MOST:
        raise UsageError(name, f"has more than {_MOST >> 20} MiB", do)
    try:
        return Graph.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        what = first["msg"].removeprefix("Value error, ")
        raise UsageError(name, f"is no plan: {f'{where}: ' if where else ''}{what[:1].lower()}{what[1:]}", do) from None
    except (ValueError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise UsageError(name, f"is no JSON: {said}", do) from None


def short(type: str) -> str:
    """`anytier:docker:Workload` -> `docker:Workload`, `kubernetes:apps/v1:Deployment` -> `Deployment apps/v1`,
    `aws:ec2/subnet:Subnet` -> `aws ec2 Subnet`."""
    package, _, rest = type.partition(":")
    module, _, name = rest.rpartition(":")
    if package == "anytier":
        return rest
    if package == "kubernetes":
        return f"{name} {module.removeprefix('core/')}"
    if package == "pulumi" and module == "providers":
        return f"provider {name}"
    return " ".join(part for part in (package, module.partition("/")[0], name) if part)
