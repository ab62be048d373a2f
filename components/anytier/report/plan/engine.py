"""What `pulumi preview --json` says, as the changes that a plan's diff has: each step once, graded by the same rules.

The engine knows what is there and whether a provider makes a thing anew; how grave that is we say. It writes secrets as
`[secret]`, what only a run knows as a fixed text, and a preview that failed without a step: so an answer that cannot be
read, or that holds an error, is a failure and never "no changes". Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from anytier.frozen import Frozen
from anytier.marks import UNKNOWN_STRINGS
from anytier.report.plan.diff import EFFECTS, KINDS, Change, Diff, Kind, of_step
from anytier.report.plan.graph import REDACTED, UNKNOWN_TEXT, Graph, Node, Path

_INTERNAL = "__"  # a key that a provider keeps its own books in, such as __defaults
_STACK = "pulumi:pulumi:Stack::"  # the stack itself, as a resource
# What the engine does, as we count it. What is not here changes nothing: same, read, refresh and their like.
_KINDS: Mapping[str, Kind] = {
    "create": "add",
    "import": "add",
    "update": "change",
    "replace": "replace",
    "create-replacement": "replace",
    "import-replacement": "replace",
    "delete-replaced": "replace",
    "delete": "remove",
}


class Previewed(Frozen):
    """`diff` is None where the preview failed; then there are `errors`."""

    diff: Diff | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = Field(default=(), exclude=True)

    @property
    def graph(self) -> Graph:
        """What the changes' resources are called by. Nothing of who needs whom is in it."""
        return Graph(project="", stack=self.diff.stack if self.diff else "", resources=self.nodes)


def read(stack: str, text: str, code: int, said: str = "") -> Previewed:
    """`text` is what the engine printed for `--json`, `code` how it ended, `said` what it wrote to stderr."""
    try:
        digest = json.loads(text)
        steps, notes = digest.get("steps") or [], digest.get("diagnostics") or []
        errors = tuple(_notes(notes, "error"))
        if code or errors:
            return Previewed(errors=errors or (_reason(said, code),))
        found = _Steps(steps)
        changes = found.changes()
        same = int(digest["changeSummary"].get("same") or 0)  # one that was stopped has none
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        if code:
            return Previewed(errors=(_reason(said, code),))
        return Previewed(errors=("what the engine answered cannot be read -> run `pulumi preview` by hand",))
    diff = Diff(base=f"/{stack}", head=f"/{stack}", stack=stack, changes=tuple(changes), same=same)
    return Previewed(diff=diff, warnings=tuple(_notes(notes, "warning")), nodes=tuple(found.nodes.values()))


class _Steps:
    """By the resource's key: what is done with it, as it was before and as it will be."""

    def __init__(self, steps: Any) -> None:
        self.done: dict[str, set[str]] = {}
        self.before: dict[str, Node] = {}
        self.after: dict[str, Node] = {}
        self.anew: dict[str, set[str]] = {}
        self.refreshed: set[str] = set()
        for step in steps:
            self._take(step)

    @property
    def nodes(self) -> dict[str, Node]:
        return {**self.before, **self.after}

    def _take(self, step: Mapping[str, Any]) -> None:
        state = step.get("newState") or step.get("oldState") or {}
        op, key = str(step["op"]), _key(str(step["urn"]))
        if op == "refresh":
            self.refreshed.add(key)
        if op not in _KINDS or state.get("custom") is False or key.startswith(_STACK):
            return
        if not state:
            raise ValueError(key)
        self.done.setdefault(key, set()).add(op)
        self.anew.setdefault(key, set()).update(str(item).split(".")[0] for item in step.get("replaceReasons") or ())
        if step.get("oldState") or op == "delete":
            self.before[key] = _node(key, step.get("oldState") or state)
        if step.get("newState") and op != "delete":
            self.after[key] = _node(key, step["newState"])

    def changes(self) -> list[Change]:
        """The gravest first, as a plan's diff has them."""
        found = [self._change(key, done) for key, done in self.done.items()]
        found.sort(key=lambda item: (-EFFECTS.index(item.effect), -KINDS.index(item.kind)))
        return found

    def _change(self, key: str, done: set[str]) -> Change:
        if key in self.refreshed and done == {"create"}:  # it was in the state, and a refresh did not find it
            change = of_step("add", None, self.after[key])
            return change.model_copy(update={"why": "it is gone from its place, and is made again"})
        kinds = {_KINDS[op] for op in done}
        kind: Kind = max(kinds, key=("add", "change", "remove", "replace").index)
        before, after = self.before.get(key), self.after.get(key)
        if kind == "add":
            return of_step("add", None, after or before)
        if kind == "remove":
            return of_step("remove", before or after, None)
        return of_step(kind, before or after, after or before, self.anew[key])


def _key(urn: str) -> str:
    """`urn:pulumi:STACK::PROJECT::TYPE::NAME` without stack and project. ValueError for anything else."""
    parts = urn.split("::", 2)
    if len(parts) < 3 or not parts[0].startswith("urn:pulumi:") or "::" not in parts[2]:
        raise ValueError(urn)
    return parts[2]


def _node(key: str, state: Mapping[str, Any]) -> Node:
    inputs = _plain(state.get("inputs") or {})
    hidden = list(_hidden(inputs))
    return Node(
        key=key,
        type=str(state["type"]),
        name=key.partition("::")[2],
        inputs=inputs,
        secrets=tuple(path for path, text in hidden if text == REDACTED),
        unknown=tuple(path for path, text in hidden if text == UNKNOWN_TEXT),
        protect=bool(state.get("protect")),
        retain_on_delete=bool(state.get("retainOnDelete")),
    )


def _plain(found: Any) -> Any:
    """Without a provider's own books; what is not known yet as a plan has it."""
    if isinstance(found, dict):
        return {key: _plain(item) for key, item in found.items() if not key.startswith(_INTERNAL)}
    if isinstance(found, list):
        return [_plain(item) for item in found]
    return UNKNOWN_TEXT if isinstance(found, str) and found in UNKNOWN_STRINGS else found


def _hidden(found: Any, at: Path = ()) -> Iterator[tuple[Path, str]]:
    if isinstance(found, dict):
        for key, item in found.items():
            yield from _hidden(item, (*at, key))
    elif isinstance(found, list):
        for index, item in enumerate(found):
            yield from _hidden(item, (*at, index))
    elif found in (REDACTED, UNKNOWN_TEXT):
        yield at, found


def _notes(notes: Any, severity: str) -> Iterator[str]:
    """What the engine says of a severity, each once, with the resource's name where it is about one."""
    said = []
    for note in notes:
        if note.get("severity") == severity and (text := " ".join(str(note.get("message") or "").split())):
            name = str(note.get("urn") or "").rpartition("::")[2]
            said.append(f"{name}: {text}" if name else text)
    yield from dict.fromkeys(said)


def _reason(said: str, code: int) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    first = next((line for line in lines if line.startswith("error")), lines[-1] if lines else "")
    return first.removeprefix("error: ") or f"`pulumi preview` ended with {code}"
