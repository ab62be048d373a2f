"""What a change does to all stacks, in one comment: a line for each, the gravest first, details folded. Pure.

A stack whose plan could not be made is told as that, and counts as grave as can be: it is never "no changes".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from anytier.frozen import Frozen
from anytier.report.plan import broken, markdown, terminal, words
from anytier.report.plan.broken import Broken
from anytier.report.plan.diff import EFFECTS, Diff, compare
from anytier.report.plan.engine import Previewed
from anytier.report.plan.graph import Graph

# The first line of a comment: whoever posts one finds the last by it.
MARK = "<!-- anytier preview -->"
TITLE = "What would become of each stack, the gravest first:"
PLANNED = "This compares plans of the files, before and after; what really runs was not looked at."
State = Literal["failed", "base failed", "preview failed", "changed", "new", "gone"]
# How a stack was looked at. `engine`: by `pulumi preview`, which asks what is there. The others by plans alone: because
# nobody asked for more, because nothing is deployed yet, or because its state, or its engine, is out of reach.
Way = Literal["plan", "engine", "not deployed", "out of reach"]
FAILED = ("failed", "base failed", "preview failed")


class Outcome(Frozen):
    """Of one stack. `diff` is there unless a plan `failed`; where there is no base it is one from nothing, where the
    stack is gone, to nothing; where the engine's preview failed, the plan's. `errors` as `path: what -> do`; `names`
    are what resources are called in `diff`; `reason` says why the stack is out of reach."""

    stack: str
    state: State
    diff: Diff | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    graph: Graph | None = None
    way: Way = "plan"
    reason: str = ""
    broken: tuple[Broken, ...] = ()

    @property
    def failed(self) -> bool:
        return self.state in FAILED

    @property
    def grade(self) -> int:
        """What to sort by: the higher, the graver."""
        if self.failed:
            return len(EFFECTS)
        worst = self.diff.worst if self.diff else None
        return -1 if worst is None else EFFECTS.index(worst)

    @property
    def graded(self) -> str:
        """The same as a word: `failed`, a grade as `--fail-on` takes it, or `none`."""
        return "failed" if self.failed else "none" if self.grade < 0 else EFFECTS[self.grade].replace(" ", "-")

    @property
    def refused(self) -> bool:
        """Whether a rule that is more than advice is broken that was not before."""
        return any(item.new and item.mandatory for item in self.broken)

    @property
    def as_it_is(self) -> bool:
        """Whether it is known that nothing would change. What is not deployed cannot have changed."""
        if self.way == "engine":
            return self.grade < 0
        return self.way == "not deployed" and not self.failed

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


def seen(planned: Outcome, found: Previewed) -> Outcome:
    """What the engine says, in place of what the plans say. A plan of the change that failed stays a failure: what a
    tier can carry was looked at there. That of before does not matter to the engine."""
    if planned.state == "failed":
        return planned.model_copy(update={"way": "engine"})
    if found.diff is None:
        return planned.model_copy(update={"state": "preview failed", "errors": found.errors, "way": "engine"})
    return planned.model_copy(
        update={
            "state": "changed",
            "diff": found.diff,
            "errors": (),
            "warnings": found.warnings,
            "graph": found.graph,
            "way": "engine",
        }
    )


def ranked(found: Iterable[Outcome]) -> list[Outcome]:
    return sorted(found, key=lambda item: (-item.grade, item.stack))


def as_markdown(found: Iterable[Outcome], most: int = markdown.MOST) -> str:
    """One comment of at most `most` characters: every stack has its line, whatever is left out below."""
    stacks = ranked(found)
    lines = [MARK, "", TITLE, "", *(f"- {_summary(item)}" for item in stacks), ""]
    if stacks and all(item.way == "plan" for item in stacks):
        lines += [PLANNED, ""]
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


_FAILURES = {
    "failed": "no plan could be made",
    "base failed": "no plan of what was before could be made",
    "preview failed": "`pulumi preview` failed",
}
_NOTES = {
    "new": "a new stack",
    "gone": "the stack is taken out, which destroys nothing by itself",
    "engine": "as the engine sees it",
    "not deployed": "planned only: it is not deployed",
    "out of reach": "planned only: it is out of reach",
}


def _summary(item: Outcome) -> str:
    if item.failed:
        counted = f"({words.many(len(item.errors), 'error')})"
        planned = f"; by its plan {words.counted(item.diff)}" if item.diff else ""
        line = f"❌ **{markdown.code(item.stack)}**: {_FAILURES[item.state]} {counted}{planned}"
    else:
        assert item.diff is not None  # what has not failed has one
        line = markdown.summary(item.diff)
    told = (item.state,) if item.failed and item.way == "engine" else (item.state, item.way)
    notes = [_NOTES[key] for key in told if key in _NOTES]
    policy = broken.counted(item.broken)
    return line + (f"; {policy}" if policy else "") + (f" ({'; '.join(notes)})" if notes else "")


def _details(item: Outcome, most: int) -> str:
    """The errors, why it is out of reach, the warnings; what changes, in the room that is left; the rules."""
    title = f"### {markdown.code(item.stack)}\n"
    shown = [f"- {markdown.code(error)}" for error in item.errors[:20]]
    more = len(item.errors) - len(shown)
    shown += [f"- and {words.many(more, 'more error')}"] if more else []
    shown += [f"- out of reach: {markdown.code(item.reason)}"] if item.reason else []
    shown += [f"- warning: {markdown.code(text)}" for text in item.warnings[:10]]
    first = "\n".join([*shown, ""]) if shown else ""
    policy = broken.as_markdown(item.broken, most // 3)
    body = ""
    if item.diff and item.diff.changes:
        room = most - len(title) - len(first) - len(policy) - 3
        body = markdown.changes(item.diff, item.names, max(room, 600)).partition("\n")[2].lstrip("\n")
    parts = [part for part in (first, body, policy) if part]
    return "\n".join([title, *parts]) if parts else ""


def as_text(found: Iterable[Outcome], room: int | None = None, color: bool = False) -> str:
    parts = []
    for item in ranked(found):
        lines = []
        if item.failed:
            lines.append(f"stack {words.name(item.stack)}: {item.state}: {_FAILURES[item.state]}")
            lines += [f"    {words.name(error, 1000)}" for error in item.errors]
        if item.diff is not None:
            lines.append(terminal.changes(item.diff, item.names, room, color))
        lines += [f"{_NOTES[item.way]}"] if item.way in _NOTES else []
        lines += [f"    {words.name(item.reason, 1000)}"] if item.reason else []
        parts.append("\n".join([*lines, *broken.as_text(item.broken)]))
    return "\n\n".join(parts)
