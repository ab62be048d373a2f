"""A plan or a diff as Markdown, as it stands in a pull request's comment: danger first, details folded. Pure.

Whatever is not ours stands in a code span, in which Markdown means nothing, and on a line that begins with ours: no
name and no value can add a line, a link, a mention or HTML. Tables are not used: a `|` would mean something in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from anytier.report.plan import words
from anytier.report.plan.diff import EFFECTS, Change, Diff, Effect
from anytier.report.plan.graph import Graph, short

MOST = 60_000  # characters: GitHub takes 65,536 in a comment
_SIGNS: dict[Effect, str] = {
    "safe": "🟢",
    "unknown": "⚪",
    "disruptive": "🟡",
    "replaces": "🟠",
    "data loss": "🔴",
}
_PROPERTIES = 30  # of one resource


def code(text: str) -> str:
    """A code span of any text: its fence is longer than any run of backticks in it."""
    shown = words.name(text, 400)
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * (longest + 1)
    # One space is taken off at both ends, but not where there is nothing else.
    edge = " " if longest or shown.strip(" ") not in ("", shown) else ""
    return f"{fence}{edge}{shown or ' '}{edge}{fence}"


def summary(diff: Diff) -> str:
    """One line for a stack: the worst first."""
    sign = _SIGNS[diff.worst] if diff.worst else "✅"
    counts = [(effect, sum(item.effect == effect for item in diff.changes)) for effect in reversed(EFFECTS)]
    graded = ", ".join(f"{number} {effect}" for effect, number in counts if number)
    return f"{sign} **{code(diff.stack)}**: {words.counted(diff)}" + (f" ({graded})" if graded else "")


def changes(diff: Diff, names: words.Names, most: int = MOST) -> str:
    """The summary, then each grade of danger, the gravest open. At most `most` characters, cut between two changes."""
    lines = [summary(diff), ""]
    room = most - len(lines[0]) - 400  # what is said where it is cut, and closing tags
    left_out = 0
    for effect in reversed(EFFECTS):
        found = [item for item in diff.changes if item.effect == effect]
        if not found:
            continue
        block: list[str] = []
        for item in found:
            text = "\n".join(_lines(item, names))
            if len(text) + 1 > room:
                left_out += 1
                continue
            room -= len(text) + 1
            block.append(text)
        opened = " open" if effect == diff.worst and effect not in ("safe", "unknown") else ""
        title = f"{_SIGNS[effect]} {effect}: {words.many(len(found), 'change')}"
        lines += [f"<details{opened}><summary>{title}</summary>", "", *block, "", "</details>", ""]
        room -= len(title) + 60
    if left_out:
        lines += [f"{words.many(left_out, 'change')} left out here: it would be too long.", ""]
    return "\n".join(lines)


def _lines(item: Change, names: words.Names) -> Iterable[str]:
    why = f": {item.why}" if item.why else ""  # ours, and nothing of anybody else's is in it
    yield f"- **{item.kind}** {code(short(item.type))} {code(item.name)}{why}"
    for found in item.properties[:_PROPERTIES]:
        before, after = words.change_of(found)
        mark = {"yes": " (makes it anew)", "unknown": " (may make it anew)", "no": ""}[found.replaces]
        yield f"  - {code(words.path(found.path))}: {code(before)} → {code(after)}{mark}"
    if len(item.properties) > _PROPERTIES:
        yield f"  - and {words.many(len(item.properties) - _PROPERTIES, 'more input')}"
    if item.reached:
        yield f"  - read by {', '.join(code(names.of(key)) for key in item.reached)}"


def tree(graph: Graph, most: int = MOST) -> str:
    """A plan: how many of each kind, and folded every resource."""
    names = words.Names(graph)
    lines = [f"**{code(graph.stack)}**: {words.size_of(graph)}", ""]
    lines += [f"- {number} × {code(short(type))}" for type, number in graph.counts().items()]
    lines += ["", "<details><summary>all resources</summary>", ""]
    room = most - sum(len(line) + 1 for line in lines) - 100
    cut = False
    for node in graph.resources:
        after = graph.direct[node.key]
        said = f", after {', '.join(code(names.of(key)) for key in after)}" if after else ""
        line = f"- {code(node.kind)} {code(node.name)}{said}"
        room -= len(line) + 1
        cut = cut or room < 0
        if not cut:
            lines.append(line)
    return "\n".join([*lines, *(["- and more: it would be too long"] if cut else []), "", "</details>", ""])
