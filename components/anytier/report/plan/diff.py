"""What would change between two plans of a stack, resource by resource, and how bad that is. Pure.

A secret's value is in no plan, so that a change of nothing but that is not seen here. Neither is what follows where an
output changes: the resources that read those of one that is made anew are named beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Literal

from anytier.frozen import Frozen
from anytier.report.plan import kinds
from anytier.report.plan.graph import Graph, Node, Path, has
from anytier.report.plan.rules import Certainty, differences, known

Kind = Literal["add", "change", "replace", "remove"]
# From harmless to grave. `unknown`: nobody here knows whether the provider makes the thing anew for it.
Effect = Literal["safe", "unknown", "disruptive", "replaces", "data loss"]
EFFECTS: tuple[Effect, ...] = ("safe", "unknown", "disruptive", "replaces", "data loss")
KINDS: tuple[Kind, ...] = ("add", "change", "replace", "remove")
_WAYS_IN = ("Service", "Ingress", "NetworkPolicy", "Gateway", "HTTPRoute")


class Property(Frozen):
    """An input that differs. `before` and `after` as in the plans; `added` and `removed` say which of them is none, and
    `hidden` that one is a secret's, or what only a run knows."""

    path: Path
    before: Any = None
    after: Any = None
    added: bool = False
    removed: bool = False
    hidden: bool = False
    replaces: Certainty = "no"


class Change(Frozen):
    """A resource that differs. `why` is for people; `reached`: keys of those that read outputs of one made anew."""

    key: str
    type: str
    name: str
    kind: Kind
    effect: Effect
    why: str = ""
    properties: tuple[Property, ...] = ()
    reached: tuple[str, ...] = ()


class Diff(Frozen):
    """From plan `base` to plan `head` (each `project/stack`). The gravest changes first; `same` counts the rest."""

    base: str
    head: str
    stack: str
    changes: tuple[Change, ...] = ()
    same: int = 0

    @property
    def worst(self) -> Effect | None:
        """None where nothing changes."""
        return max((item.effect for item in self.changes), key=EFFECTS.index, default=None)

    def counts(self) -> dict[Kind, int]:
        found = Counter(item.kind for item in self.changes)
        return {kind: found[kind] for kind in KINDS}


def compare(base: Graph, head: Graph) -> Diff:
    """What making `head` of `base` does. Components are no change of their own: what is in them is."""
    found = _kept_apart([*_gone(base, head), *_new(base, head), *_changed(base, head)], base, head)
    order = {node.key: index for index, node in enumerate((*head.resources, *base.resources))}
    found.sort(key=lambda item: (-EFFECTS.index(item.effect), -KINDS.index(item.kind), order[item.key]))
    same = sum(not node.component for node in head.resources) - sum(item.kind != "remove" for item in found)
    return Diff(
        base=f"{base.project}/{base.stack}",
        head=f"{head.project}/{head.stack}",
        stack=head.stack,
        changes=tuple(found),
        same=same,
    )


def _new(base: Graph, head: Graph) -> Iterator[Change]:
    for node in head.resources:
        if node.key not in base.nodes and not node.component:
            yield _change(node, "add", "safe", "")


def _gone(base: Graph, head: Graph) -> Iterator[Change]:
    for node in base.resources:
        if node.key not in head.nodes and not node.component:
            yield _removed(node)


def _changed(base: Graph, head: Graph) -> Iterator[Change]:
    for after in head.resources:
        before = base.nodes.get(after.key)
        if before is None or after.component:
            continue
        found = _properties(before, after)
        if found:
            yield _judged(before, after, found, head)


def of_step(kind: Kind, before: Node | None, after: Node | None, anew: Collection[str] = ()) -> Change:
    """One step that the engine has decided on, and how grave that is by the same rules. `anew`: the inputs for which it
    makes the thing anew. `before` is None for `add`, `after` for `remove`."""
    if after is None:
        assert before is not None  # one of them is there
        return _removed(before)
    if before is None:
        return _change(after, "add", "safe", "")
    found = tuple(
        item.model_copy(update={"replaces": "yes" if item.path[0] in anew else "no"})
        for item in _properties(before, after)
    )
    if kind == "replace":
        return _anew(before, after, Graph(project="", stack=""), found, "")
    effect, why = _in_place(before, after, found)
    if effect == "unknown":
        why = "in place; whether it serves meanwhile is the provider's to say"
    elif not found:
        why = why or "what is there is not as it was left"
    return _change(after, "change", effect, why, found)


def _removed(node: Node) -> Change:
    effect, why = _loss(node, "disruptive", "is no longer there")
    return _change(node, "remove", effect, why)


def _properties(before: Node, after: Node) -> tuple[Property, ...]:
    return tuple(
        Property(
            path=item.path,
            before=before.at(item.path),
            after=after.at(item.path),
            added=not _there(before, item.path),
            removed=not _there(after, item.path),
            hidden=any(item.path in where for node in (before, after) for where in (node.secrets, node.unknown)),
            replaces=item.replaces,
        )
        for item in differences(before, after)
    )


def _judged(before: Node, after: Node, found: tuple[Property, ...], head: Graph) -> Change:
    if any(item.replaces == "yes" for item in found):
        return _anew(before, after, head, found, "")
    effect, why = _in_place(before, after, found)
    return _change(after, "change", effect, why, found)


def _anew(before: Node, after: Node, head: Graph, found: tuple[Property, ...], why: str) -> Change:
    """The same name, another thing: what the old one holds goes with it."""
    effect, lost = _loss(before, "replaces", "")
    if before.retain_on_delete:
        lost = "a new one comes, and the old one stays"
    if after.type in kinds.JOBS:
        effect, lost = "safe", "the job runs again"
    if after.type == kinds.SERVICE and before.at(("spec", "type")) == "LoadBalancer":
        lost = "its load balancer is another one, and so is the address"
    return _change(after, "replace", effect, "; ".join(filter(None, (why, lost))), found, _readers(after, head))


def _loss(node: Node, effect: Effect, why: str) -> tuple[Effect, str]:
    """What it means that a thing goes: `effect` and `why`, unless data goes or stays with it."""
    what = kinds.holds(node.type)
    if node.protect:
        return effect, "is protected, so that the run will refuse it"
    if node.retain_on_delete:
        return "safe", "stays where it is"
    if what and node.inputs.get("retain") is True:
        return "safe" if effect == "disruptive" else effect, f"{what} stays"  # made anew, it has none of it
    if what and node.type == "anytier:libvirt:Volume" and {"source", "backing"} & node.inputs.keys():
        return effect, "what was written since it was made of its image goes"
    if what:
        return "data loss", f"{what} goes"
    return ("safe", "") if kinds.spent(node.type) and effect == "disruptive" else (effect, why)


def _in_place(before: Node, after: Node, found: tuple[Property, ...]) -> tuple[Effect, str]:
    """What an update of the thing that is there means."""
    names = {str(item.path[0]) for item in found}
    if not known(after.type):
        return "unknown", "whether it is made anew is the provider's to say"
    if after.type in kinds.WORKLOADS:
        return _workload(after, names)
    if after.type in kinds.JOBS:
        return "safe", "the job runs again"
    if after.type.startswith("kubernetes:"):
        return _object(before, after, found)
    if names - kinds.CALM.get(after.type, frozenset()) and after.type in kinds.RESTARTS:
        return "disruptive", kinds.RESTARTS[after.type]
    return "safe", ""


def _workload(after: Node, names: set[str]) -> tuple[Effect, str]:
    """A new revision is a rollout: the old one serves until the new one is healthy, unless it has to go first."""
    if after.inputs.get("replicas") == 0:
        return "disruptive", "nothing of it runs any more"
    if names & {"template", "secrets", "volumes", "release"}:
        if after.at(("update", "order")) == "stop-first":
            return "disruptive", "an instance stops before the new one starts"
        return "safe", "a rollout, which waits for health"
    return "safe", ""


def _object(before: Node, after: Node, found: tuple[Property, ...]) -> tuple[Effect, str]:
    """The same for Kubernetes' own."""
    kind = after.type.rpartition(":")[2]
    if after.at(("spec", "replicas")) == 0 and before.at(("spec", "replicas")) != 0:
        return "disruptive", "nothing of it runs any more"
    if any(item.path[:2] == ("spec", "template") for item in found):
        replicas = after.at(("spec", "replicas"))
        if kind == "Deployment" and after.at(("spec", "strategy", "type")) == "Recreate":
            return "disruptive", "its pods stop before new ones start"
        if kind == "StatefulSet" and (1 if replicas is None else replicas) < 2:
            return "disruptive", "its one pod stops before the new one starts"
        if kind == "DaemonSet" and not after.at(("spec", "updateStrategy", "rollingUpdate", "maxSurge")):
            return "disruptive", "on each node the pod stops before the new one starts"
        return "safe", "a rollout, which waits for health"
    if kind in _WAYS_IN and any(item.path[0] == "spec" for item in found):
        return "disruptive", "who reaches it, and how, changes"
    return "safe", ""


def _kept_apart(found: list[Change], base: Graph, head: Graph) -> list[Change]:
    """Another provider is another place: all that is on it is made anew there."""
    anew = {item.key for item in found if item.kind == "replace" and item.type.startswith("pulumi:providers:")}
    made = {item.key: item for item in found}
    for after in head.resources:
        before = base.nodes.get(after.key)
        if before is None or not {before.provider, after.provider} & anew or after.provider is None:
            continue
        item = made.get(after.key)
        if item is None or item.kind == "change":
            properties = item.properties if item else ()
            made[after.key] = _anew(before, after, head, properties, "its provider is another one")
    return list(made.values())


def _readers(node: Node, head: Graph) -> tuple[str, ...]:
    return tuple(other.key for other in head.resources if any(node.key in keys for keys in other.reads.values()))


def _there(node: Node, path: Path) -> bool:
    return has(node.at(path[:-1]), path[-1])


def _change(
    node: Node,
    kind: Kind,
    effect: Effect,
    why: str,
    properties: tuple[Property, ...] = (),
    reached: tuple[str, ...] = (),
) -> Change:
    return Change(
        key=node.key,
        type=node.type,
        name=node.name,
        kind=kind,
        effect=effect,
        why=why,
        properties=properties,
        reached=reached,
    )
