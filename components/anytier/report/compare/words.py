"""What all forms of a comparison say the same way: cells as lines, columns as titles, sources as numbers. Pure.

Names and values may be anybody's: what leaves here is on one line and moves no terminal. Each form escapes it itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from anytier.report.compare.model import Cell, Column, Comparison, Source
from anytier.report.compare.recommend import Judgement, Ranked, Recommendation, Verdict
from anytier.report.plan.words import name

LONGEST = 300
VERDICTS = {"for": "meets it", "against": "speaks against it", "unknown": "not known", "never": "rules it out"}


def line(text: str, longest: int = LONGEST) -> str:
    return name(text, longest)


def text(cell: Cell) -> str:
    """A cell in one line, with its note."""
    return line(f"{cell.text} ({cell.note})" if cell.note else cell.text)


def numbers(found: Comparison, cell: Cell) -> list[int]:
    return [found.sources[source] for source in cell.sources]


def title(column: Column) -> str:
    """The stack, with its tier where that has another name, and its mode where it has some."""
    more = [column.tier if column.tier != column.stack else "", column.mode or ""]
    said = ", ".join(item for item in more if item)
    return line(f"{column.stack} ({said})" if said else column.stack, 80)


def source(found: Source) -> str:
    dated = f", {found.date.isoformat()}" if found.date else ""
    return line(f"{found.name}{dated}", 400)


def apps(found: Comparison) -> str:
    """Which app it is about; several where the stacks do not have the same one."""
    names = list(dict.fromkeys(line(column.app, 80) for column in found.columns if column.app))
    return ", ".join(names) or "unknown app"


def needs(found: Recommendation) -> str:
    wanted = found.needs
    said = [
        f"a team of {wanted.team}" if wanted.team is not None else "",
        f"${wanted.budget:,.2f} a month" if wanted.budget is not None else "",
        *wanted.compliance,
        f"{wanted.burst:g} times the usual load" if wanted.burst is not None else "",
    ]
    return ", ".join(item for item in said if item) or "nothing but that the app runs"


def verdict(found: Recommendation) -> str:
    """The answer in a sentence."""
    best = found.best
    if best is None:
        return "None of these stacks meets it."
    open_ = best.counts("against") + best.counts("unknown")
    held = (
        "It meets every need." if not open_ else "It comes nearest; what speaks against it, or is not known, is below."
    )
    return f"{line(best.stack, 80)}. {held}"


def reason(found: Recommendation) -> str:
    """What made the difference."""
    if len(found.ranking) < 2:
        return "There was nothing else to choose from."
    decided = f"It was decided by: {'; '.join(found.decided)}." if found.decided else ""
    first, second = found.ranking[:2]
    alike: tuple[Verdict, ...] = ("never", "against", "unknown")
    if [first.counts(verdict) for verdict in alike] != [second.counts(verdict) for verdict in alike]:
        return decided
    beside = f"Beside {line(second.stack, 80)}, which is as good in these needs,"
    if first.patches != second.patches:
        why = f"there is less to patch ({first.patches:g} parts, not {second.patches:g})."
    elif first.cost is not None and first.cost != second.cost:
        why = "its known cost is less."
    else:
        why = "it is the one that was named first."
    return f"{decided} {beside} {why}".lstrip()


def judgement(item: Judgement) -> str:
    return line(f"{item.need}: {VERDICTS[item.verdict]}: {item.why}", 600)


def ranked(found: Recommendation) -> Iterable[tuple[int, Ranked]]:
    return enumerate(found.ranking, 1)
