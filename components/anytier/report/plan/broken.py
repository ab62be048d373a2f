"""What a plan breaks of the security baseline, and what of that a change brings, for the comment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from anytier.frozen import Frozen
from anytier.report.plan import words
from anytier.report.plan.markdown import code


class Broken(Frozen):
    """A rule that a resource breaks. `key` tells resources apart; `path` and `what` say where and how; `do` mends it.
    `mandatory`: the policy pack refuses it. `waived`: the stack's config says why it may be so."""

    rule: str
    severity: str
    mandatory: bool
    resource: str
    key: str
    path: str
    what: str
    do: str
    waived: bool = False
    new: bool = False


def compared(head: Iterable[Broken], base: Iterable[Broken]) -> tuple[Broken, ...]:
    """Those of the head, each marked `new` if it was not there, or not let pass, before. The new ones first."""
    before = {_same(item) for item in base}
    marked = [item.model_copy(update={"new": _same(item) not in before}) for item in head]
    return tuple(sorted(marked, key=lambda item: (item.waived, not item.new)))  # stable: else as they were


def _same(item: Broken) -> tuple[str, str, str, bool]:
    return item.rule, item.key, item.path, item.waived


def counted(found: Sequence[Broken]) -> str:
    """`breaks 2 rules anew (1 mandatory), 3 as before, 1 waived`; nothing where nothing is broken."""
    if not found:
        return ""
    new = [item for item in found if item.new and not item.waived]
    old = sum(not item.new and not item.waived for item in found)
    waived = sum(item.waived for item in found)
    mandatory = sum(item.mandatory for item in new)
    anew = sum(item.new and item.waived for item in found)
    counts = [
        (len(new), "anew" + (f" ({mandatory} mandatory)" if mandatory else "")),
        (old, "as before"),
        (waived, "waived" + (f" ({anew} of them anew)" if anew else "")),
    ]
    (first, what), *rest = (item for item in counts if item[0])
    return ", ".join([f"breaks {words.many(first, 'rule')} {what}", *(f"{number} {more}" for number, more in rest)])


def as_markdown(found: Sequence[Broken], most: int = 20_000) -> str:
    """A folded list, open where a mandatory rule is broken anew. Nothing where nothing is broken."""
    if not found:
        return ""
    opened = " open" if any(item.new and item.mandatory for item in found) else ""
    lines = [f"<details{opened}><summary>policy: {counted(found)}</summary>", ""]
    room, left_out = most - len(lines[0]) - 80, 0
    for item in found:
        text = "\n".join(_lines(item))
        if left_out or len(text) + 1 > room:
            left_out += 1
            continue
        room -= len(text) + 1
        lines.append(text)
    if left_out:
        lines.append(f"- and {words.many(left_out, 'more finding')}")
    return "\n".join([*lines, "", "</details>", ""])


def _lines(item: Broken) -> Iterator[str]:
    marks = [
        name for name, holds in (("new", item.new), ("mandatory", item.mandatory), ("waived", item.waived)) if holds
    ]
    said = f" ({', '.join(marks)})" if marks else ""
    where = f"{item.path} {item.what}".strip()
    yield f"- **{item.severity}** {code(item.rule)} {code(item.resource)}{said}: {code(where)}"
    if not item.waived:
        yield f"  - {code(item.do)}"


def as_text(found: Sequence[Broken]) -> list[str]:
    """A line for each for a terminal; what is waived only counts."""
    lines = [f"policy: {counted(found)}"] if found else []
    for item in found:
        if not item.waived:
            new = "new, " if item.new else ""
            said = words.name(f"{item.path} {item.what}".strip(), 1000)
            lines.append(f"    {new}{item.severity} {item.rule} {words.name(item.resource)}: {said} -> {item.do}")
    return lines
