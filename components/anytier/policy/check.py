"""The rules over resources: what is broken, what is waived, and which waivers are of no use. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from anytier.policy.registry import RULES
from anytier.policy.rendered import all_of
from anytier.policy.resource import Context, Resource, Wrong
from anytier.policy.rule import SEVERITIES, Rule
from anytier.policy.waivers import Waiver


@dataclass(frozen=True)
class Finding:
    """A rule that a resource breaks. `path`: the property, of the resource or of what it becomes where it runs (`seen`,
    the type of that). `expired`: the day on which a waiver for it ended."""

    rule: Rule
    resource: Resource
    path: str
    what: str
    seen: str
    waiver: Waiver | None = None
    expired: datetime.date | None = None

    @property
    def mandatory(self) -> bool:
        return self.rule.mandatory and self.waiver is None

    def __str__(self) -> str:
        where = f"{self.path} {self.what}" if self.path else self.what
        ended = f" (a waiver ended on {self.expired})" if self.expired else ""
        return f"{where}{ended} -> {self.rule.remedy}"


@dataclass(frozen=True)
class Report:
    """`findings` in order of severity, without those that are `waived`. `idle`: waivers that covered nothing."""

    findings: Sequence[Finding]
    waived: Sequence[Finding]
    idle: Sequence[Waiver]

    @property
    def broken(self) -> bool:
        return any(item.mandatory for item in self.findings)


def check(resources: Iterable[Resource], waivers: Sequence[Waiver] = (), today: datetime.date | None = None) -> Report:
    """All rules over all resources of a stack."""
    day = today or datetime.date.today()
    every = list(all_of(resources))
    context = Context(day, every)
    found = [item for resource in every for item in judge(resource, context, RULES.values())]
    return sorted_out(found, waivers, day)


def judge(resource: Resource, context: Context, rules: Iterable[Rule]) -> list[Finding]:
    """One resource, as it is, by those of the rules that are about its type."""
    asked = [rule for rule in rules if resource.type in rule.on]
    return [
        Finding(rule, resource, wrong.path, wrong.what, resource.type)
        for rule in asked
        for wrong in _wrong(rule, resource, context)
    ]


def _wrong(rule: Rule, resource: Resource, context: Context) -> list[Wrong]:
    """What a rule cannot make sense of it does not let pass."""
    try:
        return list(rule.wrong(resource, context))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return [Wrong("", "has a form in which this rule cannot be told")]


def sorted_out(found: Iterable[Finding], waivers: Sequence[Waiver], today: datetime.date) -> Report:
    """With each finding's waiver, if it has one that still holds."""
    open_, waived, used = list[Finding](), list[Finding](), set[int]()
    for item in found:
        covering = [waiver for waiver in waivers if waiver.covers(item.rule.id, item.resource)]
        used |= {id(waiver) for waiver in covering}
        live = next((waiver for waiver in covering if not waiver.over(today)), None)
        if live is not None:
            waived.append(replace(item, waiver=live))
        else:
            open_.append(replace(item, expired=max((waiver.until for waiver in covering), default=None)))
    order = {name: number for number, name in enumerate(SEVERITIES)}
    open_.sort(key=lambda item: (order[item.rule.severity], item.rule.id, item.resource.name, item.path))
    return Report(open_, waived, [waiver for waiver in waivers if id(waiver) not in used])
