"""`anytier measure`: time a stack's place in a throw-away stack, and keep what was measured with date and machine."""

from __future__ import annotations

import argparse

REPEAT, MOST = 3, 20
TIMEOUT = 1800


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", help="whose tier and place to measure; its own app is not touched")
    parser.add_argument(
        "--only", action="append", metavar="FIGURE", help="only this figure (may be repeated); not kept"
    )
    parser.add_argument(
        "--repeat", type=int, default=REPEAT, metavar="N", help=f"samples of each (default {REPEAT}, at most {MOST})"
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=TIMEOUT,
        metavar="SECONDS",
        help=f"no sample is begun later (default {TIMEOUT}); taking down comes on top",
    )
    parser.add_argument("--list", action="store_true", help="list the figures")
    parser.add_argument("--json", action="store_true", help="machine-readable result; progress goes to stderr")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 only if every figure was taken and nothing is left."""
    from anytier.errors import UsageError

    if args.list:
        return show_list()
    if not args.stack:
        raise UsageError("--stack", "is needed", "the stack whose place is to be measured, such as `-s local`")
    if not 1 <= args.repeat <= MOST:
        raise UsageError("--repeat", f"{args.repeat} is not between 1 and {MOST}", f"such as --repeat {REPEAT}")
    if not args.timeout > 0:  # nor is a number that is none
        raise UsageError("--timeout", "is not more than 0", f"such as --timeout {TIMEOUT}")
    return measure(args)


def show_list() -> int:
    from anytier.measure.figures import KINDS

    for kind in KINDS.values():
        print(f"{kind.name:<18} {kind.unit:<12} {kind.title}")
    return 0


def measure(args: argparse.Namespace) -> int:
    import sys
    from functools import partial

    from anytier.cli.stack import engine_env, project_dir, stack_config
    from anytier.cli.terminal import room
    from anytier.conformance.places.registry import open_place
    from anytier.conformance.trial import Trial
    from anytier.conformance.trial import stack_config as place_config
    from anytier.measure import suite
    from anytier.measure.figures import chosen
    from anytier.measure.record import write
    from anytier.measure.table import as_text

    steps = chosen(args.only or [])
    project = project_dir()
    stack_config(args.stack)  # a mistyped name is told as such
    config = place_config(project, args.stack)
    suite.refuse_without_login(str(config.get("anytier:tier", "")), config)
    trial = Trial(project, open_place(config), config, engine_env())
    say = partial(print, file=sys.stderr if args.json else sys.stdout, flush=True)
    say(f"measuring {trial.place.tier} ({args.stack}) in stack {trial.name}")
    taken = suite.run(trial, steps, args.repeat, args.timeout, args.stack, say)
    found = suite.measurement(trial, args.stack, taken)
    say("\n" + as_text(found, taken.remarks, None if args.json else room()))
    if args.only:
        say("nothing is kept: a file holds a whole run")
    elif found.figures:
        file = write(project, found, as_text(found, taken.remarks) + "\n")
        say(f"kept in {file.relative_to(project)}")
    if args.json:
        import json

        said = {"notes": taken.remarks.notes, "parts": taken.remarks.parts, "failed": taken.remarks.failed}
        print(json.dumps({**found.as_json(), **said, "load": taken.remarks.load, "left": taken.left}, indent=2))
    return 0 if taken.good else 1
