"""What a change does to all stacks, in one comment: a line for each, the gravest first, details folded. Pure.

A stack whose plan could not be made is told as that, and counts as grave as can be: it is never "no changes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from anytier.frozen import Frozen
from anytier.report.plan import markdown, terminal, words
from anytier.report.plan.diff import EFFECTS, Diff, compare
from anytier.report.plan.graph import Graph

# The first line of a comment: whoever posts one finds the last by it.
MARK = "<!-- anytier preview -->"
State = Literal["failed", "base failed", "changed", "new", "gone"]


class Outcome(Frozen):
    """Of one stack. `diff` is there unless it `failed`; where there is no base it is one from nothing, where the stack
    is gone, to nothing. `errors` as `path: what -> do`; `names` are what resources are called in `diff`."""

    stack: str
    state: State
    diff: Diff | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    graph: Graph | None = None

    @property
    def grade(self) -> int:
        """What to sort by: the higher, the graver."""
        if self.state in ("failed", "base failed"):
            return len(EFFECTS)
        worst = self.diff.worst if self.diff else None
        return -1 if worst is None else EFFECTS.index(worst)

    @property
    def names(self) -> words.Names:
        return words.Names(self.graph or Graph(project="", stack=self.stack))


def outcome(
    stack: str,
    base: Graph | None,
    head: Graph | None,
    errors: Sequence[str] = (),
    base_errors: Sequence[str] = (),
    warnings: Sequence[str] = (),
) -> Outcome:
    """`base` and `head` are None where the stack is not there, or where there are errors."""
    if errors:
        return Outcome(stack=stack, state="failed", errors=tuple(errors))
    nothing = Graph(project="", stack=stack)
    if base_errors:
        said = tuple(f"before this change: {error}" for error in base_errors)
        return Outcome(stack=stack, state="base failed", errors=said)
    state: State = "changed" if base and head else "new" if head else "gone"
    # Whatever they are called: these two are one stack's.
    first, last = (
        graph.model_copy(update={"project": "", "stack": stack}) for graph in (base or nothing, head or nothing)
    )
    diff = compare(first, last)
    return Outcome(stack=stack, state=state, diff=diff, warnings=tuple(warnings), graph=head or base)


def ranked(found: Iterable[Outcome]) -> list[Outcome]:
    return sorted(found, key=lambda item: (-item.grade, item.stack))


def as_markdown(found: Iterable[Outcome], most: int = markdown.MOST) -> str:
    """One comment of at most `most` characters: every stack has its line, whatever is left out below."""
    stacks = ranked(found)
    lines = [MARK, "", *(f"- {_summary(item)}" for item in stacks), ""]
    room = most - sum(len(line) + 1 for line in lines) - 200
    for index, item in enumerate(stacks):
        share = room // (len(stacks) - index)  # what one leaves over is the next one's
        text = _details(item, share)
        if text and len(text) + 1 > share:
            text = f"### {markdown.code(item.stack)}\n\nleft out here: it would be too long.\n"
        if text:
            lines.append(text)
            room -= len(text) + 1
    whole = "\n".join(lines)
    return (
        whole
        if len(whole) <= most
        else f"{whole[: whole.rfind(chr(10), 0, most - 60)]}\n- and more: it would be too long\n"
    )


def _summary(item: Outcome) -> str:
    if item.diff is None:
        what = "no plan could be made" if item.state == "failed" else "no plan of what was before could be made"
        return f"❌ **{markdown.code(item.stack)}**: {what} ({words.many(len(item.errors), 'error')})"
    note = {"new": " (a new stack)", "gone": " (the stack is taken out, which destroys nothing by itself)"}
    return markdown.summary(item.diff) + note.get(item.state, "")


def _details(item: Outcome, most: int) -> str:
    head = f"### {markdown.code(item.stack)}\n\n"
    if item.diff is None:
        shown = [f"- {markdown.code(error)}" for error in item.errors[:20]]
        more = len(item.errors) - len(shown)
        return head + "\n".join([*shown, *([f"- and {words.many(more, 'more error')}"] if more else [])]) + "\n"
    warned = "".join(f"- warning: {markdown.code(text)}\n" for text in item.warnings[:10])
    if not item.diff.changes:
        return f"{head}{warned}" if warned else ""
    body = markdown.changes(item.diff, item.names, max(most - len(head) - len(warned) - 1, 600))
    return f"{head}{warned}{body.partition(chr(10))[2].lstrip(chr(10))}"


def as_text(found: Iterable[Outcome], room: int | None = None, color: bool = False) -> str:
    parts = []
    for item in ranked(found):
        if item.diff is not None:
            parts.append(terminal.changes(item.diff, item.names, room, color))
        else:
            lines = [f"stack {words.name(item.stack)}: {item.state}: no plan could be made"]
            parts.append("\n".join([*lines, *(f"    {words.name(error, 1000)}" for error in item.errors)]))
    return "\n\n".join(parts)
