"""`anytier compare` of four stacks, the clouds' among them, beside the slowest plan of them."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from benchmarks.measure import in_turns, timed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT

STACKS = ("kubeadm", "eks", "gke", "aks")
LIMIT = 3.0  # times one plan


def run(options: Options) -> list[Row]:
    anytier, env = str(ROOT / ".venv" / "bin" / "anytier"), environment()
    ways = {name: lambda name=name: timed([anytier, "plan", "-s", name], ROOT, env) for name in STACKS}
    samples = in_turns(options.repeat, {"compare": lambda: timed([anytier, "compare"], ROOT, env), **ways})
    slowest = max(STACKS, key=lambda name: median(samples[name]))
    beside = f"`anytier plan -s {slowest}`"
    what = f"`anytier compare` of {', '.join(STACKS)}"
    return [Row(what, "s", samples["compare"], beside, samples[slowest], Limit("ratio", LIMIT))]


def environment() -> dict[str, str]:
    """With the clouds' SDKs, which are in no environment: tools/clouds.py gets them, and says where they are."""
    tool = [sys.executable, str(ROOT / "tools" / "clouds.py")]
    folder = subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    more = [folder, os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, more))}
