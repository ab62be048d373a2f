"""Which of the compared stacks stated needs point to, and which rows decided it. Pure, and the same each time.

A need is a rule over cells of the comparison. `never`: such a stack is out of the question; `against` and `unknown`
count against it. What is left is ranked by these, then by what is to be patched, then by known cost, then as asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from anytier.frozen import Frozen
from anytier.report.compare import facts
from anytier.report.compare.cost import money
from anytier.report.compare.model import Comparison

Verdict = Literal["for", "against", "unknown", "never"]
COMPLIANCE = tuple(key.removeprefix("need.") for key in facts.NEEDS)
# How many of the parts that are to be patched one person can look after: a rule of thumb of ours, not a measurement.
PER_PERSON = 2.0


class Needs(Frozen):
    """`team`: people who look after the platform. `budget` in dollars a month. `burst`: how many times the usual load
    may come within minutes; 1 is none."""

    team: int | None = Field(default=None, ge=1)
    budget: float | None = Field(default=None, ge=0)
    compliance: tuple[str, ...] = ()
    burst: float | None = Field(default=None, ge=1)


class Judgement(Frozen):
    """What a need makes of one stack. `rows`: the keys of the rows that say so."""

    need: str
    verdict: Verdict
    why: str
    rows: tuple[str, ...]


class Ranked(Frozen):
    """A stack with its judgements. `patches`: parts that are patched by you, shared ones for a half."""

    stack: str
    tier: str
    column: int
    judgements: tuple[Judgement, ...]
    patches: float
    cost: float | None = None

    def counts(self, verdict: Verdict) -> int:
        return sum(item.verdict == verdict for item in self.judgements)

    @property
    def possible(self) -> bool:
        return not self.counts("never")


class Recommendation(Frozen):
    """`ranking` has the best first; the first is recommended, unless none is `possible`. `decided`: the needs by which
    the first differs from another."""

    needs: Needs
    ranking: tuple[Ranked, ...]
    decided: tuple[str, ...] = ()

    @property
    def best(self) -> Ranked | None:
        return self.ranking[0] if self.ranking and self.ranking[0].possible else None


def recommend(found: Comparison, needs: Needs) -> Recommendation:
    ranked = [_judged(found, needs, column) for column in range(len(found.columns))]
    ranked.sort(key=_order)
    return Recommendation(needs=needs, ranking=tuple(ranked), decided=tuple(_decided(ranked)))


def _order(item: Ranked) -> tuple[float, ...]:
    unpriced = item.cost is None
    return (
        not item.possible,
        item.counts("never"),
        item.counts("against"),
        item.counts("unknown"),
        item.patches,
        unpriced,
        item.cost or 0,
        item.column,
    )


def _decided(ranked: Sequence[Ranked]) -> Iterator[str]:
    for index, judgement in enumerate(ranked[0].judgements if ranked else ()):
        if any(other.judgements[index].verdict != judgement.verdict for other in ranked[1:]):
            yield judgement.need


def _judged(found: Comparison, needs: Needs, column: int) -> Ranked:
    head = found.columns[column]
    return Ranked(
        stack=head.stack,
        tier=head.tier,
        column=column,
        judgements=tuple(_judgements(found, needs, column)),
        patches=patches(found, column),
        cost=found.cell("cost.total", column).value,
    )


def patches(found: Comparison, column: int) -> float:
    weight = {"you": 1.0, "shared": 0.5}
    return sum(weight.get(found.cell(key, column).by or "", 0) for key in facts.PATCHES)


def _judgements(found: Comparison, needs: Needs, column: int) -> Iterator[Judgement]:
    yield _app(found, column)
    if needs.team is not None:
        yield _team(found, needs.team, column)
    if needs.budget is not None:
        yield _budget(found, needs.budget, column)
    for name in needs.compliance:
        yield _compliance(found, name, column)
    if needs.burst is not None and needs.burst > 1:
        yield _burst(found, needs.burst, column)


def _app(found: Comparison, column: int) -> Judgement:
    """What nobody has to state: the app must run there."""
    lost = found.cell("app.lost", column)
    verdict: Verdict = "for"
    why, rows = "no field of it is lost", ("app.lost",)
    if lost.value:
        verdict, why = "never", f"fields that are lost: {lost.text}"
    elif found.columns[column].errors:
        verdict, why, rows = "never", "no plan could be made", ("resources.total",)
    elif not lost.known:
        verdict, why = "unknown", lost.note or "unknown"
    return Judgement(need="the app runs there", verdict=verdict, why=why, rows=rows)


def _team(found: Comparison, team: int, column: int) -> Judgement:
    mine, most = patches(found, column), team * PER_PERSON
    why = f"{mine:g} of {len(facts.PATCHES)} parts are yours to patch, and {team} can look after {min(most, 5):g}"
    return Judgement(
        need=f"a team of {team}", verdict="for" if mine <= most else "against", why=why, rows=tuple(facts.PATCHES)
    )


def _budget(found: Comparison, budget: float, column: int) -> Judgement:
    total, open_ = found.cell("cost.total", column), found.cell("cost.unpriced", column)
    rows = ("cost.total", "cost.unpriced")
    need = f"{money(budget)} a month"
    if total.value is None:
        rented = found.cell("cost.rented", column)
        beside = f"; its machines would be {rented.text} if they were rented" if rented.value else ""
        return Judgement(need=need, verdict="unknown", why=f"its price is unknown{beside}", rows=(*rows, "cost.rented"))
    if total.value > budget:
        return Judgement(need=need, verdict="never", why=f"{total.text} a month is more", rows=rows)
    rest = "" if not open_.value else f"; not in it: {open_.text}"
    return Judgement(need=need, verdict="for", why=f"{total.text} a month{rest}", rows=rows)


def _compliance(found: Comparison, name: str, column: int) -> Judgement:
    key = f"need.{name}"
    cell = found.cell(key, column)
    verdict: Verdict = "unknown" if cell.meets is None else "for" if cell.meets else "never"
    return Judgement(need=facts.NEEDS[key], verdict=verdict, why=cell.text, rows=(key,))


def _burst(found: Comparison, burst: float, column: int) -> Judgement:
    """Both instances and machines have to come by themselves."""
    pods, machines = found.cell("scale.pods", column), found.cell("scale.machines", column)
    need, rows = f"{burst:g} times the usual load", ("scale.pods", "scale.machines")
    if pods.by != "automatic":
        return Judgement(need=need, verdict="against", why=f"instances are added by {pods.text}", rows=rows)
    if machines.by != "provider":
        why = f"instances come by themselves, but machines do not: {machines.text}"
        return Judgement(need=need, verdict="against", why=why, rows=rows)
    return Judgement(need=need, verdict="for", why="instances and machines come by themselves", rows=rows)
