"""`anytier preview --all` of this project's eight stacks, the clouds' among them, beside the slowest single one.

Each stack is planned as it was before the change and as it is now, and held against the policy pack.
"""

from __future__ import annotations

from statistics import median

from anytier.cli.stack import stack_names
from benchmarks.cases.compare import environment
from benchmarks.measure import in_turns, timed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT

ALL = "--all"
LIMIT = 2.0  # times the slowest single one, on two cores


def run(options: Options) -> list[Row]:
    anytier, env = str(ROOT / ".venv" / "bin" / "anytier"), environment()
    names = stack_names(ROOT)
    ways = {name: lambda name=name: timed([anytier, "preview", name], ROOT, env) for name in (ALL, *names)}
    return [row(names, in_turns(min(options.repeat, 3), ways))]


def row(names: list[str], samples: dict[str, list[float]]) -> Row:
    slowest = max(names, key=lambda name: median(samples[name]))
    what = f"`anytier preview --all`, {len(names)} stacks"
    return Row(what, "s", samples[ALL], f"`anytier preview {slowest}`", samples[slowest], Limit("ratio", LIMIT))
