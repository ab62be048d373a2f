"""What anytier must know of a distribution. Plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Distribution:
    """`oldest`: the first version whose systemd and Python do all that is asked of them."""

    name: str
    oldest: tuple[int, ...]
