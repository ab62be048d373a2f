"""A comparison of stacks: every section, row by row. Pure: what is read, planned and measured comes in."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from anytier.capabilities import Support, support
from anytier.measure.figures import KINDS
from anytier.policy import check as policy
from anytier.policy import plan as policy_plan
from anytier.policy.registry import RULES
from anytier.policy.rendered import all_of
from anytier.report.compare import cost, facts, measured
from anytier.report.compare.cost import PLAN
from anytier.report.compare.model import Cell, Column, Comparison, Row, Section, Source, unknown
from anytier.report.compare.subject import Subject
from anytier.report.plan.graph import Graph, short
from anytier.report.plan.svg import families, family_of
from anytier.spec.diagnostic import dotted
from anytier.spec.walk import used_fields

TABLE = Source(name="the capability table: docs/capabilities.md")
POLICY = Source(name="the policy pack over the plan: docs/policy.md")
_NO_PLAN = "no plan could be made"
Made = Callable[[Subject], Cell]


def compared(found: Sequence[Subject], today: datetime.date, machine_price: float | None = None) -> Comparison:
    """`today` is the day of the comparison; `machine_price` as in `cost.bill`."""
    sections = (
        Section(key="resources", title="What there is to own", rows=tuple(_resources(found))),
        Section(key="patches", title="Who patches what", rows=tuple(_facts(found, facts.PATCHES))),
        Section(key="ways", title="How it works", rows=tuple(_ways(found))),
        Section(key="security", title="Security baseline, as it comes", rows=tuple(_security(found))),
        Section(key="app", title="This app's fields", rows=tuple(_app(found))),
        Section(key="cost", title="Cost a month, by list prices", rows=tuple(_cost(found, today, machine_price))),
        Section(key="measured", title="Measured", rows=tuple(_measured(found))),
    )
    return Comparison(made=today, columns=tuple(_column(item) for item in found), sections=sections)


def _column(item: Subject) -> Column:
    name = item.app.metadata.name if item.app else ""
    return Column(
        stack=item.stack, tier=item.tier, mode=item.mode, app=name, errors=item.errors, warnings=item.warnings
    )


def _row(key: str, title: str, found: Sequence[Subject], made: Made) -> Row:
    return Row(key=key, title=title, cells=tuple(made(item) for item in found))


def planned(made: Callable[[Subject, Graph], Cell]) -> Made:
    """A cell that needs a plan."""
    return lambda item: unknown(_NO_PLAN, PLAN) if item.graph is None else made(item, item.graph)


# what there is to own


def _resources(found: Sequence[Subject]) -> Iterator[Row]:
    yield _row("resources.total", "resources", found, planned(partial(_count, None)))
    present = {family_of(node) for item in found if item.graph for node in item.graph.resources if not node.component}
    for family, said in families().items():
        if family in present:
            yield _row(f"resources.{family}", f"of these: {said}", found, planned(partial(_count, family)))
    yield _row("machines.all", "machines", found, planned(partial(_machines, True)))
    yield _row("machines.control-plane", "control plane machines of yours", found, planned(_planes))
    yield _row("machines.workers", "other machines", found, planned(partial(_machines, False)))


def _count(family: str | None, item: Subject, graph: Graph) -> Cell:
    """Of one family, or of all."""
    nodes = [node for node in graph.resources if not node.component and family in (None, family_of(node))]
    kinds = Counter(short(node.type) for node in nodes)
    ranked = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    detail = tuple(f"{number} × {kind}" for kind, number in ranked)
    text = str(len(nodes)) if family or not nodes else f"{len(nodes)} of {len(kinds)} kinds"
    return Cell(text=text, value=len(nodes), detail=detail, sources=(PLAN,))


def _planes(item: Subject, graph: Graph) -> Cell:
    if item.tier in cost.CLOUDS:
        return Cell(text="0: the provider's", value=0, sources=(PLAN,))
    count = cost.own(item.tier, graph).control_planes
    return Cell(text=str(count), value=count, sources=(PLAN,))


def _machines(planes: bool, item: Subject, graph: Graph) -> Cell:
    """`planes`: with those that are control planes of yours."""
    if item.tier not in cost.CLOUDS:
        found = cost.own(item.tier, graph)
        count = found.all if planes else found.others
        return Cell(text=f"{count} of yours", value=count, sources=(PLAN,))
    pools = [entry for entry in cost.bill(item.tier, graph, datetime.date.min) if entry.part == "machines"]
    if any("×" not in entry.what for entry in pools):
        return unknown("as pods need them", PLAN)
    count = int(sum(entry.count for entry in pools))
    return Cell(text=f"{count} rented", value=count, detail=tuple(entry.what for entry in pools), sources=(PLAN,))


# facts


def _facts(found: Sequence[Subject], keys: Mapping[str, str]) -> Iterator[Row]:
    for key, title in keys.items():
        yield Row(key=key, title=title, cells=tuple(facts.cell(item.tier, item.mode, key) for item in found))


def _ways(found: Sequence[Subject]) -> Iterator[Row]:
    for row in _facts(found, facts.WAYS):
        if row.key == "scale.machines":
            yield _row("scale.pods", "who adds instances", found, _scaling)
        yield row


def _scaling(item: Subject) -> Cell:
    """By the capability table, whatever this app asks for."""
    cell = support(("workloads", "*", "scale", "max"), item.tier, item.mode)
    if cell.carried:
        return Cell(text="Kubernetes, by load, between `min` and `max`", by="automatic", sources=(TABLE,))
    return Cell(text="you, by `anytier scale`", by="you", note=cell.note, sources=(TABLE,))


# the baseline


def _security(found: Sequence[Subject]) -> Iterator[Row]:
    judged = {item.stack: _judged(item.graph) for item in found if item.graph is not None}
    yield _row("security.kept", "rules kept", found, planned(lambda item, graph: _kept(*judged[item.stack])))
    advice = planned(lambda item, graph: _broken(judged[item.stack][1], mandatory=False))
    yield _row("security.advice", "advice not followed", found, advice)
    yield from _facts(found, facts.NEEDS)


def _judged(graph: Graph) -> tuple[int, policy.Report]:
    """How many rules were asked of something in the plan, and what they found. Waivers do not count here."""
    plan = graph.model_dump(mode="json", by_alias=True)
    resources = list(policy_plan.resources(plan))
    types = {resource.type for resource in all_of(resources)}
    asked = [rule for rule in RULES.values() if rule.mandatory and types & set(rule.on)]
    return len(asked), policy.check(resources)


def _kept(asked: int, report: policy.Report) -> Cell:
    broken = {finding.rule.id for finding in report.findings if finding.mandatory}
    if not asked:
        return unknown("no rule is about anything in this plan", POLICY)
    kept = asked - len(broken)
    detail = _broken(report, mandatory=True).detail
    return Cell(
        text=f"{kept} of {asked}", value=round(100 * kept / asked, 1), unit="%", detail=detail, sources=(POLICY,)
    )


def _broken(report: policy.Report, *, mandatory: bool) -> Cell:
    found = [finding for finding in report.findings if finding.mandatory == mandatory]
    detail = tuple(f"{item.rule.id} ({item.rule.severity}): {item.resource.name}: {item}" for item in found)
    return Cell(text=str(len(found)), value=len(found), detail=detail, sources=(POLICY,))


# the app


def _app(found: Sequence[Subject]) -> Iterator[Row]:
    used = {item.stack: _fields(item) for item in found}
    for status, title in (("native", "native"), ("emulated", "emulated"), ("lost", "lost: refused at preview")):
        cells = tuple(_status(item, used[item.stack], status) for item in found)
        yield Row(key=f"app.{status}", title=title, cells=cells)


def _fields(item: Subject) -> list[tuple[str, Support]]:
    """Every field that the app uses, and what the tier does with it."""
    if item.app is None:
        return []
    fields = used_fields(item.app)
    return [(dotted(path), support(path, item.tier, item.mode, value)) for path, value in fields]


def _status(item: Subject, used: Sequence[tuple[str, Support]], status: str) -> Cell:
    if item.app is None:
        return unknown("the app could not be read", TABLE)
    found = [(path, cell) for path, cell in used if (cell.status if cell.carried else "lost") == status]
    detail = tuple(dict.fromkeys(f"{path}: {cell.note}" if cell.note else path for path, cell in found))
    return Cell(text=str(len(found)), value=len(found), unit="fields", detail=detail, sources=(TABLE,))


# cost and measurements


def _cost(found: Sequence[Subject], today: datetime.date, price: float | None) -> Iterator[Row]:
    bills = {item.stack: cost.bill(item.tier, item.graph, today, price) for item in found if item.graph is not None}
    for name, title in (("control-plane", "control plane"), ("machines", "machines")):
        cells = (cost.part(bills[item.stack], name) if item.graph else unknown(_NO_PLAN, PLAN) for item in found)
        yield Row(key=f"cost.{name}", title=title, cells=tuple(cells))
    made = planned(lambda item, graph: cost.total(bills[item.stack]))
    yield _row("cost.total", "total of what is priced", found, made)
    made = planned(lambda item, graph: cost.unpriced(bills[item.stack]))
    yield _row("cost.unpriced", "paid for, price unknown here", found, made)
    made = planned(lambda item, graph: cost.rented(cost.own(item.tier, graph)))
    yield _row("cost.rented", "its own machines, if they were rented (2 cores, 8 GiB)", found, made)


def _measured(found: Sequence[Subject]) -> Iterator[Row]:
    for name, kind in KINDS.items():
        yield Row(key=f"measured.{name}", title=kind.label, cells=tuple(measured.cells(name, found)))
