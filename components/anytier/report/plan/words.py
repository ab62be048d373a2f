"""How names and values of a plan are written: on one line, and so that none can be taken for anything else. Pure.

All of them are somebody's, perhaps a stranger's. A text stands in quotes, what is redacted or unknown without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from anytier.report.plan.diff import KINDS, Diff, Property
from anytier.report.plan.graph import Graph, Node, Path
from anytier.report.text import clean, fit

_BARE = re.compile(r"[A-Za-z0-9_$/-]+")
LONGEST = 200  # characters of a value
_DONE = {"add": "to add", "change": "to change", "replace": "to replace", "remove": "to remove"}


def value(found: Any, longest: int = LONGEST) -> str:
    """As JSON on one line, cut where it is long."""
    return fit(clean(json.dumps(found, ensure_ascii=False)), longest)


def name(text: str, longest: int = LONGEST) -> str:
    return fit(clean(text), longest)


def path(steps: Path) -> str:
    """`template.ports[0]["a.b"]`"""
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _BARE.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(step, ensure_ascii=False)}]"
    return name(text)


def change_of(item: Property) -> tuple[str, str]:
    """Before and after. `-` is none."""
    if item.hidden:
        return _bare(item.before, item.added), _bare(item.after, item.removed)
    return "-" if item.added else value(item.before), "-" if item.removed else value(item.after)


def _bare(found: Any, none: bool) -> str:
    return "-" if none else clean(found) if found in ("[secret]", "[unknown]") else value(found)


def counted(diff: Diff) -> str:
    """`1 to add, 2 to change`; `no changes`."""
    counts = diff.counts()
    said = [f"{counts[kind]} {_DONE[kind]}" for kind in KINDS if counts[kind]]
    return ", ".join(said) or "no changes"


def many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


class Names:
    """What resources of a graph are called beside each other: their names, with the kind where a name is not enough."""

    def __init__(self, graph: Graph) -> None:
        seen: dict[str, int] = {}
        for node in graph.resources:
            if not node.component:
                seen[node.name] = seen.get(node.name, 0) + 1
        self._graph, self._seen = graph, seen

    def of(self, key: str) -> str:
        node = self._graph.nodes.get(key)
        if node is None:
            return name(key.rpartition("::")[2])
        return name(node.name) if self._seen.get(node.name, 0) < 2 else f"{name(node.kind)} {name(node.name)}"

    def all(self, keys: Iterable[str]) -> str:
        return ", ".join(self.of(key) for key in keys)


def head_of(graph: Graph) -> str:
    return f"stack {name(graph.stack)}: {size_of(graph)}"


def size_of(graph: Graph) -> str:
    made = sum(not node.component for node in graph.resources)
    return f"{many(made, 'resource')} of {many(len(graph.counts()), 'kind')}"


def leaves(node: Node) -> Iterable[tuple[str, str]]:
    """Every input with its path; empty maps and lists are inputs, too."""
    hidden = {*node.secrets, *node.unknown}

    def walk(found: Any, steps: Path) -> Iterable[tuple[str, str]]:
        items: Iterable[tuple[str | int, Any]] = ()
        if isinstance(found, dict):
            items = found.items()
        elif isinstance(found, list):
            items = enumerate(found)
        if not found or not isinstance(found, dict | list):
            yield path(steps), clean(str(found)) if steps in hidden else value(found)
        for step, item in items:
            yield from walk(item, (*steps, step))

    for key, item in node.inputs.items():
        yield from walk(item, (key,))
