"""A plan as a tree, and a diff as a list, for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from anytier.report.plan import words
from anytier.report.plan.diff import Change, Diff, Effect
from anytier.report.plan.graph import Graph, Node, short
from anytier.report.text import fit, pad, width

_SIGNS = {"add": "+", "change": "~", "replace": "±", "remove": "-"}
_COLORS: dict[Effect, str] = {
    "safe": "32",
    "unknown": "36",
    "disruptive": "33",
    "replaces": "33",
    "data loss": "1;31",
}
_WIDEST = 60  # columns of the tree: a long name does not push the rest out of sight


def tree(graph: Graph, room: int | None = None, inputs: bool = False) -> str:
    """Resources below the components that make them, each with its kind and what it waits for; then the exports."""
    names = words.Names(graph)
    rows = [
        (f"{lead}{words.name(node.name)}", words.name(node.kind), node, below) for lead, below, node in _walk(graph)
    ]
    first = min(max((width(row[0]) for row in rows), default=0), _WIDEST)
    second = max((width(row[1]) for row in rows), default=0)
    lines = [words.head_of(graph), ""]
    for text, kind, node, below in rows:
        after = graph.direct[node.key]
        said = f"after {names.all(after)}" if after else ""
        lines.append(f"{pad(fit(text, first), first)}  {pad(kind, second)}  {said}".rstrip())
        if inputs:
            lines += [f"{below}    {path} = {value}" for path, value in words.leaves(node)]
    if graph.exports:
        shown = Node(
            key="",
            type="",
            name="",
            inputs=graph.exports,
            secrets=graph.export_secrets,
            unknown=graph.export_unknown,
        )
        lines += ["", "exports", *(f"  {path} = {value}" for path, value in words.leaves(shown))]
    return "\n".join(line if room is None else fit(line, room) for line in lines)


def _walk(graph: Graph) -> Iterator[tuple[str, str, Node]]:
    """(the branch before a name, that before what stands below it, the node), top down; the place before the app."""

    def below(parent: str | None, lead: str) -> Iterator[tuple[str, str, Node]]:
        found = sorted(graph.children.get(parent, []), key=lambda node: not node.type.startswith("anytier:tier:"))
        for index, node in enumerate(found):
            last = index == len(found) - 1
            branch, rest = ("", "") if parent is None else ("└─ ", "   ") if last else ("├─ ", "│  ")
            yield lead + branch, lead + rest, node
            yield from below(node.key, lead + rest)

    yield from below(None, "")


def changes(diff: Diff, names: words.Names, room: int | None = None, color: bool = False) -> str:
    """The gravest first: what becomes of each, why, and the inputs that differ."""
    lines = [headline(diff)]
    for item in diff.changes:
        first, *rest = (line if room is None else fit(line, room) for line in _lines(item, names))
        lines += ["", f"\033[{_COLORS[item.effect]}m{first}\033[0m" if color else first, *rest]
    return "\n".join(lines)


def headline(diff: Diff) -> str:
    worst = f"; at worst: {diff.worst}" if diff.worst else ""
    other = "" if diff.base == diff.head else f" (from {words.name(diff.base)} to {words.name(diff.head)})"
    return f"stack {words.name(diff.stack)}: {words.counted(diff)}, {diff.same} as before{worst}{other}"


def _lines(item: Change, names: words.Names) -> Iterator[str]:
    why = f": {item.why}" if item.why else ""
    thing = f"{words.name(short(item.type))} {words.name(item.name)}"
    yield f"{_SIGNS[item.kind]} {item.kind} {thing}  [{item.effect}]{why}"
    for found in item.properties:
        before, after = words.change_of(found)
        mark = {"yes": "  (makes it anew)", "unknown": "  (may make it anew)", "no": ""}[found.replaces]
        yield f"    {words.path(found.path)}: {before} -> {after}{mark}"
    if item.reached:
        yield f"    read by {names.all(item.reached)}, which may change with it"
