"""How soon the command line answers, beside the Python that it runs on."""

from __future__ import annotations

from benchmarks.measure import in_turns, timed
from benchmarks.row import Limit, Options, Row
from benchmarks.stacks import ROOT

LIMIT = 0.15  # seconds


def run(options: Options) -> list[Row]:
    anytier, python = ROOT / ".venv" / "bin" / "anytier", ROOT / ".venv" / "bin" / "python"
    samples = in_turns(
        options.repeat * 4,
        {"ours": lambda: timed([str(anytier), "--help"]), "theirs": lambda: timed([str(python), "-c", "pass"])},
    )
    return [
        Row(
            "`anytier --help`", "s", samples["ours"], "an empty Python program", samples["theirs"], Limit("ours", LIMIT)
        )
    ]
