"""`anytier conformance`: deploy the conformance app on a stack's place, in a throw-away stack, and check everything."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-s", "--stack", help="whose tier and place to test; its own app is not touched")
    parser.add_argument("--only", action="append", metavar="CHECK", help="only this check (may be repeated)")
    parser.add_argument("--list", action="store_true", help="list the checks and the fields they prove")
    parser.add_argument("--keep", action="store_true", help="do not destroy at the end")
    parser.add_argument("--json", action="store_true", help="machine-readable result; progress goes to stderr")


def run(args: argparse.Namespace) -> int:
    """Exit code 0 only if no check failed."""
    from anytier.errors import UsageError

    if args.list:
        return show_list()
    if not args.stack:
        raise UsageError("--stack", "is needed", "the stack whose place is to be tested, such as `-s local`")
    return test(args)


def show_list() -> int:
    from anytier.conformance.registry import CHECKS

    for check in CHECKS:
        print(f"{check.id:<16} {check.title:<46} {', '.join(check.fields)}".rstrip())
    return 0


def test(args: argparse.Namespace) -> int:
    import json
    import sys
    import time
    from functools import partial

    from anytier.cli.stack import engine_env, project_dir
    from anytier.conformance import report, suite
    from anytier.conformance.places.registry import open_place
    from anytier.conformance.trial import Trial, stack_config

    checks = suite.chosen(args.only or [])
    project = project_dir()
    config = stack_config(project, args.stack)
    trial = Trial(project, open_place(config), config, engine_env())
    say = partial(print, file=sys.stderr if args.json else sys.stdout, flush=True)
    start = time.monotonic()
    say(f"conformance of {trial.place.tier} ({args.stack}), {len(checks)} checks, stack {trial.name}")
    results = suite.run(trial, checks, say, args.keep, sys.stdout.isatty() and not args.json)
    took = time.monotonic() - start
    say(report.summary(results, took, trial.place.tier))
    if args.json:
        print(json.dumps(report.as_json(results, suite.environment(trial, args.stack), took), indent=2))
    return 1 if any(result.status == "fail" for result in results) else 0
