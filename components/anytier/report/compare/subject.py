"""What is known of a stack before it is compared: tier, app, plan, and what was measured. Plain values."""

from __future__ import annotations

from dataclasses import dataclass

from anytier.measure.record import Measurement
from anytier.report.plan.graph import Graph
from anytier.spec import App


@dataclass(frozen=True)
class Subject:
    """`graph` is None, and `errors` say why, where no plan could be made; `app` is None where it cannot be read."""

    stack: str
    tier: str
    mode: str | None = None
    app: App | None = None
    graph: Graph | None = None
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    measurement: Measurement | None = None
