"""A rule as data: its id, how bad it is to break it, whose numbers it has elsewhere, what to do, and its predicate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from anytier.policy.resource import Context, Resource, Wrong

Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
Predicate = Callable[[Resource, Context], Iterable[Wrong]]


@dataclass(frozen=True)
class Rule:
    """`title` says what holds where the rule is kept. `on`: the resource types that it is asked about. `whole`: it
    looks at other resources too, so it can be asked only when all are known. `references`: as `CKV_AWS_58` (Checkov)
    or `CIS EKS 5.3.1`."""

    id: str
    severity: Severity
    title: str
    remedy: str
    on: tuple[str, ...]
    wrong: Predicate
    references: tuple[str, ...] = ()
    whole: bool = False

    @property
    def mandatory(self) -> bool:
        """Low ones are advice: an app may have its reasons."""
        return self.severity != "low"
