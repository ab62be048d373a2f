"""What a benchmark yields: rows of figures, each with the limit it is held against. Pure.

A row's figure is the median of its samples; every sample is kept, so that a reader can see how far they lie apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal, Self

Verdict = Literal["met", "missed", "no limit"]


@dataclass(frozen=True)
class Options:
    """`repeat`: samples of each figure. `quick`: small sizes, for trying a benchmark out; its figures mean nothing."""

    repeat: int = 5
    quick: bool = False


@dataclass(frozen=True)
class Limit:
    """The most that the ratio to `theirs`, or our own figure, may be."""

    of: Literal["ratio", "ours"]
    most: float


@dataclass(frozen=True)
class Row:
    """One figure. `theirs` is what it is measured beside, `beside` says what that is."""

    what: str
    unit: str
    ours: Sequence[float]
    beside: str = ""
    theirs: Sequence[float] = field(default_factory=tuple)
    limit: Limit | None = None

    def __post_init__(self) -> None:
        if not self.ours or bool(self.theirs) != bool(self.beside):
            raise ValueError(f"{self.what}: a row has samples, and a name for what it is measured beside")
        if self.limit and self.limit.of == "ratio" and not self.theirs:
            raise ValueError(f"{self.what}: a limit on a ratio needs something to be measured beside")

    @property
    def mine(self) -> float:
        return median(self.ours)

    @property
    def other(self) -> float | None:
        return median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        return self.mine / self.other if self.other else None

    @property
    def verdict(self) -> Verdict:
        """`missed` also where the ratio cannot be told: nothing is met by default."""
        if self.limit is None:
            return "no limit"
        found = self.ratio if self.limit.of == "ratio" else self.mine
        return "met" if found is not None and found <= self.limit.most else "missed"

    def as_json(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "unit": self.unit,
            "ours": list(self.ours),
            "beside": self.beside,
            "theirs": list(self.theirs),
            "limit": {"of": self.limit.of, "most": self.limit.most} if self.limit else None,
            "ratio": self.ratio,
            "verdict": self.verdict,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        limit = Limit(**data["limit"]) if data["limit"] else None
        return cls(data["what"], data["unit"], data["ours"], data["beside"], data["theirs"], limit)
