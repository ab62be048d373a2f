"""What a check is and what comes out of one. Nothing here knows an engine, a place or a particular check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")

Status = Literal["pass", "fail", "unsupported"]


@dataclass(frozen=True)
class Check:
    """One check. `run` is `module:function` below `anytier.conformance`; the function takes the trial, gives evidence.

    `fields` are the paths of the spec that it proves: if the capability table says of one that this tier does not
    carry it, the check is reported so and does not run; nothing else makes a check unsupported.
    """

    id: str
    title: str
    fields: tuple[str, ...]
    run: str


@dataclass(frozen=True)
class Result:
    check: Check
    status: Status
    evidence: str
    seconds: float
    detail: str = field(default="", compare=False)  # of a failure: what the engine or the app printed


class Failed(Exception):
    """The tier did not do what the spec says. `detail` is long output that helps to see why."""

    def __init__(self, what: str, detail: str = "") -> None:
        super().__init__(what)
        self.what, self.detail = what, detail

    def __str__(self) -> str:
        return f"{self.what}\n{self.detail}" if self.detail else self.what


def expect(condition: object, what: str, detail: str = "") -> None:
    if not condition:
        raise Failed(what, detail)


def same(found: T, wanted: T, what: str) -> None:
    if found != wanted:
        raise Failed(f"{what}: {found!r}, wanted {wanted!r}")
