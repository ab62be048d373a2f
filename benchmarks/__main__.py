"""`python -m benchmarks`: runs them, prints a table, writes results/latest.json and the table of docs/benchmarks.md.

Exit codes: 0 all limits are met; 1 one is missed, or a benchmark failed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What builds the engine builds these programs too; it belongs to set-up, so it is in no package.
sys.path.insert(0, str(ROOT / "tools"))

from benchmarks import machine, report  # noqa: E402
from benchmarks.measure import CommandFailed  # noqa: E402
from benchmarks.registry import CASES  # noqa: E402
from benchmarks.results import Results, Section, as_text, merged, read  # noqa: E402
from benchmarks.row import Options  # noqa: E402
from bootstrap.say import SetupError  # noqa: E402

LATEST = ROOT / "benchmarks" / "results" / "latest.json"
PAGE = ROOT / "docs" / "benchmarks.md"


def main(argv: Sequence[str] | None = None) -> int:
    args = parser().parse_args(argv)
    options = Options(repeat=args.repeat, quick=args.quick)
    versions = machine.versions(ROOT)
    sections = {}
    # What was started is taken down also when a time limit ends this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in args.only or CASES:
            sections[name] = measured(name, options, versions["commit"])
            print(report.as_text([(name, sections[name])]), end="\n\n", flush=True)
            if sections[name].failed:
                print(sections[name].failed, file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    results = Results(machine.machine(), versions, sections)
    if args.json:
        args.json.write_text(as_text([results]))
    if not args.quick:
        write(merged(read(LATEST), results, list(CASES)))
    missed = [name for name, section in sections.items() if not section.good]
    if missed:
        print(f"not as it should be: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def parser() -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:<12} {line}" for name, (_, line) in CASES.items())
    made = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what anytier costs.",
        epilog=f"benchmarks:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--only", action="append", choices=tuple(CASES), metavar="NAME", help="this one (repeatable)")
    made.add_argument("--repeat", type=positive, default=5, metavar="N", help="samples of each figure (default: 5)")
    made.add_argument("--json", type=Path, metavar="FILE", help="write this run's results there too")
    made.add_argument("--quick", action="store_true", help="small sizes, to try a benchmark; no result is kept")
    return made


def positive(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 100:
        raise argparse.ArgumentTypeError("a number from 1 to 100")
    return int(text)


def measured(name: str, options: Options, commit: str) -> Section:
    """One benchmark. A command of it that fails is a result too, and the others still run."""
    print(f"{name}: {CASES[name][1]} ...", file=sys.stderr, flush=True)
    module, _, function = CASES[name][0].partition(":")
    before, start = machine.load(), time.monotonic()
    rows, failed = [], ""
    try:
        rows = getattr(import_module(module), function)(options)
    except (CommandFailed, SetupError, OSError) as error:
        failed = str(error) or type(error).__name__
    took = round(time.monotonic() - start, 1)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Section(now, took, (before, machine.load()), commit, rows, failed)


def write(found: Sequence[Results]) -> None:
    LATEST.parent.mkdir(exist_ok=True)
    LATEST.write_text(as_text(found))
    PAGE.write_text(report.in_place(PAGE.read_text(), report.as_markdown(found)))


if __name__ == "__main__":
    sys.exit(main())
