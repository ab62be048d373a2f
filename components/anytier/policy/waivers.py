"""Waivers: a rule that may be broken by one resource, for a reason, until a day. Pure.

`anytier:policy: {waive: [{id, resource, reason, until}]}`. A waiver without a reason, for everything, or for longer
than a year is refused; one whose day has come waives nothing.
"""

from __future__ import annotations

import datetime
import fnmatch
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError

from anytier.errors import ConfigError
from anytier.frozen import Frozen
from anytier.policy.registry import RULES
from anytier.policy.resource import Resource
from anytier.suggest import did_you_mean

KEY = "policy"
LONGEST = datetime.timedelta(days=366)
_FORM = "give {waive: [{id, resource, reason, until}]}"
_SHORTEST_REASON = 10


class Waiver(Frozen):
    """`resource`: a name in the stack, or a URN; `*` stands for any part of it. `until`: the first day without it."""

    id: str
    resource: str = Field(min_length=1, max_length=500)
    reason: str = Field(max_length=500)
    until: datetime.date

    def covers(self, rule: str, resource: Resource) -> bool:
        names = (resource.name, resource.urn)
        return self.id == rule and any(name and fnmatch.fnmatchcase(name, self.resource) for name in names)

    def over(self, today: datetime.date) -> bool:
        return today >= self.until

    def __str__(self) -> str:
        return f"{self.id} on {self.resource} until {self.until}: {self.reason}"


class PolicyConfig(Frozen):
    waive: list[Waiver] = Field(default_factory=list)


def read(text: str | None, today: datetime.date) -> tuple[list[Waiver], list[ConfigError]]:
    """The waivers of a stack's config value, which is JSON; and everything that is wrong with it."""
    if not text:
        return [], []
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, Mapping):
        return [], [ConfigError(f"anytier:{KEY}", "must be a mapping", _FORM)]
    try:
        waivers = PolicyConfig.model_validate(value).waive
    except ValidationError as error:
        return [], [_said(item) for item in error.errors(include_url=False)]
    return waivers, [wrong for index, item in enumerate(waivers) for wrong in _wrong(index, item, today)]


def _said(item: Any) -> ConfigError:
    path = ".".join([f"anytier:{KEY}", *(str(step) for step in item["loc"])])
    missing = {"missing": "is not given", "extra_forbidden": "is not an option"}.get(item["type"])
    message = item["msg"]
    return ConfigError(path, missing or message[:1].lower() + message[1:], _FORM)


def _wrong(index: int, waiver: Waiver, today: datetime.date) -> Iterator[ConfigError]:
    path = f"anytier:{KEY}.waive.{index}"
    if waiver.id not in RULES:
        what = f"there is no rule {waiver.id[:80]!r}{did_you_mean(waiver.id, RULES)}"
        yield ConfigError(f"{path}.id", what, "`anytier policy list` has them all")
    if len(waiver.reason.strip()) < _SHORTEST_REASON:
        do = "say why this is right here, so that whoever reads it a year from now can tell whether it still is"
        yield ConfigError(f"{path}.reason", "says nothing", do)
    if not waiver.resource.strip("*? "):
        yield ConfigError(f"{path}.resource", "names every resource", "name the one that may break the rule")
    if waiver.until - today > LONGEST:
        do = f"give a day up to {today + LONGEST}, and decide again then"
        yield ConfigError(f"{path}.until", f"{waiver.until} is more than a year from now", do)
